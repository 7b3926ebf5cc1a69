"""Tables: which columns count, what odd files hold, Parquet with images inside, and what is answered to bad ones."""

import io
import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from mixnn.data.dataset import Source
from mixnn.data.decode import BadImage, decode
from mixnn.data.files import ImageFiles
from mixnn.data.readers import Columns, read_source, table
from mixnn.errors import InputError


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read_table(path: str, columns: Columns) -> Source:
    """By the ending, as `read_source` does."""
    return table.read_table(path, columns, kind=Path(path).suffix[1:].lower())


def rows(source: Source, split: str = "train") -> list[tuple[str, str]]:
    part = source.parts[split]
    assert len(part.images) == len(part.labels)
    return list(zip(part.names, part.labels, strict=True))


# CSV


def test_csv(tmp_path):
    """BOM, other columns, quotes, a comma, two lines in one value, a blank line, emoji; images lie beside the table."""
    text = '﻿label,note,file_name\r\nowl,,in/z.png\r\n"big, cat","two\r\nlines",".""a"", b.png"\r\n\r\n🦉,x,🐈.png\r\n'
    source = read_table(write(tmp_path / "list.csv", text), Columns())
    assert rows(source) == [("in/z.png", "owl"), ('."a", b.png', "big, cat"), ("🐈.png", "🦉")]
    assert source.parts["train"].images.source(0) == str(tmp_path / "in/z.png")


def test_tsv(tmp_path):
    path = write(tmp_path / "list.TSV", "image\tclass\na, b.png\tcat\n")
    assert rows(read_table(path, Columns())) == [("a, b.png", "cat")]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_the_kind_counts_not_the_ending(tmp_path, kind):
    path = tmp_path / "list.dat"
    if kind == "parquet":
        save(path, {"path": ["a.png", "b.png"], "label": ["cat", "owl"]})
    elif kind == "jsonl":
        write(path, '{"path": "a.png", "label": "cat"}\n{"path": "b.png", "label": "owl"}\n')
    else:
        write(path, "path,label\na.png,cat\nb.png,owl\n".replace(",", "," if kind == "csv" else "\t"))
    dataset = read_source(f"{kind}:{path}")
    assert (dataset.train.names, dataset.classes) == (["a.png", "b.png"], ["cat", "owl"])


def test_a_table_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    images = read_table(write(Path("list.csv"), "file_name,label\na.png,cat\n"), Columns()).parts["train"].images
    assert decode(images.source(0), 8).shape == (8, 8, 3)


def test_root(tmp_path):
    (tmp_path / "photos").mkdir()
    path = write(tmp_path / "list.csv", "file_name,label\na.png,cat\n../up.png,cat\n")
    images = read_table(path, Columns(root=str(tmp_path / "photos"))).parts["train"].images
    assert images.source(0) == str(tmp_path / "photos/a.png")
    with pytest.raises(BadImage, match="lies outside"):
        images.source(1)
    with pytest.raises(InputError, match=r"--data\.root gone is no folder"):
        read_table(path, Columns(root="gone"))


def test_file_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"\xff\xe4.png")
    try:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    source = read_table(write(tmp_path / "list.csv", b"file_name,label\n\xff\xe4.png,cat\n"), Columns())
    assert rows(source) == [(name, "cat")]
    assert decode(source.parts["train"].images.source(0), 8).shape == (8, 8, 3)


def test_same_rows_and_empty_labels_are_kept(tmp_path):
    path = write(tmp_path / "list.csv", "file_name,label\na.png,cat\na.png,dog\na.png,cat\nb.png,\n")
    expected = [("a.png", "cat"), ("a.png", "dog"), ("a.png", "cat"), ("b.png", "")]
    assert rows(read_table(path, Columns())) == expected


@pytest.mark.parametrize(
    ("header", "columns", "places"),
    [
        ("file_name,label", {}, (0, 1)),
        ("Target,IMAGE", {}, (1, 0)),
        ("category,class,path,filename", {}, (3, 1)),  # the first usual name, not the first column
        (" Label , Image", {}, (1, 0)),
        ("image,label,x,y", {"image": "y", "label": "x"}, (3, 2)),
        ("image,label,Label", {"label": "Label"}, (0, 2)),
    ],
)
def test_columns(tmp_path, header, columns, places):
    values = [f"v{place}" for place in range(header.count(",") + 1)]
    path = write(tmp_path / "list.csv", f"{header}\n{','.join(values)}\n")
    assert rows(read_table(path, Columns(**columns))) == [tuple(values[place] for place in places)]


