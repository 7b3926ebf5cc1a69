"""The run directory: files are there as a whole or not at all, and say what was written."""

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from contract.spoil import short_of_room
from filelock import FileLock

from mixnn.errors import InputError
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.environment import environment
from mixnn.utils.files import atomic_write, read_yaml


@pytest.fixture
def run(tmp_path) -> Iterator[RunDirectory]:
    directory = RunDirectory(tmp_path / "run")
    with directory.locked():
        yield directory


class Failure(Exception):
    pass


def fail_after(write: Callable[[str], object], content: str) -> None:
    write(content)
    raise Failure


@pytest.mark.parametrize("before", [None, "the old content"])
def test_a_block_that_raises_leaves_all_as_it_was(tmp_path, before):
    path = tmp_path / "table.csv"
    if before is not None:
        path.write_text(before)
    with pytest.raises(Failure), atomic_write(path) as temporary:
        fail_after(temporary.write_text, "half of th")
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["table.csv"])
    assert before is None or path.read_text() == before


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "array.npz"
    path.write_text("the old content")
    with atomic_write(path) as temporary:
        assert temporary.parent == path.parent  # a rename across file systems is no rename
        assert temporary.suffix == ".npz"  # NumPy would add one
        temporary.write_text("the new content")
        assert path.read_text() == "the old content"
    assert path.read_text() == "the new content"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", ["write_table", "write_json", "write_arrays", "write_config"])
def test_every_writer_replaces(run, monkeypatch, write):
    """A crash between writing and renaming leaves the old file."""
    content = {"write_table": [{"a": 1}], "write_arrays": {"a": np.zeros(1)}}.get(write, {"a": 1})
    place = () if write == "write_config" else (run.path / "file.npz",)
    getattr(run, write)(*place, content)
    atomic_write = {file: file.read_bytes() for file in run.path.iterdir() if file.is_file()}

    def crash(*names: object) -> None:
        raise Failure

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(Failure):
        getattr(run, write)(*place, {"write_table": [{"b": 22}], "write_arrays": {}}.get(write, {"b": 22}))
    assert {file: file.read_bytes() for file in run.path.iterdir() if file.is_file()} == atomic_write


def test_tables_come_back_as_text(run):
    rows = [
        {"name": 'a, "b"\nc', "share": 0.123456789, "done": True},
        {"name": "ü", "count": 3, "share": np.float32(1e-8), "done": np.bool_(False)},
        {"name": "", "share": float("nan"), "empty": None},
    ]
    run.write_table(run.labels, rows)
    assert run.read_table(run.labels) == [
        {"name": 'a, "b"\nc', "share": "0.123457", "done": "True", "count": "", "empty": ""},
        {"name": "ü", "share": "1e-08", "done": "False", "count": "3", "empty": ""},
        {"name": "", "share": "", "done": "", "count": "", "empty": ""},  # not a number is nothing
    ]
    assert b"\r" not in run.labels.read_bytes()


def test_columns_that_are_given_stand_even_without_rows(run):
    run.write_table(run.labels, iter([{"b": 1, "a": 2}]), ("a", "b"))
    assert run.labels.read_text() == "a,b\n2,1\n"
    run.write_table(run.labels, iter([]), ("a", "b"))
    assert run.labels.read_text() == "a,b\n"


def test_names_that_are_no_utf8(run):
    """What Python makes of a Latin-1 file name on Linux."""
    run.write_table(run.labels, [{"file_name": "\udce4.png"}])
    assert b"\xe4.png" in run.labels.read_bytes()


def test_a_table_read_and_written_again_is_the_same_file(run):
    """What a resumed run does with `metrics.csv`."""
    run.write_table(run.metrics, [{"epoch": 1, "loss": 0.1234567}, {"epoch": 2, "loss": 1e-9}])
    first = run.metrics.read_bytes()
    run.write_table(run.metrics, run.read_table(run.metrics))
    assert run.metrics.read_bytes() == first


@pytest.mark.parametrize("unlabeled", [[], ["Not sure", ""]])
def test_evidence_round_trip(run, evidence, unlabeled):
    evidence = replace(evidence, unlabeled=np.array(unlabeled, dtype=np.str_))
    run.write_evidence(evidence)
    read = run.read_evidence()
    for field in fields(Evidence):
        atomic_write, got = getattr(evidence, field.name), getattr(read, field.name)
        assert getattr(got, "dtype", None) == getattr(atomic_write, "dtype", None)
        assert np.array_equal(got, atomic_write)
    assert np.array_equal(np.load(run.targets), evidence.targets)  # for others to read without us


def test_evidence_of_a_run_from_before_there_were_coordinates(run, evidence):
    run.write_evidence(replace(evidence, coordinates=None))
    assert "coordinates" not in run.read_arrays(run.evidence)
    assert run.read_evidence().coordinates is None


