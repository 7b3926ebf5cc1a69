"""`mixnn embed`, and features of a file found by their names."""

import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.command import call, read_csv, start, succeed, write_folder
from test_find import bright, refused
from torch import nn

from mixnn.data.feature_writer import FeatureWriter
from mixnn.errors import InputError

STAND_IN = ["--network", "test_find:bright", "--device", "cpu", "--data.workers", "0", "--data.image-size", "16"]


class Slow(nn.Module):
    """As `bright`, a second a batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(1)
        return bright(0)[0](x)


def slow(size: int) -> tuple[nn.Module, int]:
    return Slow(), 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in two parts, one that cannot be read, and their features."""
    root = tmp_path_factory.mktemp("embed")
    write_folder(root / "photos/train")
    write_folder(root / "photos/test", per_class=2)
    (root / "photos/train/blue/07.png").write_bytes(b"no image")
    succeed("embed", root / "photos", "--out", root / "f.npz", *STAND_IN)
    return root


def test_every_part_is_embedded_with_names(place: Path) -> None:
    with np.load(place / "f.npz") as file:
        assert (file["features"].shape, file["features"].dtype) == ((65, 12), np.float32)
        assert file["names"][[0, 64]].tolist() == ["train/blue/00.png", "test/red/01.png"]
        assert np.unique(file["parts"], return_counts=True)[1].tolist() == [6, 59]
        assert file["unreadable"].tolist() == ["train/blue/07.png"]
        made_by = json.loads(str(file["made_by"]))
    assert (made_by["network"], made_by["image_size"], made_by["precision"]) == ("test_find:bright", 16, "float32")
    assert not (place / "f.npz.partial").exists()


def test_what_it_says(place: Path, tmp_path: Path) -> None:
    result = succeed("embed", place / "photos", "--out", tmp_path / "f.npz", *STAND_IN)
    assert result.err.splitlines() == [
        f"mixnn: reading {place / 'photos'} …",
        "mixnn: 1 of 66 images cannot be read and are set aside; the first: train/blue/07.png (is no image). "
        f"All are in `unreadable` of {tmp_path / 'f.npz'}",
        "65 images of 16 px by test_find:bright, on cpu",
    ]
    assert result.out.splitlines() == [
        f"{tmp_path / 'f.npz'}: 65 × 12 features (train 59, test 6), with file names",
        "left out: 1 image that cannot be read (`unreadable` in it)",
        f"to go on: mixnn find {place / 'photos'} --features {tmp_path / 'f.npz'} --out runs/first",
    ]
    again = succeed("embed", place / "photos", "--out", tmp_path / "f.npz", *STAND_IN)
    assert again.err.splitlines()[-1] == f"mixnn: {tmp_path / 'f.npz'} has these features already"
    assert again.out == result.out


def test_find_by_the_file_is_find_by_the_network(place: Path, tmp_path: Path) -> None:
    """In any order, with more rows than samples, and an image that cannot be read."""
    with np.load(place / "f.npz") as file:
        arrays = {name: file[name] for name in file}
    order = np.random.default_rng(0).permutation(65)
    np.savez(tmp_path / "g.npz", **(arrays | {name: arrays[name][order] for name in ("features", "names")}))
    result = succeed("find", place / "photos", "--features", tmp_path / "g.npz", "--out", tmp_path / "a")
    succeed("find", place / "photos", "--out", tmp_path / "b", *STAND_IN)
    assert (tmp_path / "a/labels.csv").read_bytes() == (tmp_path / "b/labels.csv").read_bytes()
    assert (tmp_path / "a/thumbnails.npz").exists()
    assert read_csv(tmp_path / "a/unreadable.csv")[0]["file_name"] == "train/blue/07.png"
    assert "rows are found by name, made by test_find:bright of images of 16 px" in result.err
    assert "6 of its 65 rows are of other samples and are not used" in result.err