@pytest.mark.parametrize(("header", "columns"), [("Split", {}), ("fold", {"split": "fold"})])
def test_splits(tmp_path, header, columns):
    text = (
        f"{header},image,label\nTEST,a,cat\ntrain,b,dog\n Dev,c,cat\ntraining,d,cat\nvalidation,e,dog\ntesting,f,dog\n"
    )
    source = read_table(write(tmp_path / "list.csv", text), Columns(**columns))
    assert {split: rows(source, split) for split in source.parts} == {
        "train": [("b", "dog"), ("d", "cat")],
        "val": [("c", "cat"), ("e", "dog")],
        "test": [("a", "cat"), ("f", "dog")],
    }
    assert [source.parts["test"].images.source(row) for row in (0, 1)] == [str(tmp_path / name) for name in "af"]


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (b"", {}, "is empty: write the columns file_name,label"),
        (b"a,label\n", {}, r"no image column \(file_name, .*\), it has 'a', 'label': name it with --data.image-column"),
        (
            b"path,a,b\n",
            {},
            r"no label column \(label, .*\), it has 'path', 'a', 'b': name it with --data.label-column",
        ),
        (b"path,breed\n", {}, "no label column"),
        (b"path,label,Label\n", {}, "2 columns 'label' .*: rename one, or name it with --data.label-column"),
        (b"path,label,label\n", {"label": "label"}, "2 columns 'label' .*: rename one"),
        (b"path,label\n", {"label": "breed"}, "--data.label-column: table .* has no column 'breed' .*'path', 'label'"),
        (b"path,label\n", {"split": "fold"}, "--data.split-column: table .* has no column 'fold'"),
        (b"path,label\n", {}, "has no rows"),
        (b"path,label\na,cat\n", {"image": "label"}, "column 'label' has both images and labels: name two"),
        (
            b"path;label\na;cat\n",
            {},
            "has one column only, 'path;label': separate columns with commas, or name it tsv:",
        ),
        (b"path,label\na,cat\n\nb\n", {}, "line 4: 1 values for 2 columns"),
        (b"path,label\na,cat\nb, c,cat\n", {}, "line 3: 3 values for 2 columns: put quotes"),
        (b'path,label\n"a\nb",cat\n,cat\n', {}, "line 4: the file name is empty: fill it in"),
        (b"path,label\na,cat\nb,k\xe4fer\nc,k\xe4fer\n", {}, r"line 3: label 'k\\udce4fer' is not UTF-8"),
        (b'path,label\na,cat\n"b,cat\nc,cat\n', {}, "line 4: no CSV .*correct the quotes"),
        ("path,label\na,cat\n".encode("utf-16"), {}, "is not text in UTF-8"),
        (
            b"path,label,split\na,cat,train\nb,cat,both\n",
            {},
            "line 3: split 'both' is unknown: write train, val or test",
        ),
        (b"path,label,split\na,cat,test\n", {}, "has no row for training"),
    ],
)
def test_csv_errors(tmp_path, content, columns, message):
    with pytest.raises(InputError, match=message):
        read_table(write(tmp_path / "list.csv", content), Columns(**columns))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables_that_cannot_be_read(tmp_path, suffix):
    with pytest.raises(InputError, match=rf"table .*gone\.{suffix} cannot be read \(No such file or directory\)"):
        read_table(str(tmp_path / f"gone.{suffix}"), Columns())
    (tmp_path / f"folder.{suffix}").mkdir()
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_table(str(tmp_path / f"folder.{suffix}"), Columns())


# Parquet


def encoded(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "png")
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


@pytest.mark.parametrize(
    ("source", "message"),
    [("csv:gone.csv", "gone.csv cannot be read"), ("zip:a", "'zip' is unknown"), ("cvs:a.csv", "'cvs' is unknown")],
)
def test_by_name(source, message):
    with pytest.raises(InputError, match=message):
        read_source(source)
