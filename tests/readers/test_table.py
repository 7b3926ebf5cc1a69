"""Tables: which columns count, what odd files hold, and what is answered to bad ones."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from mixnn.data.check.findings import label_findings
from mixnn.data.dataset import Source
from mixnn.data.images.decoder import BadImage, decode
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
        pyarrow.parquet.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["cat", "owl"]}), path)
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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["0.0", "10.0", "2.0", "2.0"], ["0", "10", "2", "2"]),
        (["1.", "2.00", "", "-1.0"], ["1", "2", "", "-1"]),
        (["1.000000000000000000e+01", "2.0e+00", "cat", "NaN"], ["10", "2", "cat", "NaN"]),  # numpy.savetxt
        (["1", "2.0", "3", "3"], ["1", "2", "3", "3"]),
        (["1.0", "1.5", "2.0", "2.0"], ["1.0", "1.5", "2.0", "2.0"]),  # versions, perhaps
        (["1", "1.0", "01", "2.0"], ["1", "1.0", "01", "2.0"]),  # which `mixnn check` tells, and an option merges
        (["01", "02", "1e400", "9" * 30 + ".0"], ["01", "02", "1e400", "9" * 30 + ".0"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_whole_floats_are_whole_numbers(tmp_path, kind, given, expected):
    path, names = tmp_path / f"list.{kind}", [f"{i}.png" for i in range(4)]
    if kind == "parquet":
        pyarrow.parquet.write_table(pa.table({"path": names, "label": given}), path)
    elif kind == "jsonl":
        write(
            path,
            "".join(
                json.dumps({"path": name, "label": label}) + "\n" for name, label in zip(names, given, strict=True)
            ),
        )
    else:
        write(path, "path,label\n" + "".join(f"{name},{label}\n" for name, label in zip(names, given, strict=True)))
    assert read_table(str(path), Columns()).parts["train"].labels == expected


def test_labels_that_are_one_as_numbers(tmp_path):
    labels = ["1", "1.0", "01", "2.0", "2.0", "1", "2"]
    path = write(
        tmp_path / "list.csv", "path,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))
    )
    dataset = read_source(path)
    assert dataset.classes == ["01", "1", "1.0", "2", "2.0"]
    found = [
        (finding.label, finding.other_label) for finding in label_findings(dataset) if finding.kind == "similar labels"
    ]
    assert found == [("01", "1"), ("1.0", "1"), ("2", "2.0")]
    merged = read_source(path, merge_similar=True)
    assert merged.classes == ["1", "2.0"]
    assert merged.train.labels.tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert not any(finding.kind == "similar labels" for finding in label_findings(merged))


def test_one_column_for_each_class(tmp_path):
    path = write(tmp_path / "list.csv", "image,cat,dog,bird\na.png,0,1,0\n")
    with pytest.raises(InputError) as caught:
        read_table(path, Columns())
    assert str(caught.value) == (
        f"table {path} has no label column (label, class, category, target), it has 'image', 'cat', 'dog', 'bird': "
        "name it with --data.label-column (has each class a column, of 0 and 1? pandas makes labels of them by "
        "`.idxmax(axis=1)`)"
    )


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


@pytest.mark.parametrize(
    ("source", "message"),
    [("csv:gone.csv", "gone.csv cannot be read"), ("zip:a", "'zip' is unknown"), ("cvs:a.csv", "'cvs' is unknown")],
)
def test_by_name(source, message):
    with pytest.raises(InputError, match=message):
        read_source(source)
