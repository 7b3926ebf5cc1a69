"""Parquet tables: names of files or images inside, the words of numbered labels, and what is answered to bad ones."""

import io
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from mixnn.data.dataset import Source
from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers import Columns, read_source, table
from mixnn.errors import InputError


def read_table(path: str, columns: Columns) -> Source:
    return table.read_table(path, columns, kind="parquet")


def rows(source: Source, split: str = "train") -> list[tuple[str, str]]:
    return list(zip(source.parts[split].names, source.parts[split].labels, strict=True))


def encoded(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "png")
    return file.getvalue()


CONTENTS = [encoded((10 * i, 0, 0)) for i in range(4)]
CLASSES = ["owl", "cat", "dog"]
PATHS = ["a.png", "b.png", "c.png", "d.png"]


def save(
    path: Path, columns: dict[str, object], classes: list[str] | None = None, *, inside: str | None = "info"
) -> str:
    """A table, with class names for `label` where Hugging Face's own writer has them."""
    content = pa.table(columns)
    if classes is not None:
        features = {"features": {"label": {"names": classes, "_type": "ClassLabel"}, "image": {"_type": "Image"}}}
        note = json.dumps({inside: features} if inside else features)
        content = content.replace_schema_metadata({"huggingface": note})
    pyarrow.parquet.write_table(content, path)
    return str(path)


def test_parquet_of_file_names(tmp_path):
    labels = pa.array(["cat", "dog", None, "cat"]).dictionary_encode()
    path = save(tmp_path / "list.parquet", {"Label": labels, "path": PATHS, "split": ["train", "test"] * 2})
    source = read_table(path, Columns())
    assert rows(source) == [("a.png", "cat"), ("c.png", "")]
    assert rows(source, "test") == [("b.png", "dog"), ("d.png", "cat")]
    assert source.parts["test"].images.source(1) == str(tmp_path / "d.png")


@pytest.mark.parametrize("kind", ["binary", "large_binary", "struct"])
def test_parquet_with_images_inside(tmp_path, kind):
    if kind == "struct":
        images = pa.array([{"bytes": content, "path": path} for content, path in zip(CONTENTS, PATHS, strict=True)])
    else:
        images = pa.array(CONTENTS, getattr(pa, kind)())
    path = save(tmp_path / "list.parquet", {"image": images, "label": [2, 0, 1, 2]}, CLASSES)
    source = read_table(path, Columns())
    names = PATHS if kind == "struct" else [f"list/{row:05d}" for row in range(4)]
    assert rows(source) == list(zip(names, ["dog", "owl", "cat", "dog"], strict=True))
    assert source.classes == CLASSES
    for images in (source.parts["train"].images, pickle.loads(pickle.dumps(source.parts["train"].images))):
        assert [decode(images.source(row), 8)[0, 0, 0] for row in range(4)] == [0, 10, 20, 30]
    assert source.parts["train"].images[np.array([3, 1])].source(0) == CONTENTS[3]


def test_images_inside_that_are_missing_or_share_a_name(tmp_path):
    images = [{"bytes": CONTENTS[0], "path": "a.png"}, {"bytes": None, "path": "a.png"}, None]
    path = save(tmp_path / "list.parquet", {"image": images, "label": ["a", "b", "c"]})
    part = read_table(path, Columns()).parts["train"]
    assert part.names == ["list/00000", "list/00001", "list/00002"]
    assert part.images.source(0) == CONTENTS[0]
    for row in (1, 2):
        with pytest.raises(BadImage, match="holds no image"):
            part.images.source(row)


def test_structs_that_only_name_files(tmp_path):
    images = pa.array(
        [{"bytes": None, "path": path} for path in PATHS], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    part = read_table(save(tmp_path / "list.parquet", {"image": images, "label": list("abab")}), Columns()).parts[
        "train"
    ]
    assert isinstance(part.images, ImageFiles)
    assert part.images.source(3) == str(tmp_path / "d.png")


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ([2, 0, -1, None], CLASSES, ["dog", "owl", "", ""]),  # -1 is what a hidden test label looks like
        ([2, 0, 10, -1], None, ["2", "0", "10", "-1"]),
        ([1.0, None, 2.5, float("nan")], None, ["1", "", "2.5", ""]),
        ([True, False, True, None], None, ["True", "False", "True", ""]),
    ],
)
@pytest.mark.parametrize("inside", ["info", None])  # newer and older writers
def test_labels_that_are_numbers(tmp_path, labels, classes, words, inside):
    path = save(tmp_path / "list.parquet", {"image": PATHS, "label": labels}, classes, inside=inside)
    assert [label for _, label in rows(read_table(path, Columns()))] == words


def test_the_order_of_classes_is_that_of_the_table(tmp_path):
    path = save(tmp_path / "list.parquet", {"image": PATHS, "label": [2, 0, 1, 0]}, CLASSES)
    dataset = read_source(path)
    assert (dataset.classes, dataset.train.labels.tolist()) == (CLASSES, [2, 0, 1, 0])


@pytest.mark.parametrize(
    ("columns", "classes", "message"),
    [
        ({"image": PATHS, "x": PATHS}, None, "no label column"),
        ({"image": [1, 2], "label": ["a", "b"]}, None, "column 'image' has int64, neither file names nor images"),
        ({"image": [[1], [2]], "label": ["a", "b"]}, None, "column 'image' has list<.*, neither"),
        ({"image": ["a", None], "label": ["a", "b"]}, None, "row 2: the file name is empty"),
        ({"image": ["a", "b"], "label": [["a"], ["b"]]}, None, "column 'label' has list, neither text nor a number"),
        ({"image": ["a", "b"], "label": [0, 3]}, CLASSES, "column 'label' has 3, but 3 class names"),
        ({"image": ["a", "b"], "label": [0, -2]}, CLASSES, "column 'label' has -2, but 3 class names"),
    ],
)
def test_parquet_errors(tmp_path, columns, classes, message):
    with pytest.raises(InputError, match=message):
        read_table(save(tmp_path / "list.parquet", columns, classes), Columns())


@pytest.mark.parametrize(
    "damage", [lambda raw: b"", lambda raw: b"<html>", lambda raw: raw[:-20], lambda raw: raw[100:]]
)
def test_damaged_parquet(tmp_path, damage):
    path = Path(save(tmp_path / "list.parquet", {"image": PATHS, "label": PATHS}))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"table .*list\.parquet (is no Parquet file|cannot be read)") as caught:
        read_table(str(path), Columns())
    assert "\n" not in str(caught.value)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = save(tmp_path / "list.parquet", {"image": PATHS, "label": PATHS})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'mixnn\[parquet\]'"):
        read_table(path, Columns())
