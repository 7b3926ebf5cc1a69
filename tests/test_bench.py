"""The benchmark queue: every suite is valid, cells run once, stopped ones go on, tables say what files say."""

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from tests.contract.command import call, start, succeed, write_cifar10

from mixnn.bench.cells import Column, Suite, chosen, merged
from mixnn.bench.picture import draw
from mixnn.bench.queue import log_file, run_cells, run_directory, run_one, status_lines, stop
from mixnn.bench.results import counts, read_results, result_file, write_result
from mixnn.bench.suites import SUITES
from mixnn.bench.table import put_into, render
from mixnn.commands.bench import places, seconds_of
from mixnn.commands.train import parse
from mixnn.errors import InputError
from mixnn.run import environment

GIVEN = {name: f"/{name}" for name in ("cifar10", "cifar100", "cifar10n", "cifar100n", "clothing1m", "mini-webvision")}
SMALL = {"network": "mlp", "batch_size": 16, "device": "cpu", "precision": "float32", "epochs": 3, "lr": 0.1}
EPOCHS, SAMPLES, CLASSES = 3, 60, 3


def make_suite(**common):
    columns = [Column("dots half", "npz", "symmetric:0.5"), Column("dots clean", "npz"), Column("lost", "nowhere")]
    rows = {"ce": {"method": "ce"}, "gce": {"method": "gce", "gce": {"q": 0.5}}}
    return Suite("tiny", "Dots.", columns, rows, SMALL | common, (0, 1), 1.0, "cpu")


@pytest.fixture
def dots(tmp_path):
    """Embeddings of three classes, as a file that `npz:` reads."""
    random = np.random.RandomState(0)
    labels = np.arange(SAMPLES) % CLASSES
    features = (np.eye(CLASSES)[labels] + random.normal(0, 0.3, (SAMPLES, CLASSES))).astype(np.float32)
    path = tmp_path / "dots.npz"
    np.savez(path, train_x=features, train_y=labels, test_x=features, test_y=labels)
    return {"npz": str(path)}


@pytest.fixture
def said():
    return []


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_every_cell_is_a_valid_run(suite, tmp_path):
    cells = list(suite.cells())
    assert len({cell.name for cell in cells}) == len(cells) == len(suite.rows) * len(suite.columns) * len(suite.seeds)
    for cell in cells[: len(suite.rows) * len(suite.columns)]:
        settings = cell.settings(GIVEN)
        path = tmp_path / "settings.yaml"
        path.write_text(json.dumps(settings))
        config, _, resume = parse(["--config", str(path), "--out", "run", "--resume"])
        config.options.check()
        assert resume
        assert (config.options.seed, config.options.noise) == (cell.seed, settings["noise"])
        for name, value in settings.get(config.options.method, {}).items():
            assert config.method_options[name] == value


def test_cells_of_the_first_seed_come_first():
    names = [cell.name for cell in make_suite().cells()]
    assert names[:3] == ["dots-half_ce_0", "dots-half_gce_0", "dots-clean_ce_0"]
    assert [name[-1] for name in names] == ["0"] * 6 + ["1"] * 6


def test_later_settings_win_and_sections_are_merged():
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 4, "b": {"c": 5}}) == {"a": 4, "b": {"c": 5, "d": 3}}


def test_choosing_cells():
    suite = make_suite()
    assert [cell.name for cell in chosen(suite, ["ce", "dots half,lost", "seed1"])] == ["dots-half_ce_1", "lost_ce_1"]
    with pytest.raises(InputError, match=r"--only elr fits no cell of tiny: use rows \(ce, gce\)"):
        chosen(suite, ["elr"])


def test_runs_what_is_missing_and_nothing_twice(dots, tmp_path, said):
    cells = chosen(make_suite(), ["ce", "seed0"])
    tally = run_cells(cells, tmp_path / "res", dots, allow_dirty=True, say=said.append)
    assert (tally.done, tally.failed, tally.left) == (2, 0, 0), said
    assert said[0] == "skipped: 1 cells that need nowhere; give --data nowhere:PATH"
    assert run_cells(cells, tmp_path / "res", dots, allow_dirty=True, say=said.append).done == 0

    result = json.loads(result_file(tmp_path / "res", cells[0]).read_text())
    assert (result["row"], result["column"], result["seed"]) == ("ce", "dots half", 0)
    assert len(result["accuracy"]["curve"]) == len(result["train_loss"]) == EPOCHS
    assert result["accuracy"]["best"] == max(result["accuracy"]["curve"])
    assert result["seconds"]["process"] > result["seconds"]["epochs"] > 0
    assert result["peak_memory_gb"] > 0.01
    labels = result["labels"]
    assert 0.4 < labels["right_given"] < 0.9
    assert 0 <= labels["roc_auc"] <= 1
    assert len(labels["noise_hash"]) == 64
    assert str(tmp_path) not in json.dumps(result)  # it can be published
    clean = json.loads(result_file(tmp_path / "res", cells[1]).read_text())
    assert clean["labels"] is None
    assert not run_directory(tmp_path / "res", cells[0]).path.exists()


