"""Hugging Face data sets as people save them, and names that nobody can load."""

import io
import logging
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixnn.data.dataset import Dataset
from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.readers import Columns, read_source
from mixnn.errors import InputError

datasets = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
CLASSES = ["owl", "cat", "newt"]
COLORS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)])


def png(label: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), tuple(COLORS[label])).save(file, "png")
    return file.getvalue()


def table(labels: list[int | None], **more: object) -> object:
    cells = [{"bytes": png(label or 0), "path": f"{i}.png"} for i, label in enumerate(labels)]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    rows = datasets.Dataset.from_dict({"image": cells, "label": labels}, features=datasets.Features(features))
    for name, content in more.items():
        rows = rows.add_column(name, content)
    return rows


def save(path: Path, **splits: object) -> Path:
    datasets.DatasetDict(splits).save_to_disk(path)
    return path


def read(path: object, **columns: str) -> Dataset:
    return read_source(f"hf:{path}", columns=Columns(**columns))


def looks_like(images: object) -> list[int]:
    return [int(decode(images.source(i), 8)[4, 4].argmax()) for i in range(len(images))]


def test_a_saved_table(tmp_path, capfd):
    table([1, 0, 1]).save_to_disk(tmp_path / "one")
    capfd.readouterr()
    dataset = read(tmp_path / "one")
    assert capfd.readouterr() == ("", "")
    assert dataset.classes == ["owl", "cat"]  # in the order of the data; nothing is a newt
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.train.names == ["train/00000", "train/00001", "train/00002"]
    assert looks_like(dataset.train.images) == [1, 0, 1]


def test_splits(tmp_path, capsys):
    path = save(
        tmp_path / "d", train=table([0, 1]), validation=table([1]), test=table([-1, None]), extra=table([1, None])
    )
    dataset = read(path)
    assert dataset.heldout_name == "val"  # the test part has no labels
    assert looks_like(dataset.heldout.images) == [1]
    assert list(dataset.others) == ["test", "extra"]
    assert dataset.others["extra"].labels.tolist() == [1, -1]
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mixnn")]
    assert told == [
        "mixnn: 3 labels are missing ('' 3): such samples count as unlabeled",
        "mixnn: 2 of 2 samples of part 'test' have no label: accuracy is not measured on it; "
        "`mixnn predict` labels them",
    ]


def test_other_names_of_splits(tmp_path):
    path = save(tmp_path / "d", Training=table([0, 1]), dev=table([1]), validation=table([0, 0]))
    dataset = read(path)
    assert (len(dataset.train), dataset.heldout_name, len(dataset.heldout)) == (2, "val", 1)
    assert list(dataset.others) == ["validation"]  # the second of a kind keeps its name


def test_images_stay_in_their_file(tmp_path):
    """Loader processes get a path, not the images."""
    table([i % 2 for i in range(300)]).save_to_disk(tmp_path / "one")
    images = read(tmp_path / "one").train.images
    assert sum(len(images.source(i)) for i in range(300)) > 20_000
    traveling = pickle.dumps(images)
    assert len(traveling) < 5_000
    assert pickle.loads(traveling).source(7) == images.source(7) == png(1)
    assert looks_like(images[np.array([3, 2])]) == [1, 0]
    stamp = images.stamp()
    assert read(tmp_path / "one").train.images.stamp() == stamp
    for file in (tmp_path / "one").iterdir():
        file.unlink()
    table([1] * 300).save_to_disk(tmp_path / "one")
    assert read(tmp_path / "one").train.images.stamp() != stamp


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where `load_dataset` puts its Arrow files."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_images_beside_the_table(tmp_path, cache):
    (tmp_path / "b, c.png").write_bytes(png(1))
    cells = [{"bytes": None, "path": str(tmp_path / name)} for name in ("b, c.png", "gone.png")]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    for name, more, bad in (
        ("files", [], "does not exist"),
        ("mixed", [{"bytes": png(0), "path": None}, None], "No such file"),
    ):
        content = {"image": [*cells, *more], "label": ["a", "b", "a", "b"][: 2 + len(more)]}
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(content, schema=features.arrow_schema), tmp_path / name / "train.parquet")
        images = read(tmp_path / name).train.images
        assert decode(images.source(0), 8)[4, 4].tolist() == [0, 255, 0]
        with pytest.raises(BadImage, match=bad):
            decode(images.source(1), 8)
    assert decode(images.source(2), 8)[4, 4].tolist() == [255, 0, 0]
    with pytest.raises(BadImage, match="holds no image"):
        images.source(3)


def test_a_change_of_an_image_file_is_seen(tmp_path, cache):
    for i, name in enumerate(("train/cat/a.png", "train/owl/b.png")):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(png(i))
    images = read(tmp_path / "set").train.images
    assert looks_like(images) == [0, 1]
    stamp = images.stamp()
    assert read(tmp_path / "set").train.images.stamp() == stamp
    (tmp_path / "set/train/cat/a.png").write_bytes(png(2) + b" ")
    assert images.stamp() != stamp


