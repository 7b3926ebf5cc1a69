"""Features and neighbors by a local Ray cluster: one worker, two, or two of which one is killed, give the same."""

import gc
import io
import json
import os
import signal
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.command import write_folder
from PIL import Image

from mixnn.cli.main import main
from mixnn.config import DataOptions
from mixnn.config.find import FindConfig, FindOptions
from mixnn.errors import InputError
from mixnn.evidence.neighbors import inverted_file
from mixnn.evidence.neighbors import search as neighbors
from mixnn.shards import embed, search
from mixnn.shards.pieces import pieces_of
from mixnn.training.find import find


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    pytest.importorskip("efficientnet_lite_pytorch")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # on a machine that does much else
    with warnings.catch_warnings(action="ignore"):  # of processes that are still running when they are let go
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=2**27, log_to_driver=False)
        yield ray
        ray.shutdown()
        gc.collect()


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def first_time(marker: Path, index: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, whose process is killed in the middle of it, once; `index`: of the call that looks whether it was."""

    def dying(*arguments: Any, **keywords: Any) -> Any:
        row = arguments[0]
        if (not isinstance(row, dict) or row["index"] == index) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments, **keywords)

    return dying


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray
def test_features_are_the_same_by_one_worker_two_and_a_killed_one(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = write_folder(tmp_path / "photos")
    whole_png = (photos / "blue/00.png").read_bytes()
    (photos / "blue/broken.png").write_bytes(whole_png[: len(whole_png) // 2])
    options = FindOptions(device="cpu", data=DataOptions(image_size=32, cache_dir=str(tmp_path / "cache")))
    words = ["embed-shards", str(photos), "--shard-size", "16", "--device", "cpu", "--data.image-size", "32"]
    assert main([*words, "--ray", "1", "--out", str(tmp_path / "one")]) == 0
    said = capfd.readouterr()
    assert "60 samples in 4 shards, with names and labels" in said.out
    assert "left out: 1 that cannot be read" in said.out
    embed.embed_shards(str(photos), str(tmp_path / "two"), options, 2, 16)
    monkeypatch.setattr(embed, "work", first_time(tmp_path / "killed-1", 1, embed.work))
    embed.embed_shards(str(photos), str(tmp_path / "killed"), options, 2, 16)
    assert (tmp_path / "killed-1").exists()
    whole = content(tmp_path / "one")
    assert len(whole) == 4 * 4 + 2
    assert content(tmp_path / "two") == content(tmp_path / "killed") == whole
    [(name, why)] = json.loads(whole["unreadable.json"])
    assert (name, why) == ("blue/broken.png", "image file is truncated")

    # Stopped, and repeated: what is there stays, what is missing is made.
    (tmp_path / "two/done-00002-of-00004.json").unlink()
    kept = (tmp_path / "two/features-00001-of-00004.npy").stat().st_mtime_ns
    embed.embed_shards(str(photos), str(tmp_path / "two"), options, 2, 16)
    assert content(tmp_path / "two") == whole
    assert (tmp_path / "two/features-00001-of-00004.npy").stat().st_mtime_ns == kept
    with pytest.raises(InputError, match=r"has shards of another job \(shards 4, now 7\): choose a new folder"):
        embed.embed_shards(str(photos), str(tmp_path / "two"), options, 2, 10)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray
def test_neighbors_are_the_same_by_one_process_and_by_workers(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    truth = np.arange(120) % 3
    np.savez(
        tmp_path / "features.npz",
        x=random.normal(size=(120, 8)).astype(np.float32) + 3 * np.eye(3, 8, dtype=np.float32)[truth],
        y=np.where(random.random(120) < 0.1, random.integers(0, 3, 120), truth),
    )
    # Lists as very many samples have them.
    monkeypatch.setattr(neighbors, "ALL_PAIRS", 0)
    monkeypatch.setattr(inverted_file, "LIST", 8)
    monkeypatch.setattr(inverted_file, "PROBES", 4)
    monkeypatch.setattr(search, "TASK", 20)
    found_by, lists = search.found_by, []
    for workers, killed in ((None, False), (1, False), (2, False), (2, True)):
        if killed:
            monkeypatch.setattr(search, "found_by", first_time(tmp_path / "killed", 0, found_by))
        options = FindOptions(device="cpu", ray=workers)
        run = find(FindConfig(str(tmp_path / "features.npz"), options), tmp_path / f"run-{len(lists)}")
        lists.append((run.labels.read_bytes(), run.read_evidence().neighbors.tolist()))
    assert (tmp_path / "killed").exists()
    assert lists[0] == lists[1] == lists[2] == lists[3]
    assert len(lists[0][0].splitlines()) == 121


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (value, 0, 0)).save(stream, "png")
    return stream.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def read_all(source: str, size: int = 2) -> list[tuple[str, str]]:
    found = [piece.read(DataOptions()) for piece in pieces_of(source, DataOptions(), size)]
    return [pair for each in found for pair in zip(each.samples.names, each.words, strict=True)]


def test_keys_with_dots_are_samples_of_their_own(tmp_path: Path) -> None:
    """As webdataset itself has it, `a.v1` and `a.v2` would be one sample, and a missing label a number."""
    write_tar(tmp_path / "0.tar", {"a.v1.png": png(1), "a.v1.cls": b"3", "a.v2.png": png(2), "a.v2.cls": b"4\n"})
    write_tar(tmp_path / "1.tar", {"b.left.png": png(3), "b.cls": b"7", "c.png": png(4), "c.json": b"{}"})
    assert read_all(str(tmp_path)) == [
        *[("0/a.v1.png", "3"), ("0/a.v2.png", "4")],
        *[("1/b.left.png", "7"), ("1/c.png", "")],
    ]


@pytest.mark.parametrize("as_struct", [True, False])
def test_tables_are_cut_by_groups_of_rows(tmp_path: Path, as_struct: bool) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": png(i), "path": f"{i}.png"} if as_struct else png(i) for i in range(5)]
    table = arrow.table({"image": images, "label": ["x", "y", None, "x", "y"]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=1)
    names = [f"t/{i:06d}{f'-{i}.png' if as_struct else ''}" for i in range(5)]
    expected = list(zip(names, ["x", "y", "", "x", "y"], strict=True))
    assert read_all(str(tmp_path)) == read_all(str(tmp_path), 4) == expected
    assert len(pieces_of(str(tmp_path), DataOptions(), 2)) == 3


def test_images_of_an_object_store_are_in_folders_of_their_class() -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in ("dog/2.png", "cat/1.png", "dog/3.png", "cat/.hidden.png"):
        memory.pipe_file(f"/photos/{name}", png(1))
    assert read_all("memory://photos") == [("cat/1.png", "cat"), ("dog/2.png", "dog"), ("dog/3.png", "dog")]
    with pytest.raises(InputError, match="has 0 tars, 0 tables, 0 images: give a folder with files of one of these"):
        pieces_of("memory://nothing", DataOptions(), 2)


def test_file_names_in_tables_of_shards_are_refused(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"image": ["a.png"], "label": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 'image' has file names: give tables with the images inside"):
        read_all(str(tmp_path))


def test_a_network_that_sees_each_shard_by_its_own_statistics_is_refused() -> None:
    with pytest.raises(InputError, match=r"^--network resnet18 does not say by what mean and std it sees pixels"):
        embed.check_statistics(FindOptions(network="resnet18"), 64)
    embed.check_statistics(FindOptions(network="efficientnet-lite0"), 64)  # whose body says it


def test_one_line_without_ray(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    np.savez(tmp_path / "x.npz", x=np.random.rand(20, 3).astype(np.float32), y=np.arange(20) % 2)
    assert main(["find", str(tmp_path / "x.npz"), "--ray", "2", "--out", str(tmp_path / "run")]) == 2
    assert "pip install 'mixnn[ray]'" in capfd.readouterr().err.splitlines()[-1]
