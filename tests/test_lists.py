"""Long lists are Parquet with the same rows; one of the two files is there, and readers need not know which."""

import numpy as np
import pytest
from contract.command import succeed

from mixnn.results.label_lists import write_labels
from mixnn.runs import sample_lists
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import list_file, read_list, write_list

COLUMNS = {"file_name": str, "label_quality": float, "is_label_issue": bool}
ROWS = [
    {"file_name": "ü, 🦊.png", "label_quality": np.float32(1 / 3), "is_label_issue": False},
    {"file_name": 'c "d".png', "label_quality": np.nan, "is_label_issue": True},
    {"file_name": "e.png", "label_quality": 1e-7, "is_label_issue": False},
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(sample_lists, "LONG", 2)
    monkeypatch.setattr(sample_lists, "CHUNK", 2)  # so that there is a second part
    return RunDirectory(tmp_path)


def write(run, rows):
    write_list(run, run.labels, lambda: iter(rows), COLUMNS, len(rows))


def test_a_long_list_holds_what_a_short_one_would(run, monkeypatch):
    write(run, ROWS)
    long = read_list(run, run.labels)
    assert list_file(run.labels).name == "labels.parquet"
    assert not run.labels.exists()
    monkeypatch.setattr(sample_lists, "LONG", 3)
    write(run, ROWS)
    assert read_list(run, run.labels) == long
    assert long[1] == {"file_name": 'c "d".png', "label_quality": "", "is_label_issue": "True"}
    assert [path.name for path in run.path.iterdir()] == ["labels.csv"]  # not both
    monkeypatch.setattr(sample_lists, "LONG", 2)
    write(run, ROWS)
    assert [path.name for path in run.path.iterdir()] == ["labels.parquet"]


def test_numbers_stay_numbers(run):
    import pyarrow.parquet

    write(run, ROWS)
    table = pyarrow.parquet.read_table(list_file(run.labels))
    assert table.column("label_quality").to_pylist() == [float(np.float32(1 / 3)), None, 1e-7]
    assert table.column("is_label_issue").to_pylist() == [False, True, False]


def test_names_that_are_no_text_need_csv(run):
    rows = [*ROWS, ROWS[0] | {"file_name": "latin \udce4.png"}]
    write(run, rows)
    assert [path.name for path in run.path.iterdir()] == ["labels.csv"]
    assert read_list(run, run.labels)[-1]["file_name"] == "latin \udce4.png"


def test_without_pyarrow_it_is_csv(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    write(run, ROWS)
    assert list_file(run.labels) == run.labels


def test_a_run_with_a_long_list_can_be_exported(run, evidence, classes, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_config({"source": "photos", "method": "ce"})
    run.write_json(run.classes, classes)
    run.write_evidence(evidence)
    write_labels(run)
    assert list_file(run.labels).name == "labels.parquet"
    assert run.label_issues.exists()  # fewer
    succeed("export", run.path, "--to", "numpy", "--out", tmp_path / "out")
    assert (tmp_path / "out").exists()