def test_a_stopped_cell_goes_on(dots, tmp_path, said):
    cell = chosen(make_suite(epochs=60), ["ce", "dots half", "seed0"])[0]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_cells([cell], whole, dots, allow_dirty=True, say=said.append)

    run = run_directory(broken, cell)
    settings = log_file(broken, cell).with_suffix(".yaml")
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(cell.settings(dots)))
    process = start("train", "--config", settings, "--out", run.path, "--resume")
    until = time.monotonic() + 100
    while not run.checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.01)
    stop(process)
    assert run.checkpoint.exists()
    process.communicate()
    assert "1 half done" in "\n".join(status_lines([cell], broken, dots))
    run_cells([cell], broken, dots, allow_dirty=True, say=said.append)

    results = [json.loads(result_file(folder, cell).read_text()) for folder in (whole, broken)]
    assert results[1]["environment"]["resumed"]
    assert results[1]["seconds"]["process"] is None
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert results[0]["labels"] == results[1]["labels"]


def test_stops_in_time(dots, tmp_path, said):
    cell = chosen(make_suite(epochs=100_000), ["ce", "dots half", "seed0"])[0]
    code, seconds = run_one(cell, tmp_path, dots, 5.0)
    assert (code, seconds) == (None, 5.0)
    assert run_cells([cell], tmp_path, dots, budget=1.0, allow_dirty=True, say=said.append).left == 1
    assert said == []  # too little is left to start


def test_a_failing_cell_does_not_stop_the_queue(dots, tmp_path, said):
    suite = make_suite()
    suite = replace(suite, rows={"bad": {"method": "gce", "gce": {"q": -3.0}}, **suite.rows})
    cells = chosen(suite, ["bad,ce", "dots clean", "seed0"])
    tally = run_cells(cells, tmp_path, dots, allow_dirty=True, say=said.append)
    assert (tally.done, tally.failed) == (1, 1)
    assert "gce.q" in log_file(tmp_path, cells[0]).read_text()


def test_one_queue_at_a_time(dots, tmp_path):
    with FileLock(tmp_path / ".queue.lock"), pytest.raises(InputError, match="another `mixnn bench run` is at work"):
        run_cells([], tmp_path, dots, allow_dirty=True)


def test_only_committed_code_counts(dots, tmp_path, monkeypatch):
    git = {"rev-parse": "a" * 40, "status": " M file.py"}
    monkeypatch.setattr("mixnn.run._git", lambda *words: git[words[0]])
    monkeypatch.delenv("MIXNN_REVISION", raising=False)
    with pytest.raises(InputError, match="committed git revision"):
        run_cells([], tmp_path, dots)
    assert not counts({"environment": environment(0, "cpu", "float32")})
    git["status"] = ""
    assert counts({"environment": environment(0, "cpu", "float32")})
    run_cells([], tmp_path, dots)


def test_a_copy_without_git_may_name_its_revision(monkeypatch):
    monkeypatch.setattr("mixnn.run._git", lambda *words: None)
    monkeypatch.delenv("MIXNN_REVISION", raising=False)
    assert not counts({"environment": environment(0, "cpu", "float32")})
    monkeypatch.setenv("MIXNN_REVISION", "b" * 40)
    stated = environment(0, "cpu", "float32")
    assert (stated["git_revision"], stated["git_clean"]) == ("b" * 40, True)


def made(suite, accuracies, *, seconds=10.0, clean=True):
    """Results with these last epochs: {(row, column, seed): accuracy}."""
    machine = {"device": "cpu", "processor": "abacus", "cores": 2, "precision": "float32"}
    revision = {"git_revision": "c" * 40, "git_clean": clean}
    found = {}
    for cell in suite.cells():
        value = accuracies.get((cell.row, cell.column.name, cell.seed))
        if value is not None:
            took = seconds * (2 if cell.row == "gce" else 1)
            labels = {"right_given": 0.6, "right_targets": None, "roc_auc": 0.75, "average_precision": 0.5}
            found[cell.name] = {
                "row": cell.row,
                "column": cell.column.name,
                "seed": cell.seed,
                "accuracy": {"last": value, "best": value + 0.01},
                "seconds": {"epochs": took + 1, "evaluate": 1.0, "process": took + 2},
                "labels": labels if cell.column.noise else None,
                "environment": machine | revision,
            }
    return found