def test_columns(tmp_path):
    rows = table([0, 1, 0], kind=["x", "y", "x"], weight=[0.5, 0.5, 0.5])
    second = [{"bytes": png(label), "path": None} for label in (1, 0, 1)]
    rows = rows.add_column("second", second, feature=datasets.Image())
    rows.save_to_disk(tmp_path / "one")
    dataset = read(tmp_path / "one", image="second", label="kind")
    assert dataset.classes == ["x", "y"]
    assert looks_like(dataset.train.images) == [1, 0, 1]
    assert looks_like(read(tmp_path / "one").train.images) == [0, 1, 0]  # of two, the one called image
    rows.remove_columns(["label"]).rename_column("kind", "label").save_to_disk(tmp_path / "words")
    assert read(tmp_path / "words").classes == ["x", "y"]
    for column, message in (
        ({"label": "weight"}, "column 'weight' holds 0.5, which is no whole number: name another"),
        ({"image": "kind"}, "no column 'kind' that holds images"),
        ({"split": "kind"}, r"--data\.split-column 'kind' goes with tables"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path / "one", **column)
    rows.remove_columns(["image", "second"]).save_to_disk(tmp_path / "text")
    with pytest.raises(InputError, match=r"no column 'image' that holds images .*--data\.image-column"):
        read(tmp_path / "text")


def test_numbers_without_names(tmp_path):
    rows = table([0, 1, 0], kind=[10.0, 2.0, None], size=[10, 9, 9], fine=[True, False, True], word=["10", "9", "9"])
    rows.save_to_disk(tmp_path / "one")
    dataset = read_source(f"hf:{tmp_path / 'one'}", columns=Columns(label="kind"), unlabeled='""')
    assert (dataset.classes, dataset.train.labels.tolist()) == (["2", "10"], [1, 0, -1])
    assert dataset.number_orders == [["2", "10", ""]]
    assert read(tmp_path / "one", label="size").number_orders == [["9", "10"]]
    assert read(tmp_path / "one", label="fine").number_orders == [["False", "True"]]
    assert read(tmp_path / "one", label="word").number_orders == [["9", "10"], ["10", "9"]]


def test_a_number_is_a_class_though_others_have_no_sample(tmp_path):
    """An array of the labels that `datasets` gives goes by all names, also by those that no sample has."""
    table([0, 2, 0]).save_to_disk(tmp_path / "one")
    dataset = read(tmp_path / "one")
    assert len(dataset.classes) == 2
    assert dataset.number_orders[0][2] == dataset.classes[1]


def test_splits_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"no split train .it has test"):
        read(save(tmp_path / "a", test=table([0, 1])))
    with pytest.raises(InputError, match="other columns in split 'test' than in train"):
        read(save(tmp_path / "b", train=table([0, 1]), test=table([0]).remove_columns(["label"])))


def test_a_folder_for_load_dataset(tmp_path, cache):
    """As downloaded from the hub: Parquet files in a folder, here with two configurations."""
    for config, labels in (("small", [0, 1]), ("large", [0, 1, 2])):
        (tmp_path / "set" / config).mkdir(parents=True)
        table(labels).to_parquet(tmp_path / "set" / config / "train.parquet")
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("small", "large"))
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    assert read(f"{tmp_path / 'set'}:large").classes == CLASSES
    assert looks_like(read(f"{tmp_path / 'set'}:small").train.images) == [0, 1]
    with pytest.raises(InputError, match=r"cannot be loaded \(.*small.*large"):
        read(tmp_path / "set")


def test_damaged_folders(tmp_path):
    path = tmp_path / "one"
    table([0, 1]).save_to_disk(path)
    (path / "data-00000-of-00001.arrow").write_bytes(b"")
    with pytest.raises(InputError, match=r"one cannot be loaded \("):
        read(path)
    with pytest.raises(InputError, match=r"what save_to_disk wrote to .*one has no 'small': give hf:.*one$"):
        read(f"{path}:small")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty cannot be loaded \("):
        read(tmp_path / "empty")


@pytest.fixture
def unreachable(monkeypatch):
    """Nothing listens where the hub is looked for."""
    for place in ("huggingface_hub.constants.ENDPOINT", "datasets.config.HF_ENDPOINT"):
        monkeypatch.setattr(place, "http://127.0.0.1:9")


def test_a_hub_out_of_reach(cache, unreachable, capfd):
    """One line, at once, and the libraries' settings are as before."""
    started, level = time.monotonic(), logging.getLogger("datasets").level
    with pytest.raises(InputError, match=r"^hf:nobody/nothing is no folder, not in the cache, .* cannot be reached: "):
        read("nobody/nothing")
    assert time.monotonic() - started < 20
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("datasets").level == level
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_name_in_the_cache_needs_no_hub(tmp_path, cache, unreachable):
    (tmp_path / "set").mkdir()
    table([0, 1]).to_parquet(tmp_path / "set" / "train.parquet")
    read(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    assert looks_like(read("set").train.images) == [0, 1]


@pytest.mark.parametrize(("name", "message"), [("", "needs a name"), ("../a b", r"cannot be loaded \(Repo id")])
def test_names_that_cannot_be(name, message, cache, unreachable):
    with pytest.raises(InputError, match=message):
        read(name)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'mixnn\[hf\]'"):
        read("nobody/nothing")
