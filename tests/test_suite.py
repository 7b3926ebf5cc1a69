"""The benchmark queue: every suite is valid, cells run once, stopped ones go on, tables say what files say."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract.command import ROOT, call, start, succeed, write_cifar10
from filelock import FileLock
from suite_cases import CLASSES, EPOCHS, SAMPLES, make_suite

import mixnn
from benchmarks.suite.cells import Part, chosen, merged
from benchmarks.suite.full import COSTS, PLANS, row_costs
from benchmarks.suite.main import main
from benchmarks.suite.queue import beside, run_cells, run_directory, status_lines, stop
from benchmarks.suite.results import counts, result_file
from benchmarks.suite.suites import SUITES
from mixnn.cli.train import parse
from mixnn.errors import InputError
from mixnn.runs.environment import environment

GIVEN = {name: f"/{name}" for name in ("cifar10", "cifar100", "cifar10n", "cifar100n", "clothing1m", "mini-webvision")}


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
    whole = len(suite.rows) * len(suite.columns) * len(suite.seeds)
    assert len({cell.name for cell in cells}) == len(cells)
    assert len(cells) < whole if suite.parts else len(cells) == whole
    for cell in (cell for cell in cells if cell.seed == 0):
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


def test_a_row_may_have_settings_of_its_own_in_a_column():
    asked = {cell.name: cell.requested for cell in make_suite().cells()}
    assert asked["dots-half_gce_0"]["gce"] == {"q": 0.4}
    assert asked["dots-clean_gce_0"]["gce"] == {"q": 0.5}
    assert "gce" not in asked["dots-half_ce_0"]


def test_later_settings_win_and_sections_are_merged():
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 4, "b": {"c": 5}}) == {"a": 4, "b": {"c": 5, "d": 3}}


def test_choosing_cells():
    suite = make_suite()
    assert [cell.name for cell in chosen(suite, ["ce", "dots half,lost", "seed1"])] == ["dots-half_ce_1", "lost_ce_1"]
    assert [cell.name for cell in chosen(suite, ["half", "gce"])] == ["dots-half_gce_0", "dots-half_gce_1"]
    with_comma = replace(suite, rows={"gce, color": {}, "ce": {}})
    assert {cell.row for cell in chosen(with_comma, ["gce, color"])} == {"gce, color"}
    with pytest.raises(InputError, match=r"--only elr fits no cell of tiny: use rows \(ce, gce\)"):
        chosen(suite, ["elr"])


@pytest.mark.slow
def test_runs_what_is_missing_and_nothing_twice(dots, tmp_path, said):
    cells = chosen(make_suite(), ["ce", "seed0"])
    tally = run_cells(cells, tmp_path / "res", dots, allow_dirty=True, say=said.append)
    assert (tally.done, tally.failed, tally.left) == (2, 0, 1), said
    assert said[0] == "skipped: 1 cells that need nowhere; give --data nowhere:PATH"
    assert run_cells(cells, tmp_path / "res", dots, allow_dirty=True, say=said.append).done == 0

    result = json.loads(result_file(tmp_path / "res", cells[0]).read_text())
    assert (result["row"], result["column"], result["seed"]) == ("ce", "dots half", 0)
    assert len(result["accuracy"]["curve"]) == len(result["train_loss"]) == EPOCHS
    assert result["accuracy"]["best"] == max(result["accuracy"]["curve"])
    assert result["seconds"]["process"] > result["seconds"]["epochs"] > 0
    assert 0.1 < result["peak_memory_gb"] < 10  # an interpreter with torch, and next to no data
    labels = result["labels"]
    assert 0.4 < labels["right_given"] < 0.9
    assert 0 <= labels["list_roc_auc"] <= 1
    assert len(labels["right_flagged"]) == 3
    assert 0 <= result["calibration_error"] <= 1
    assert len(labels["noise_hash"]) == 64
    assert str(tmp_path) not in json.dumps(result)  # it can be published
    clean = json.loads(result_file(tmp_path / "res", cells[1]).read_text())
    assert clean["labels"] is None
    assert not run_directory(tmp_path / "res", cells[0]).path.exists()


@pytest.mark.slow
def test_a_stopped_cell_goes_on(dots, tmp_path, said):
    cell = chosen(make_suite(epochs=60), ["ce", "dots half", "seed0"])[0]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_cells([cell], whole, dots, allow_dirty=True, say=said.append)

    run = run_directory(broken, cell)
    settings = beside(run, "yaml")
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
    assert str(tmp_path) not in json.dumps(results)
    assert results[1]["seconds"]["process"] is None
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert results[0]["labels"] == results[1]["labels"]


@pytest.mark.slow
def test_stops_in_time(dots, tmp_path, said, monkeypatch):
    monkeypatch.setattr("benchmarks.suite.queue.MIN_SECONDS", 1.0)
    cell = chosen(make_suite(epochs=100_000), ["ce", "dots half", "seed0"])[0]
    tally = run_cells([cell], tmp_path, dots, budget=8.0, allow_dirty=True, say=said.append)
    assert (tally.done, tally.left) == (0, 1)
    run = run_directory(tmp_path, cell)
    assert ("goes on with it" in said[-1]) == run.checkpoint.exists()
    files = [(path, path.stat().st_mtime_ns) for path in run.path.rglob("*")]
    time.sleep(1.0)
    assert files == [(path, path.stat().st_mtime_ns) for path in run.path.rglob("*")]  # nobody goes on with it
    assert run_cells([cell], tmp_path, dots, budget=0.5, allow_dirty=True, say=said.append).left == 1


@pytest.mark.slow
def test_a_run_begun_with_other_settings_starts_anew(dots, tmp_path, said):
    cell = chosen(make_suite(), ["ce", "dots half", "seed0"])[0]
    old = run_directory(tmp_path, cell)
    old.path.mkdir(parents=True)
    old.write_config({"method": "ce", "source": "x", "epochs": 77})
    assert run_cells([cell], tmp_path, dots, allow_dirty=True, say=said.append).done == 1, said


@pytest.mark.slow
def test_a_failing_cell_does_not_stop_the_queue(dots, tmp_path, said):
    suite = make_suite()
    suite = replace(suite, rows={"bad": {"method": "gce", "gce": {"q": -3.0}}, **suite.rows})
    cells = chosen(suite, ["bad,ce", "dots clean", "seed0"])
    tally = run_cells(cells, tmp_path, dots, allow_dirty=True, say=said.append)
    assert (tally.done, tally.failed) == (1, 1)
    assert "gce.q" in beside(run_directory(tmp_path, cells[0]), "log").read_text()


def test_one_queue_at_a_time(dots, tmp_path):
    with FileLock(tmp_path / ".queue.lock"), pytest.raises(InputError, match="another queue is at work"):
        run_cells([], tmp_path, dots, allow_dirty=True)


def test_a_queue_without_data_has_not_done_its_work(tmp_path):
    words = ["run", "cpu-small", "--results", tmp_path, "--allow-dirty", "--only", "seed0"]
    result = call(*words, main=main)
    assert (result.code, result.out) == (2, "")
    assert re.fullmatch(
        r"benchmarks.suite: none of the \d+ cells has its data: give --data cifar10:PATH.*\n", result.err
    ), result.err


def test_only_committed_code_counts(dots, tmp_path, monkeypatch, said):
    git = {"rev-parse": "a" * 40, "status": " M file.py"}
    monkeypatch.setattr("mixnn.runs.environment._git", lambda *words: git[words[0]])
    monkeypatch.setattr("mixnn.runs.environment._in_checkout", lambda: True)
    monkeypatch.setenv("MIXNN_REVISION", "b" * 40)  # says nothing where git knows
    cell = chosen(make_suite(), ["ce", "dots half", "seed0"])[0]
    with pytest.raises(InputError, match="committed git revision"):
        run_cells([cell], tmp_path, dots, say=said.append)
    assert not counts({"environment": environment(0, "cpu", "float32")})
    git["status"] = ""
    assert counts({"environment": environment(0, "cpu", "float32")})


def test_what_lies_beside_the_code_is_not_the_code(tmp_path):
    """Results are written into the checkout while the queue runs."""
    root = tmp_path / "project"
    shutil.copytree(Path(mixnn.__file__).parent, root / "src" / "mixnn", ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "src"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "all"], check=True)

    def clean():
        code = "from mixnn.runs.environment import environment as e; print(e(0, '', '')['git_clean'])"
        own = os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True).stdout.strip()

    (root / "results").mkdir()
    (root / "results" / "new.json").touch()
    assert clean() == "True"
    (root / "src" / "mixnn" / "new.py").touch()
    assert clean() == "False"


def test_a_copy_without_git_may_name_its_revision(monkeypatch):
    monkeypatch.setattr("mixnn.runs.environment._in_checkout", lambda: False)
    monkeypatch.delenv("MIXNN_REVISION", raising=False)
    assert not counts({"environment": environment(0, "cpu", "float32")})
    monkeypatch.setenv("MIXNN_REVISION", "b" * 40)
    stated = environment(0, "cpu", "float32")
    assert (stated["git_revision"], stated["git_clean"]) == ("b" * 40, True)
    monkeypatch.setenv("MIXNN_REVISION", "…")
    with pytest.raises(InputError, match="40 digits"):
        environment(0, "cpu", "float32")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ending_the_queue_ends_the_run(tmp_path):
    data, results = write_cifar10(tmp_path / "cifar"), tmp_path / "results"
    words = ["run", "cpu-small", "--results", results, "--data", f"cifar10:{data}", "--allow-dirty"]
    words += ["--only", "ce", "--only", "cifar10 clean", "--only", "seed0"]
    checkpoint = results / "runs" / "cpu-small" / "cifar10-clean_ce_0" / "checkpoints" / "last.pt"
    queue = start(*words, module="benchmarks.suite", folder=ROOT)
    until = time.monotonic() + 100
    while not checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.01)
    queue.terminate()
    _, error = queue.communicate(timeout=60)
    assert queue.returncode == 130, error
    before = checkpoint.stat().st_mtime_ns
    time.sleep(1.0)
    assert checkpoint.stat().st_mtime_ns == before  # nobody goes on with it
    handler = signal.getsignal(signal.SIGTERM)
    assert "1 done, 0 failed, 0 left" in succeed(*words, main=main).out
    assert signal.getsignal(signal.SIGTERM) == handler  # or a pool of processes may wait for ever on one it has ended
    assert (results / "cpu-small" / "cifar10-clean_ce_0.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("when", ["at once", "after an epoch"])
def test_a_killed_queue_leaves_one_run_that_the_next_waits_for(when, dots, tmp_path, said):
    cell = chosen(make_suite(epochs=150), ["ce", "dots half", "seed0"])[0]
    run = run_directory(tmp_path, cell)
    code = (
        "import json, sys; from pathlib import Path; from suite_cases import make_suite; "
        "from benchmarks.suite.cells import chosen; from benchmarks.suite.queue import run_cells; "
        "run_cells(chosen(make_suite(epochs=150), ['ce', 'dots half', 'seed0']), Path(sys.argv[1]), "
        "json.loads(sys.argv[2]), allow_dirty=True)"
    )
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), str(ROOT / "tests")])
    queue = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), json.dumps(dots)], env=os.environ | {"PYTHONPATH": paths}
    )
    wanted = run.checkpoint if when == "after an epoch" else beside(run, "log")
    until = time.monotonic() + 100
    while not wanted.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)  # the run has begun, and may not have come to its own lock
    queue.kill()
    queue.wait()
    with pytest.raises(InputError, match="whose queue was killed is still at work: wait for it"):
        run_cells([cell], tmp_path, dots, budget=0.5, allow_dirty=True)
    tally = run_cells([cell], tmp_path, dots, allow_dirty=True, say=said.append)
    assert said[0] == f"waiting for a run in {tmp_path} whose queue was killed"
    assert (tally.done, tally.failed, tally.left) == (1, 0, 0), said
    result = json.loads(result_file(tmp_path, cell).read_text())
    assert len(result["accuracy"]["curve"]) == 150
    assert len(result["environment"]["resumed"]) == 1  # by the second queue, after the first run had ended
    assert result["seconds"]["process"] is None


def test_parts_of_a_suite_are_its_cells_in_their_order():
    suite = replace(make_suite(), parts=[Part(["gce"], ["dots clean"], (1, 0)), Part(["ce"], ["dots half"], (0,))])
    assert [cell.name for cell in suite.cells()] == ["dots-clean_gce_1", "dots-clean_gce_0", "dots-half_ce_0"]


def test_full_has_the_cells_that_decide_first():
    names = [cell.name for cell in SUITES["full"].cells()]
    assert len(names) == 70
    assert names[:3] == [f"cifar10-symmetric-0.8_{row}_0" for row in ("posterior", "ce", "mixnn")]
    assert (
        names.index("cifar10-human-worse_ce_0")
        < names.index("cifar10-clean_ce_0")
        < names.index("cifar10-symmetric-0.8_ce_1")
    )
    assert [name for name in names if name.endswith("_2")] == [
        f"cifar10-{noise}_{row}_2"
        for noise in ("symmetric-0.8", "human-worse")
        for row in ("posterior", "ce", "mixnn", "ssr")
    ]


def test_turning_points_of_full_are_in_proportion():
    rows = SUITES["full"].rows
    assert {settings["epochs"] for settings in rows.values()} == {20}
    assert rows["mixnn"]["mixnn"] == {"warmup": 5, "mixup_until": 10, "correct_from": 10}  # 10, 20, 20 of 40
    assert rows["mixnn-paper"]["mixnn"]["correct_from"] == 4  # 60 of 300
    assert rows["dividemix"]["dividemix"] == {"warmup": 1, "rampup": 1}
    assert PLANS["mixnn-paper"].settings(300)["mixnn"]["warmup"] == 10


def test_rows_of_full_seconds_take_what_cross_entropy_takes():
    for name, settings in SUITES["full-seconds"].rows.items():
        assert settings["epochs"] * COSTS[name] == pytest.approx(40, rel=0.1), name
    assert SUITES["full-seconds"].rows["ce"]["epochs"] == 40


def test_costs_that_were_measured_count(tmp_path, monkeypatch):
    (tmp_path / "costs.json").write_text('{"ratio": {"ssr": 3.25}}')
    monkeypatch.setattr("benchmarks.suite.full.COSTS_FILE", tmp_path / "costs.json")
    assert row_costs(["ssr", "ce"]) == {"ssr": 3.25, "ce": 1.0}


def test_status_shows_all_settings(tmp_path):
    lines = "\n".join(status_lines(list(make_suite(epochs=7).cells()), tmp_path, {}))
    assert lines == (
        "all: network mlp, batch_size 16, device cpu, precision float32, epochs 7, lr 0.1\n"
        "ce                     0 of 6\n"
        "      method ce\n"
        "gce                    0 of 6\n"
        "      method gce, gce.q 0.5\n"
        "      in dots half: gce.q 0.4\n"
        "columns: dots half (symmetric:0.5), dots clean (labels as they are), lost (labels as they are)\n"
        "for what is left, give --data nowhere:PATH --data npz:PATH\n"
        "left: 12 cells, about 0.3 hours on cpu"
    )
