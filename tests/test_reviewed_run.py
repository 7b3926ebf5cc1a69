"""`mixnn train --data.corrections`: from the file of decisions to the list of labels, and through a resume."""

from pathlib import Path

import pytest
from contract.command import SHORT, SMALL, assert_same_outcome, call, read_csv, succeed, write_folder
from review_cases import write_corrections

KEPT = [("red/00.png", "red", "keep"), ("red/01.png", "red", "keep")]  # wrong, but a person says so
DECISIONS = [*KEPT, ("blue/00.png", "green", "accept"), ("green/05.png", "", "drop")]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("reviewed") / "photos")


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    return write_corrections(tmp_path / "corrections.csv", *DECISIONS)


def test_the_list_of_a_run_with_reviewed_labels(photos: Path, decided: Path, tmp_path: Path) -> None:
    words = ["train", photos, "--data.holdout", "0", "--noise", "symmetric:0.5", *SMALL, *SHORT]
    succeed(*words, "--out", tmp_path / "plain")
    result = succeed(*words, "--out", tmp_path / "run", "--data.corrections", decided)
    assert "1 sample is left out, as reviewed" in result.err
    rows = {row["file_name"]: row for row in read_csv(tmp_path / "run/labels.csv")}
    plain = {row["file_name"]: row["given_label"] for row in read_csv(tmp_path / "plain/labels.csv")}
    reviewed = {name: label for name, label, _ in DECISIONS if label}
    assert rows.keys() == plain.keys() - {"green/05.png"}
    assert {name: row["given_label"] for name, row in rows.items()} == {name: plain[name] for name in rows} | reviewed
    for name, label in reviewed.items():
        row = rows[name]
        assert (row["suggested_label"], row["is_label_issue"], row["label_quality"]) == (label, "False", "1")


def test_decisions_that_changed_are_other_data(photos: Path, decided: Path, tmp_path: Path) -> None:
    words = ["train", photos, "--out", tmp_path / "run", "--data.corrections", decided, *SMALL, *SHORT]
    succeed(*words)
    succeed("train", photos, "--out", tmp_path / "again", *words[4:])
    (tmp_path / "run/labels.csv").unlink()
    succeed(*words, "--resume")  # writes it again
    assert_same_outcome(tmp_path / "again", tmp_path / "run")
    write_corrections(decided, *DECISIONS[:-1], ("red/02.png", "red", "keep"))  # not one label is another
    result = call(*words, "--resume")
    assert (result.code, "was made with other data" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("train/00001", "red", "keep"), "corrections of another data set"),
        (("red/00.png", "pink", "other"), "'pink', which is no class"),
        (("red/00.png", "red", "perhaps"), "decision 'perhaps' is unknown"),
    ],
)
def test_decisions_that_cannot_be_used(photos: Path, tmp_path: Path, row: tuple[str, str, str], message: str) -> None:
    decided = write_corrections(tmp_path / "c.csv", row)
    result = call("train", photos, "--out", tmp_path / "run", "--data.corrections", decided, *SMALL)
    assert (result.code, (tmp_path / "run").exists()) == (2, False)
    assert message in result.err.splitlines()[-1]