ACCURACIES = {
    ("ce", "dots half", 0): 0.5,
    ("ce", "dots half", 1): 0.52,
    ("gce", "dots half", 0): 0.6,
    ("ce", "dots clean", 0): 0.9,
}


def test_table(tmp_path):
    suite = make_suite()
    text = render(suite, made(suite, ACCURACIES))
    assert "| test accuracy, %: last epoch (best) | dots half | dots clean | cost |" in text
    assert "| ce | 51.0 ± 1.4 (52.0) | **90.0** (91.0) | 1.0 |" in text
    assert "| gce | **60.0** (61.0) | – | 2.0 |" in text
    assert "| *right as given* | 60.0 |" in text
    assert "| gce | – / 75.0 / 50.0 |" in text
    assert "4 of 12 cells, 2 of 2 seeds" in text
    assert "abacus, 2 cores, float32. Revision: ccccccc." in text
    assert "lost" not in text


def test_uncommitted_results_stay_out(tmp_path):
    suite = make_suite()
    results = made(suite, {("ce", "dots half", 0): 0.5}) | made(suite, {("gce", "dots half", 0): 0.6}, clean=False)
    text = render(suite, results)
    assert "gce" not in text
    assert "1 more results do not count" in text
    assert "No result of `tiny` counts yet" in render(suite, made(suite, ACCURACIES, clean=False))


def test_table_goes_between_its_marks(tmp_path):
    suite, page = make_suite(), tmp_path / "page.md"
    page.write_text("before\n<!-- bench tiny -->\nold\n<!-- end -->\nafter <!-- end -->\n")
    put_into(page, suite, "new \\1\n")
    assert page.read_text() == "before\n<!-- bench tiny -->\nnew \\1\n<!-- end -->\nafter <!-- end -->\n"
    page.write_text("no marks")
    with pytest.raises(InputError, match="no line <!-- bench tiny -->"):
        put_into(page, suite, "new")


def test_picture(tmp_path):
    suite = make_suite()
    draw(suite, made(suite, ACCURACIES), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_damaged_result_is_named(tmp_path):
    suite = make_suite()
    cell = next(suite.cells())
    write_result(tmp_path, cell, {"a": 1})
    assert read_results(tmp_path, suite) == {cell.name: {"a": 1}}
    result_file(tmp_path, cell).write_text("{")
    with pytest.raises(InputError, match=r"dots-half_ce_0\.json cannot be read"):
        read_results(tmp_path, suite)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dance"], "bench 'dance' is unknown: use one of run, status, table"),
        (["run", "huge", "--results", "r"], "suite 'huge' is unknown: use one of cpu-small"),
        (["run", "cpu-small"], "--results"),
        (["run", "cpu-small", "--results", "r", "--budget", "soon"], "--budget is 'soon': write it as 540s"),
        (["run", "cpu-small", "--results", "r", "--data", "cifar10"], "--data 'cifar10': write it as SCHEME:PATH"),
        (["run", "cpu-small", "--results", "r", "--data", "cifar10:gone"], "gone does not exist"),
        (["run", "cpu-small", "--results", "r", "--only", "nobody"], "--only nobody fits no cell"),
        (["table", "cpu-small", "--results", "r", "--into", "gone.md"], "--into gone.md cannot be read"),
    ],
)
def test_bad_input(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("bench", *words)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_says(tmp_path):
    assert "cpu-small" in call("bench").out
    assert "left: 195 cells" in call("bench", "status", "cpu-small", "--results", tmp_path).out
    assert "counts yet" in call("bench", "table", "cpu-small", "--results", tmp_path).out


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ending_the_queue_ends_the_run(tmp_path):
    data, results = write_cifar10(tmp_path / "cifar"), tmp_path / "results"
    words = ["bench", "run", "cpu-small", "--results", results, "--data", f"cifar10:{data}", "--allow-dirty"]
    words += ["--only", "ce", "--only", "cifar10 clean", "--only", "seed0"]
    checkpoint = results / "runs" / "cpu-small" / "cifar10-clean_ce_0" / "checkpoints" / "last.pt"
    queue = start(*words)
    until = time.monotonic() + 100
    while not checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.01)
    queue.terminate()
    _, error = queue.communicate(timeout=60)
    assert queue.returncode == 130, error
    before = checkpoint.stat().st_mtime_ns
    time.sleep(1.0)
    assert checkpoint.stat().st_mtime_ns == before  # nobody goes on with it
    assert "1 done, 0 failed, 0 left" in succeed(*words).out
    assert (results / "cpu-small" / "cifar10-clean_ce_0.json").exists()


def test_times_and_places(tmp_path):
    assert [seconds_of(text) for text in ("540s", "10m", "1.5h", "7")] == [540, 600, 5400, 7]
    assert places([f"cifar10:{tmp_path}"]) == {"cifar10": str(tmp_path)}