def test_what_does_not_match_is_refused(place: Path, tmp_path: Path) -> None:
    with np.load(place / "f.npz") as file:
        arrays = {name: file[name] for name in file}

    def find(**changed: np.ndarray) -> object:
        np.savez(tmp_path / "g.npz", **(arrays | changed))
        return call("find", place / "photos", "--features", tmp_path / "g.npz", "--out", tmp_path / "run")

    names = arrays["names"]
    result = find(features=arrays["features"][3:], names=names[3:])
    assert result.err.splitlines()[-1] == (
        f"mixnn: --features {tmp_path / 'g.npz'} lacks 3 of 60 samples, the first is train/blue/00.png (it has names "
        "such as train/blue/03.png): make them anew of this DATA by `mixnn embed`, or save with them the file names "
        "that DATA has"
    )
    twice = names.copy()
    twice[60] = names[1]
    assert "has two different rows called train/blue/01.png, 1 and 60" in find(names=twice).err
    assert "has 3 names for 65 rows: save one for each" in find(names=names[:3]).err
    assert "names have shape (65, 1) and dtype" in find(names=names[:, None]).err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_classes_and_a_table_with_labels(place: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("blue", "red"):
        for file in (place / "photos/train" / name).iterdir():
            shutil.copy(file, images / f"{name}_{file.name}")
    (images / "notes.txt").write_text("text")
    result = succeed("embed", images, "--out", tmp_path / "f.npz", *STAND_IN)
    assert f"mixnn: {images} has no class folders: its 40 images are taken as they are" in result.err
    assert f"{tmp_path / 'f.npz'}: 39 × 12 features (train 39), with file names" in result.out
    labels = "".join(f"{file.name},{file.name.partition('_')[0]}\n" for file in sorted(images.glob("*.png")))
    (images / "labels.csv").write_text(f"file_name,label\n{labels}")
    succeed("find", images / "labels.csv", "--features", tmp_path / "f.npz", "--out", tmp_path / "run")
    assert len(read_csv(tmp_path / "run/labels.csv")) == 39


def test_an_image_that_was_repaired_needs_features(place: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(place / "photos", tmp_path / "photos")
    shutil.copy(photos / "train/blue/06.png", photos / "train/blue/07.png")
    result = call("find", photos, "--features", place / "f.npz", "--out", tmp_path / "run")
    what = "1 image, the first train/blue/07.png, could not be read when they were made, and can be now"
    assert what in result.err
    assert (result.code, (tmp_path / "run").exists()) == (2, False)


def test_a_file_of_features_alone(place: Path, tmp_path: Path) -> None:
    fix = f"`mixnn find DATA --features {place / 'f.npz'}` with the DATA that they were made of, or add labels"
    refused(call("find", place / "f.npz", "--out", tmp_path / "run"), "has features and no labels", fix)
    random = np.random.default_rng(0)
    labels, names = np.repeat(["a", "b"], 30), [f"{i}.png" for i in range(60)]
    np.savez(tmp_path / "g.npz", features=random.normal(size=(60, 4)), names=names, labels=labels)
    succeed("find", tmp_path / "g.npz", "--out", tmp_path / "run")
    assert [row["file_name"] for row in read_csv(tmp_path / "run/labels.csv")] == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("photos", "--out is missing: say where to write the features, as --out features.npz"),
        ("--out new.npz", "DATA is missing"),
        ("x.npz --out new.npz", "x.npz has embeddings already: `mixnn find x.npz` takes them as they are"),
        ("photos --out photos/new.npz", "lies inside the data"),
        ("photos --out new.npz --network cnn", "--network cnn starts at random"),
        ("photos --out new.npz --network cnn --encoder e.onnx", "--encoder and --network both say where features come"),
        ("photos --out new.npz --pixel-mean 0.5", "--pixel-mean 0.5 is for --encoder FILE"),
        ("photos --out f.npz --network test_find:bright --device cpu --data.image-size 32", "image size 16, not 32"),
        ("photos --out other.npz --network test_find:bright --device cpu", "something that is not by `mixnn embed`"),
    ],
)
def test_one_line_for_what_is_wrong(words: str, said: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    np.savez("x.npz", x=np.ones((4, 3)), y=np.arange(4) % 2)
    np.savez("other.npz", x=np.ones((4, 3)))
    result = call("embed", *words.split())
    assert (result.code, result.out) == (2, "")
    assert said in result.err.splitlines()[-1]
    assert not (place / "new.npz").exists()
    assert not list(place.glob("*.partial"))


def test_a_file_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was cut off or damaged is made anew; other settings are refused."""
    rows, made_by = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32), {"network": "a"}

    def writer(**changed: str) -> FeatureWriter:
        (tmp_path / "f.npz.partial").mkdir(exist_ok=True)
        return FeatureWriter(tmp_path / "f.npz", made_by | changed, 10, 3, np.float32)

    first = writer()
    for place in (0, 4, 8):
        first.add(rows[place : place + 4])
    assert writer().done == 10
    whole = first.file.read_bytes()
    for damaged, done in ((whole[:-1], 8), (whole[:-30] + b"x" + whole[-29:], 8), (whole[:5], 0), (b"", 0)):
        first.file.write_bytes(damaged)
        assert writer().done == done
    first.file.write_bytes(whole[:-1])
    last = writer()
    with pytest.raises(InputError, match=r"has a part of other features \(network a, not b\): remove this folder"):
        writer(network="b")
    last.add(rows[8:])
    last.finish(names=np.array([*"abcdefghij"]))
    with np.load(tmp_path / "f.npz") as file:
        np.testing.assert_array_equal(file["features"], rows)
    assert not last.folder.exists()
    assert writer().finished


@pytest.mark.slow
def test_a_killed_one_goes_on(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", per_class=100)  # five batches
    words = ["embed", photos, "--network", "test_embed:slow", *STAND_IN[2:]]
    process = start(*words, "--out", tmp_path / "f.npz", folder=Path(__file__).parent)
    file = tmp_path / "f.npz.partial/rows"
    while not (file.exists() and file.stat().st_size > 2 * 64 * 12 * 4):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "f.npz").exists()
    result = succeed(*words, "--out", tmp_path / "f.npz")
    assert any(f"mixnn: {done} of 300 were there already" in result.err for done in (128, 192, 256))
    succeed(*words, "--out", tmp_path / "g.npz")
    with np.load(tmp_path / "f.npz") as one, np.load(tmp_path / "g.npz") as other:
        assert all((one[name] == other[name]).all() for name in other)
