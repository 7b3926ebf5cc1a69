"""Rows of a table are found, judged, shown, corrected, learned from and predicted."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.command import call, read_csv, succeed

import mixnn
import mixnn.runs.directory
from mixnn.data.records.records import Records
from mixnn.data.records.table_encoder import TableEncoder, fitted
from mixnn.errors import InputError
from mixnn.evidence.trees import tree_probs
from mixnn.runs.sample_lists import read_records

WRONG = range(7, 90, 20)
HEADER = ["user_id", "age", "city", "joined", "member", "country", "note", "risk"]
DEVICE = ["--device", "cpu"]


def write_table(path: Path) -> Path:
    """90 rows of three classes, told by age and city; five wrong labels."""
    random, classes = np.random.default_rng(0), ["high", "low", "mid"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for i in range(90):
            kind = i % 3
            age = "" if i == 4 else f"{random.normal(20 + 20 * kind, 3):.1f}"
            city = "NA" if i == 5 else ["Rome", "Oslo", "Bern"][kind]
            label = classes[(kind + (i in WRONG)) % 3]
            row = [1000 + i, age, city, f"2024-0{1 + i % 9}-15", i % 2 == 0, "IT", f"user {i} wrote <i>", label]
            writer.writerow(row)
        writer.writerow(["", "", "", "", "", "", "", "high"])
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rows")
    table = write_table(root / "people.csv")
    options = ["--data.columns", "all", "--data.label-column", "risk", *DEVICE]
    found = succeed("find", table, "--out", root / "found", *options)
    (root / "found.txt").write_text(found.err + found.out)
    options[1] = "age,city"
    succeed("train", table, "--out", root / "trained", "--epochs", 8, "--batch-size", 32, *options)
    return root


def test_the_screen_says_what_becomes_of_each_column(place: Path) -> None:
    said = (place / "found.txt").read_text()
    for line in (
        "mixnn: features of rows: age (numbers, some missing), city (3 values, some missing), joined (dates), "
        "member (2 values)\n",
        "mixnn: features of rows: left out: user_id (a number of its own in each row), country (one value only), "
        "note (a value of its own in most rows)\n",
        "mixnn: 1 of 91 rows are empty and are set aside; the first: row 91 (all its values are empty).",
        "90 rows in 3 classes, on cpu\n",
    ):
        assert line in said


def test_wrong_labels_come_first_and_say_their_row(place: Path) -> None:
    issues = read_csv(place / "found/label_issues.csv")
    assert {row["file_name"] for row in issues} >= {f"row {i + 1}" for i in WRONG}
    assert issues[0]["text"].startswith("user_id: 10")
    noun, texts = read_records(mixnn.runs.directory.RunDirectory(place / "found"))
    assert noun == "row"
    assert texts[4].startswith(
        "user_id: 1004 · city: Oslo · joined: 2024-05-15 · member: True · country: IT · note: user 4"
    )
    page = (place / "found/report.html").read_text(encoding="utf-8")
    assert "Map of the rows" in page
    lines = succeed("find", "--out", place / "found", "--explain", "row 8").out.splitlines()
    assert lines[1].startswith(f"  {'row':<17} user_id: 1007 · age: ")


def test_corrections_go_back_into_the_table(place: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("file_name,corrected_label,decision\nrow 8,low,accept\n")
    succeed("apply", place / "found", tmp_path / "c.csv", "--out", tmp_path / "clean.csv")
    rows, before = read_csv(tmp_path / "clean.csv"), read_csv(place / "people.csv")
    assert rows[7] == before[7] | {"risk": "low", "original_label": before[7]["risk"]}
    assert len(rows) == len(before)


def test_a_trained_run_predicts_rows(place: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("city,age\nOslo,41\nParis,60\n")
    result = succeed("predict", place / "trained", tmp_path / "new.csv")
    assert [line.split(",")[:2] for line in result.out.splitlines()[1:]] == [["row 1", "low"], ["row 2", "mid"]]
    assert "mixnn: column 'city': 1 values that no training row has, as if there were none\n" in result.err
    model = mixnn.Run(place / "trained").model("cpu")
    rows = [{"age": 21, "city": "Rome"}, {"age": None, "city": "Bern"}]
    assert [model.classes[i] for i in model.predict(rows).argmax(1)] == ["high", "mid"]
    with pytest.raises(InputError, match="no column 'city' in 'age': give age, city"):
        model.predict([{"age": 3}])


def test_wrong_columns_are_told(place: Path, tmp_path: Path) -> None:
    for named, message in {
        "age,size": "--data.columns: table {} has no column 'size' ('user_id', 'age', ",
        "age,risk": "table {}: column 'risk' has both values and labels: name the labels with --data.label-column",
        "country": "no column says anything of a row: country (one value only): name others by --data.columns",
    }.items():
        options = ("--data.columns", named, "--data.label-column", "risk")
        result = call("find", place / "people.csv", "--out", tmp_path / "run", *options)
        assert result.code == 2
        assert message.format(place / "people.csv") in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "words", "kind", "reason"),
    [
        ("n", ["1", "2", "inf"], "number", ""),
        ("n", ["1", "2", "x"] * 10, "category", ""),
        ("when", ["2024-01-01", "2024-01-02T12:00", ""], "date", ""),
        ("when", ["1/2/2024", "3/4/2024"] * 9, "category", ""),
        ("order_no", [str(i * i) for i in range(30)], "none", "a number of its own in each row"),
        ("count", [str(i * i) for i in range(30)], "number", ""),
        ("count", [str(9 + i) for i in range(30)], "none", "a number of its own in each row"),
        ("who", [f"name {i}" for i in range(30)], "none", "a value of its own in most rows"),
        ("what", [f"{'long ' * 20}{i}" for i in range(30)], "none", "text: --data.text-column takes it"),
        ("gone", ["", "NaN", "NA"], "none", "empty"),
        ("same", ["1", "1"], "none", "one value only"),
        ("half", ["1", "", "1"], "number", ""),
    ],
)
def test_what_a_column_becomes(name: str, words: list[str], kind: str, reason: str) -> None:
    column, why = fitted(name, words)
    assert (column["kind"], why) == (kind, reason)


def test_features_are_scaled_and_rare_words_are_one() -> None:
    cells = [(str(i % 7), f"v{min(i, 150 + i % 3)}") for i in range(600)]
    encoder, other = TableEncoder(), TableEncoder()
    records = Records("row", ("n", "v"), cells)
    encoder.fit(records)
    x = encoder.encode(records, lambda *_: None)
    assert x.shape == (600, 1 + 100 + 1 + 1)
    np.testing.assert_allclose([x[:, 0].mean(), x[:, 0].std()], [0, 1], atol=1e-5)
    np.testing.assert_array_equal(x[:, 1:102].sum(1), 1)
    assert len(np.unique(x[:, -1])) == 1
    other.load(encoder.about())
    np.testing.assert_array_equal(other.encode(records, lambda *_: None), x)


def test_trees_have_not_seen_the_label() -> None:
    """Of pure noise nothing is known; of what is clear, the wrong label is not believed."""
    random = np.random.default_rng(0)
    x, given = torch.from_numpy(random.normal(size=(200, 3)).astype(np.float32)), random.integers(0, 2, 200)
    probs = tree_probs(x, given, 2)
    assert probs is not None
    assert abs((probs.argmax(1) == given).mean() - 0.5) < 0.12
    truth = (x[:, 0] > 0).numpy().astype(np.int64)
    given = np.where(np.arange(200) % 20 == 0, 1 - truth, truth)
    given[1] = -1
    probs = tree_probs(x, given, 2)
    assert probs is not None
    assert (probs.argmax(1) == truth).mean() > 0.9
    np.testing.assert_allclose(probs.sum(1), 1, rtol=1e-5)
    assert tree_probs(x, np.full(200, -1), 2) is None
