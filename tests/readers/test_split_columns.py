"""Columns that say the parts, whatever their names and values; and what is said of those that are not used."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from mixnn.config import DataOptions
from mixnn.data.read import read
from mixnn.data.readers import Columns
from mixnn.data.readers.arrays import read_arrays
from mixnn.data.readers.hub import read_hub
from mixnn.data.readers.split_columns import split_columns, split_meanings
from mixnn.errors import InputError

TAKEN = "--data.split-column none leaves it out"


@pytest.mark.parametrize(
    ("name", "words", "parts"),
    [
        ("split", ["training", "Train", "TRAIN", "valid", "dev", "Holdout", "held-out"], "tttvvee"),
        ("Usage", ["Training", "PublicTest", "PrivateTest"], "tee"),
        ("is_valid", ["True", "False"], "vt"),
        ("is_valid", ["1", "0"], "vt"),
        ("is_test", ["1.0", "0.0"], "et"),
        ("is_train", ["yes", "no"], "te"),
        ("test", ["False"], "t"),
        ("holdout", ["T", "F"], "et"),
        ("is_valid", ["True", "maybe"], "  "),
        ("fold", ["0", "1"], "  "),
    ],
)
def test_meanings(name, words, parts):
    letters = {"t": "train", "v": "val", "e": "test", " ": ""}
    assert split_meanings(name, words) == {word: letters[part] for word, part in zip(words, parts, strict=True)}


@pytest.mark.parametrize(
    ("header", "places"),
    [
        ("path,label", []),
        ("path,label,camera,set", [3]),
        ("path,fold,label,is_valid", [3, 1]),
        ("Data Split,label,SPLIT", [2, 0]),
        ("path,is-test,train,Subset", [3, 1, 2]),
        ("path,valid_from,tests,training_hours,offset,dataset", []),
    ],
)
def test_columns_that_look_like_one(header, places):
    assert split_columns(header.split(",")) == places


def write(path: Path, header: str, rows: list[tuple[object, ...]]) -> str:
    keys = header.split(",")
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.table(dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))), path)
    else:
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def parts(source: str, **options: str) -> dict[str, list[str]]:
    dataset = read(source, DataOptions(**options))
    held = {} if dataset.heldout is None else {dataset.heldout_name: dataset.heldout}
    return {name: samples.names for name, samples in {"train": dataset.train, **held, **dataset.others}.items()}


NOISY = [("a.png", "cat", False), ("b.png", "dog", False), ("c.png", "cat", True)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_noisy_imagenette(kind, tmp_path, capsys):
    """As fastai publishes it."""
    source = write(tmp_path / f"noisy.{kind}", "path,noisy_labels_50,is_valid", NOISY)
    wanted = {"train": ["a.png", "b.png"], "val": ["c.png"]}
    assert parts(source) == wanted
    assert capsys.readouterr().err.splitlines() == [
        f"mixnn: table {source}: column 'is_valid' says the parts, 'False' is train, 'True' is val; {TAKEN}",
        f"mixnn: table {source}: column 'noisy_labels_50' has the labels; --data.label-column takes another",
    ]
    assert parts(source, split_column="is_valid", label_column="noisy_labels_50") == wanted
    assert parts(source, split_column="none") == {"train": ["a.png", "b.png", "c.png"]}


def test_several_columns_of_labels(tmp_path):
    rows = [(*row[:2], row[1], row[2]) for row in NOISY]
    source = write(tmp_path / "noisy.csv", "path,noisy_labels_0,noisy_labels_50,is_valid", rows)
    fault = (
        "has several columns that may be the labels .'noisy_labels_0', 'noisy_labels_50'.: name one with --data.label"
    )
    with pytest.raises(InputError, match=fault):
        read(source, DataOptions())
    assert len(parts(source, label_column="noisy_labels_50")) == 2


@pytest.mark.parametrize(
    ("header", "words", "told"),
    [
        (
            "fold",
            "012",
            "column 'fold' looks like a split and is not used, as '0' is no part (values: '0', '1', '2'): ",
        ),
        ("set", "ABB", "column 'set' looks like a split and is not used, as 'A' is no part (values: 'A', 'B'): "),
    ],
)
def test_what_is_not_used_is_said(header, words, told, tmp_path, capsys):
    rows = [(*row[:2], word) for row, word in zip(NOISY, words, strict=True)]
    source = write(tmp_path / "a.csv", f"path,label,{header}", rows)
    assert list(parts(source)) == ["train"]
    assert capsys.readouterr().err == f"mixnn: table {source}: {told}all rows are for training\n"
    with pytest.raises(InputError, match=r"line 2: split '.' is unknown: .* or give --data\.split-column none"):
        read(source, DataOptions(split_column=header))


def test_arrays_and_hugging_face(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4)), y=[0, 1, 0], is_valid=[True, False, True])
    assert read_arrays(str(tmp_path / "a.npz"), Columns()).notes == [
        f"{tmp_path / 'a.npz'}: 'is_valid' looks like a split and is not used: save parts as x_train, y_train, x_test, "
        "y_test"
    ]
    datasets = pytest.importorskip("datasets")
    columns = {"image": [np.zeros((8, 8, 3), np.uint8)] * 2, "label": ["cat", "dog"], "fold": [0, 1]}
    kinds = {"image": datasets.Image(), "label": datasets.Value("string"), "fold": datasets.Value("int64")}
    datasets.Dataset.from_dict(columns, datasets.Features(kinds)).save_to_disk(tmp_path / "hf")
    told = f"hf:{tmp_path / 'hf'}: 'fold' looks like a split and is not used: save parts as splits"
    assert list(read_hub(str(tmp_path / "hf"), Columns()).notes) == [told]


def test_a_second_column_is_said(tmp_path, capsys):
    rows = [(*row[:2], "train", int(row[2])) for row in NOISY]
    source = write(tmp_path / "a.csv", "path,label,split,is_test", rows)
    assert list(parts(source)) == ["train"]
    line = f"mixnn: table {source}: column 'is_test' looks like a split and is not used; --data.split-column is_test"
    assert capsys.readouterr().err == f"{line} takes it\n"
    assert parts(source, split_column="is_test") == {"train": ["a.png", "b.png"], "test": ["c.png"]}
