"""Labels that say that there is none: one rule for every reader, told, and an option that takes them as classes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from mixnn.config import DataOptions
from mixnn.data.labels.missing import missing_words
from mixnn.data.read import read
from mixnn.data.readers.arrays import arrays_in_memory
from mixnn.errors import InputError
from mixnn.evidence.inputs import encoded_labels

SPELLINGS = ["NaN", "nan", "None", "NA", "N/A", "n/a", "null", "NULL", "<NA>", "#N/A", "NaT", "", "-1"]
KEEP = "--data.missing-labels keep takes them as classes"


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["cat", "NaN", "None", "", "none", "na", "Null"], ["", "NaN", "None"]),  # the last three are words
        (["cat", " NaN ", "dog"], [" NaN "]),
        (["0", "1", "-1"], ["-1"]),
        (["0.0", "1.0", "-1.0"], ["-1.0"]),
        (["cat", "dog", "-1"], ["-1"]),
        (["-1", "1"], []),  # a binary coding
        (["-1", "-2", "0", "1"], []),
        (["-1", "1", "NaN"], ["NaN"]),
    ],
)
def test_words(words, missing):
    assert sorted(missing_words(words)) == missing


def write(kind: str, labels: list[object], folder: Path) -> str:
    """Data of this kind with these labels, as a person hands it over."""
    names = [f"{i}.png" for i in range(len(labels))]
    texts = ["" if label is None else str(label) for label in labels]
    path = folder / f"data.{kind}"
    if kind in ("csv", "tsv"):
        sign = "," if kind == "csv" else "\t"
        path.write_text(
            "\n".join(f"{a}{sign}{b}" for a, b in zip(["path", *names], ["label", *texts], strict=True)) + "\n"
        )
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps({"path": a, "label": b}) for a, b in zip(names, labels, strict=True)))
    elif kind == "parquet":
        pyarrow.parquet.write_table(pa.table({"path": names, "label": labels}), path)
    elif kind == "npz":
        np.savez(path, x=np.zeros((len(labels), 4)), y=np.array(labels))
    else:
        datasets = pytest.importorskip("datasets")
        columns = {"image": [np.full((8, 8, 3), i, np.uint8) for i in range(len(labels))], "label": labels}
        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value(kind.removeprefix("hf "))})
        datasets.Dataset.from_dict(columns, features).save_to_disk(folder / "hf")
        return f"hf:{folder / 'hf'}"
    return str(path)


NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "labels", "told"),
    [
        *((kind, ["cat", "dog", word, "cat"], word) for kind in ("csv", "npz") for word in SPELLINGS),
        *((kind, ["cat", "dog", "None", "cat"], "None") for kind in ("tsv", "jsonl", "parquet", "hf string")),
        *((kind, ["cat", "dog", None, "cat"], "") for kind in ("csv", "jsonl", "parquet", "hf string")),
        *((kind, [0, 1, -1, 0], "-1") for kind in ("csv", "jsonl", "parquet", "npz", "hf int64")),
        *((kind, [0.0, 1.0, NAN, 0.0], "") for kind in ("jsonl", "parquet", "npz", "hf float64")),
        ("parquet", [0, 1, None, 0], ""),
    ],
)
def test_every_reader(kind, labels, told, tmp_path, capsys):
    source = write(kind, labels, tmp_path)
    dataset = read(source, DataOptions())
    assert dataset.train.labels.tolist() == [0, 1, -1, 0]
    assert (len(dataset.classes), dataset.unlabeled) == (2, [told])
    line = f"mixnn: 1 label is missing ({told!r} 1): such samples count as unlabeled"
    assert line + (f"; {KEEP}" if told else "") in capsys.readouterr().err.splitlines()
    if told:
        kept = read(source, DataOptions(missing_labels="keep"))
        assert (len(kept.classes), kept.unlabeled) == (3, [])
        assert told in kept.classes


def test_minus_one_with_a_list_of_classes(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4)), y=[0, 1, -1], classes=["cat", "dog"])
    assert read(str(tmp_path / "a.npz"), DataOptions()).train.labels.tolist() == [0, 1, -1]
    assert f"mixnn: 1 label is missing ('-1' 1): such samples count as unlabeled; {KEEP}" in capsys.readouterr().err
    with pytest.raises(InputError, match="part 'train' has label -1, but 2 classes"):
        read(str(tmp_path / "a.npz"), DataOptions(missing_labels="keep"))


def test_minus_one_beside_one(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 4)), y=[-1, 1, 1, -1])
    assert read(str(tmp_path / "a.npz"), DataOptions()).classes == ["-1", "1"]
    told = "mixnn: label -1 is taken as a class; --data.unlabeled=-1 takes it as a missing label\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("labels", [["a", "b", None], np.array(["a", "b", NAN], object), np.array([True, False, None])])
def test_in_memory(labels):
    source = arrays_in_memory(np.zeros((3, 4)), labels)
    assert list(source.parts["train"].labels)[2] == ""


def test_find_label_issues_follows(capsys):
    classes, given = encoded_labels([0, 1, -1, 0])
    assert (classes, given.tolist()) == ([0, 1], [0, 1, -1, 0])
    assert capsys.readouterr().err == (
        "mixnn: 1 label is missing ('-1' 1): such samples count as unlabeled; give them other names to have classes\n"
    )


@pytest.mark.parametrize(
    ("name", "content", "labels", "told"),
    [
        ("l.csv", "file_name,label\n0.png,cat\n1.png,NaN\n2.png,dog\n", [0, -1, 1], "'NaN' 1"),
        ("l.csv", "file_name,label\n0.png,cat\n1.png,-1\n2.png,dog\n", [0, -1, 1], "'-1' 1"),
        ("l.json", '["cat", null, "dog"]', [0, -1, 1], "'null' 1"),
        ("l.json", "[0, NaN, 1]", [0, -1, 1], "'-1' 1"),
        ("l.npy", np.array([0, -1, 1]), [0, -1, 1], "'-1' 1"),
        ("l.npy", np.array([0, NAN, 1]), [0, -1, 1], "'-1' 1"),
    ],
)
def test_files_of_labels(name, content, labels, told, tmp_path, capsys):
    table = tmp_path / "data.csv"
    table.write_text("path,label\n0.png,cat\n1.png,dog\n2.png,dog\n")
    file = tmp_path / name
    np.save(file, content) if isinstance(content, np.ndarray) else file.write_text(content)
    dataset = read(str(table), DataOptions(labels=str(file)))
    assert (dataset.train.labels.tolist(), dataset.dropped.tolist()) == (labels, [])
    line = f"mixnn: 1 label is missing in {file} ({told}): such samples count as unlabeled; {KEEP}"
    assert line in capsys.readouterr().err
    with pytest.raises(InputError, match="is no class"):
        read(str(table), DataOptions(labels=str(file), missing_labels="keep"))


def test_a_number_that_is_no_class_leaves_nothing_out(tmp_path):
    """Label 2 of two classes stood for the empty label, which leaves its sample out."""
    (tmp_path / "data.csv").write_text("path,label\n0.png,cat\n1.png,dog\n2.png,dog\n")
    np.save(tmp_path / "l.npy", [0, 2, 1])
    with pytest.raises(InputError, match=r"label 2 \(sample 1\) is no class: use 0 to 1"):
        read(str(tmp_path / "data.csv"), DataOptions(labels=str(tmp_path / "l.npy")))


def test_parts_without_labels(tmp_path, capsys):
    """As contests have them: what is to be measured on is told, and something else is held out."""
    rows = [("a.png", "cat", "train"), ("b.png", "dog", "train"), ("c.png", "", "test"), ("d.png", "NA", "test")]
    table = tmp_path / "data.csv"
    table.write_text("\n".join(map(",".join, [("path", "label", "split"), *rows])) + "\n")
    dataset = read(str(table), DataOptions())
    assert (dataset.heldout, list(dataset.others), dataset.classes) == (None, ["test"], ["cat", "dog"])
    assert capsys.readouterr().err.splitlines()[1] == (
        "mixnn: 2 of 2 samples of part 'test' have no label: accuracy is not measured on it; "
        "`mixnn predict` labels them"
    )
    with pytest.raises(InputError, match=r"--data\.heldout test: no sample of that part has a label: leave it away"):
        read(str(table), DataOptions(heldout="test"))
