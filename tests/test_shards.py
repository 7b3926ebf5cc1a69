"""Features in several files: joined they are what they were, however they were cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mixnn.cli.main import main
from mixnn.config import DataOptions
from mixnn.config.find import FindConfig, FindOptions
from mixnn.data.load import load
from mixnn.data.read import read
from mixnn.data.readers import split_source
from mixnn.data.readers.shards import joined
from mixnn.errors import InputError
from mixnn.evidence import inputs, linear_probe
from mixnn.evidence.forward_pass import embedded
from mixnn.evidence.label_issues import find_label_issues
from mixnn.evidence.neighbors import inverted_file
from mixnn.evidence.neighbors import search as neighbors
from mixnn.training.find import find

CLASSES, SAMPLES = ["cat", "dog", "fox"], 300


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, 12), labels of which some are wrong, and names with dots in them."""
    random = np.random.default_rng(0)
    truth = np.arange(SAMPLES) % 3
    features = random.normal(size=(SAMPLES, 12)).astype(np.float32) + 4 * np.eye(3, 12, dtype=np.float32)[truth]
    given = np.where(random.random(SAMPLES) < 0.1, random.integers(0, 3, SAMPLES), truth)
    return features, np.array(CLASSES)[given], np.array([f"a.b/{row:04d}.v1.jpg" for row in range(SAMPLES)])


def write_arrays(folder: Path, count: int) -> Path:
    folder.mkdir()
    for kind, array in zip(("features", "labels", "names"), drawn(), strict=True):
        for i, part in enumerate(np.array_split(array, count)):
            np.save(folder / f"{kind}-{i:05d}-of-{count:05d}.npy", part)
    return folder


def write_tables(folder: Path, count: int) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder.mkdir()
    for i, (features, labels, names) in enumerate(
        zip(*(np.array_split(array, count) for array in drawn()), strict=True)
    ):
        columns = {"features": features.tolist(), "label": labels.tolist(), "name": names.tolist()}
        parquet.write_table(arrow.table(columns), folder / f"part-{i}.parquet")
    return folder


def found(source: str, out: Path, cache: Path) -> str:
    options = FindOptions()
    options.data.cache_dir = str(cache)
    return find(FindConfig(source, options), out).label_issues.read_text()


@pytest.mark.parametrize("write", [write_arrays, write_tables])
def test_the_list_does_not_depend_on_the_number_of_shards(tmp_path: Path, write: Callable[[Path, int], Path]):
    lists = [
        found(f"shards:{write(tmp_path / f'{count}', count)}", tmp_path / f"run-{count}", tmp_path / "cache")
        for count in (1, 2, 5)
    ]
    features, labels, names = drawn()
    np.savez(tmp_path / "whole.npz", features=features, labels=labels, names=names)
    lists.append(found(str(tmp_path / "whole.npz"), tmp_path / "run-whole", tmp_path / "cache"))
    assert lists[0].splitlines()[0].startswith("file_name,given_label,")
    assert len(lists[0].splitlines()) > 15
    assert "a.b/0" in lists[0]
    assert len(set(lists)) == 1


def test_a_folder_of_shards_is_known_without_being_told(tmp_path: Path):
    assert split_source(str(write_arrays(tmp_path / "features", 2))) == ("shards", str(tmp_path / "features"))


def test_joined_arrays_are_the_same_and_are_made_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    folder = write_arrays(tmp_path / "features", 5)
    where = Path(joined(str(folder), str(tmp_path / "cache")))
    assert f"{folder}: 5 shards, joined in {where}" in capfd.readouterr().err
    for kind, array in zip(("features", "labels", "names"), drawn(), strict=True):
        np.testing.assert_array_equal(np.load(where / f"{kind}.npy"), array)
    before = (where / "features.npy").stat().st_mtime_ns
    assert joined(str(folder), str(tmp_path / "cache")) == str(where)
    assert (where / "features.npy").stat().st_mtime_ns == before


def test_embeddings_stay_in_their_file(tmp_path: Path):
    features, labels, _ = drawn()
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays/x.npy", features)
    np.save(tmp_path / "arrays/y.npy", labels)
    dataset = read(f"npz:{tmp_path}/arrays", DataOptions())
    assert isinstance(dataset.train.images, np.memmap)
    data = load(dataset, FindOptions().for_reading(), torch.device("cpu")).train
    assert embedded(data).data_ptr() == dataset.train.images.ctypes.data
    embedded(data)[0] = 7  # which the file does not see
    np.testing.assert_array_equal(np.load(tmp_path / "arrays/x.npy"), features)


def test_features_that_are_not_copied_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    features, labels, _ = drawn()
    np.save(tmp_path / "x.npy", features)
    before = find_label_issues(labels, features)
    monkeypatch.setattr(inputs, "VALUES", 0)
    monkeypatch.setattr(linear_probe, "VALUES", 0)
    monkeypatch.setattr(inverted_file, "VALUES", 0)
    monkeypatch.setattr(neighbors, "ALL_PAIRS", 0)
    after = find_label_issues(labels, np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_allclose(after.label_quality, before.label_quality, atol=1e-4)
    assert after.ranking[:20].tolist() == before.ranking[:20].tolist()


def spoil(folder: Path, kind: str) -> str:
    file = folder / "features-00001-of-00002.npy"
    features = np.load(file)
    if kind == "missing":
        file.unlink()
        return "features-00001-of-00002.npy is missing, and 0 more"
    if kind == "short":
        file.write_bytes(file.read_bytes()[:-8])
        return "ends before its 150 rows: copy it whole"
    if kind == "width":
        np.save(file, features[:, :5])
        return "shard 1 of {} is 5 wide, the first 12: make them by one network"
    if kind == "nan":
        features[3, 3] = np.nan
        np.save(file, features)
        return "shard 1 of {} has NaN or infinity"
    if kind == "labels":
        np.save(folder / "labels-00001-of-00002.npy", np.zeros(150, np.int64))
        return "labels of {} are text in some shards and numbers in others: make them one"
    if kind == "count":
        np.save(folder / "labels-00001-of-00002.npy", np.array(["cat"] * 151))
        return "labels-00001-of-00002.npy has shape (151,): save one for each of 150 rows"
    if kind == "object":
        np.save(folder / "labels-00001-of-00002.npy", np.array([{}] * 150, dtype=object), allow_pickle=True)
        return "Object arrays cannot be loaded"
    np.save(folder / "features-00003-of-00009.npy", features)
    return "of one kind and one number (it has 7 files)"


@pytest.mark.parametrize("kind", ["missing", "short", "width", "nan", "labels", "count", "object", "numbers"])
def test_what_does_not_fit_is_told(tmp_path: Path, kind: str):
    folder = write_arrays(tmp_path / "features", 2)
    words = spoil(folder, kind).format(folder)
    with pytest.raises(InputError) as error:
        joined(str(folder), str(tmp_path / "cache"))
    assert words in str(error.value)
    assert not list((tmp_path / "cache/shards").glob("[!.]*/"))


def test_no_such_folder_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["find", f"shards:{tmp_path}/none", "--out", str(tmp_path / "run")]) == 2
    assert "give a folder, or an address for fsspec" in capfd.readouterr().err.splitlines()[-1]