def test_evidence_without_a_mixture(run, evidence):
    run.write_evidence(replace(evidence, mixture=np.full((3, 2), np.nan)))
    assert np.isnan(run.read_evidence().mixture).all()


def test_config_and_json_round_trip(run):
    config = {"source": "Fotos/Käfer", "noise": None, "lr": 1e-3, "data": {"holdout": 0.1}, "mixnn": {}}
    run.write_config(config)
    assert read_yaml(run.config) == config
    assert list(read_yaml(run.config)) == list(config)
    run.write_json(run.classes, ["größer", "a"])
    assert run.read_classes() == ["größer", "a"]
    assert "größer" in run.classes.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "no YAML of the form `key: value`"),
        (b"- 1", "no YAML of the form `key: value`"),
        (b"a: [1", "is no YAML"),
        (b"a: \xff", "is no YAML"),
    ],
)
def test_settings_that_are_none(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"configuration .*run\.yaml " + ".*" + message):
        read_yaml(tmp_path / "run.yaml")


def test_a_missing_table(run):
    with pytest.raises(InputError, match=r"labels\.csv is missing"):
        run.read_table(run.labels)


def test_an_existing_run_has_a_config(run):
    with pytest.raises(InputError, match="not a run directory"):
        RunDirectory.existing(run.path)
    with pytest.raises(InputError, match="not a run directory"):
        RunDirectory.existing(run.path / "gone")
    run.write_config({})
    assert RunDirectory.existing(run.path).path == run.path


def test_free_directories(tmp_path):
    RunDirectory(tmp_path / "new").check_free()
    RunDirectory(tmp_path).check_free()  # empty
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"already holds other files: choose a new directory$"):
        RunDirectory(tmp_path).check_free()
    with pytest.raises(InputError, match="already holds other files"):
        RunDirectory(tmp_path / "thesis.tex").check_free()
    (tmp_path / "config.yaml").write_text("{}")
    with pytest.raises(InputError, match=r"already holds another run: .* or add --resume"):
        RunDirectory(tmp_path).check_free()


def test_what_a_killed_start_leaves_is_no_run(run):
    (run.path / ".config.yaml.17.tmp.yaml").write_text("half of")
    run.check_free()


def test_discard_removes_the_beginning_and_nothing_else(tmp_path):
    run = RunDirectory(tmp_path / "run")
    with run.locked():
        run.write_config({})
        run.write_json(run.classes, [])
        run.discard()
    assert not run.path.exists()


def test_discard_keeps_an_epoch_that_is_done(run):
    run.write_config({})
    run.write_table(run.metrics, [{"epoch": 1}])
    run.discard()
    assert {file.name for file in run.path.iterdir()} - {".lock", ".lock.json"} == {"metrics.csv"}


def test_a_file_without_room_is_one_line_and_leaves_the_one_before(run):
    run.write_table(run.metrics, [{"epoch": 1}])
    message = r"metrics.csv cannot be written \(.*\): make room, or choose another place"
    with short_of_room(4), pytest.raises(InputError, match=message):
        run.write_table(run.metrics, [{"epoch": 1}, {"epoch": 2}])
    assert run.read_table(run.metrics) == [{"epoch": "1"}]


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    run = RunDirectory(tmp_path / "file" / "run")
    with pytest.raises(InputError, match=r"--out .* cannot be written"), run.locked():
        pass


def test_one_process_at_a_time_works_in_a_directory(run):
    run.write_config({})
    second = RunDirectory(run.path)
    host = re.escape(socket.gethostname())
    message = (
        rf"another mixnn command is at work there \(process {os.getpid()} on {host}, since 20\S+ \S+\): wait for it"
    )
    with pytest.raises(InputError, match=message), second.locked():
        pass
    assert run.config.exists()  # whoever came second has touched nothing


def test_the_directory_is_free_for_the_next_after_an_error(run):
    with pytest.raises(Failure), RunDirectory(run.path.with_name("other")).locked():
        raise Failure
    with RunDirectory(run.path.with_name("other")).locked():
        pass


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def acquire(lock: FileLock) -> None:
        raise NotImplementedError("no flock here")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with RunDirectory(tmp_path / "run").locked():
        assert (tmp_path / "run").is_dir()


def test_a_folder_of_the_user_stays(tmp_path):
    with RunDirectory(tmp_path).locked():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_alone_does_not_fill_a_directory(run):
    run.check_free()


def test_environment(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    about = environment(5, "cpu", "bfloat16")
    assert (about["seed"], about["device"], about["precision"]) == (5, "cpu", "bfloat16")
    assert about["processes"] == 2
    assert about["packages"]["numpy"] == np.__version__
    assert {"started", "command", "git_revision", "git_clean", "python", "processor", "cores"} <= set(about)
    json.dumps(about)
