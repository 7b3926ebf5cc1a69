"""Benchmark tables say what the result files say; bad words give one line."""

from dataclasses import replace

import numpy as np
import pytest
from contract.command import call
from PIL import Image
from suite_cases import ACCURACIES, made, make_suite

from benchmarks.suite.cells import Part
from benchmarks.suite.main import main, places, seconds_of
from benchmarks.suite.picture import draw
from benchmarks.suite.results import read_results, result_file, write_result
from benchmarks.suite.table import put_into, render
from mixnn.errors import InputError


def test_table(tmp_path):
    suite = make_suite()
    text = render(suite, made(suite, ACCURACIES))
    assert "| test accuracy, %: last epoch (best) | dots half | dots clean | cost |" in text
    assert "| ce | **51.0 ± 1.4** (52.0) | **90.0** (91.0) | 1.0 |" in text
    assert "| gce | 60.0 (61.0, 1 of 2 seeds) | – | 2.0 |" in text
    assert "| *right as given* | 60.0 |" in text
    assert "| gce | – / 75.0 / 50.0 |" in text
    assert "| ce | 5.1 / 20.0 (30.0) | 9.0 / – |" in text
    assert "4 of 12 cells, 2 of 2 seeds" in text
    assert "abacus, 2 cores, float32. Revision: ccccccc." in text
    assert "lost" not in text


def test_a_row_that_is_asked_for_with_fewer_seeds_lacks_none(tmp_path):
    both = Part(["ce", "gce"], ["dots half", "dots clean"], (0,))
    suite = replace(make_suite(), parts=[both, Part(["ce"], ["dots half"], (1,))])
    text = render(suite, made(suite, ACCURACIES))
    assert "| ce | 51.0 ± 1.4 (52.0) | **90.0** (91.0) | 1.0 |" in text
    assert "| gce | **60.0** (61.0) | – | 2.0 |" in text


def test_what_accuracy_was_judged_on_stands_above_it():
    suite = replace(make_suite(), common={"data": {"heldout": "train"}})
    assert "| accuracy on held-out training images, %: last epoch (best) |" in render(suite, made(suite, ACCURACIES))


def test_uncommitted_results_stay_out(tmp_path):
    suite = make_suite()
    results = made(suite, {("ce", "dots half", 0): 0.5}) | made(suite, {("gce", "dots half", 0): 0.6}, clean=False)
    text = render(suite, results)
    assert "gce" not in text
    assert "1 more results do not count" in text
    assert "No result of `tiny` counts yet" in render(suite, made(suite, ACCURACIES, clean=False))


def test_older_results_without_the_newer_figures_are_shown_without_them():
    suite = make_suite()
    results = made(suite, ACCURACIES)
    for result in results.values():
        del result["calibration_error"]
    text = render(suite, results)
    assert "calibration" not in text
    assert "| ce | – / 75.0 / 50.0 |" in text


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


@pytest.mark.parametrize("content", ["{", "[]", '{"row": "ce"}'])
def test_a_damaged_result_is_named(tmp_path, content):
    suite = make_suite()
    path = result_file(tmp_path, next(suite.cells()))
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(InputError, match=r"dots-half_ce_0\.json cannot be read"):
        read_results(tmp_path, suite)


def test_cost_is_told_on_one_machine_only():
    suite = make_suite()
    found = made(suite, ACCURACIES)
    found["dots-half_ce_0"]["environment"] |= {"processor": "slide rule"}
    assert "| gce | 60.0 (61.0, 1 of 2 seeds) | – | – |" in render(suite, found)
    found["dots-half_ce_0"]["environment"] |= {"processor": "abacus", "threads": 1}
    text = render(suite, found)
    assert "| gce | 60.0 (61.0, 1 of 2 seeds) | – | – |" in text
    assert "Machine: abacus, 2 cores, 1 thread, float32; abacus, 2 cores, float32." in text
    found = made(suite, ACCURACIES)
    found["dots-half_gce_0"]["environment"]["resumed"] = [{"git_revision": "d" * 40, "git_clean": True}]
    text = render(suite, found)
    assert "| gce | 60.0 (61.0, 1 of 2 seeds) | – | – |" in text
    assert "Revision: ccccccc, ddddddd." in text


def test_results_of_other_settings_are_no_results(tmp_path):
    cell = next(make_suite().cells())
    assert cell.is_run_by(cell.requested | {"lr": 0.1, "seed": 3, "ce": {}})
    write_result(tmp_path, cell, made(make_suite(), ACCURACIES)[cell.name])
    assert list(read_results(tmp_path, make_suite())) == [cell.name]
    assert read_results(tmp_path, make_suite(epochs=5)) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dance"], "'dance' is no action: use one of run, status, table"),
        (["run", "huge", "--results", "r"], "suite 'huge' is unknown: use one of cpu-small"),
        (["run", "cpu-small"], "--results"),
        (["run", "cpu-small", "--results", "r", "--budget", "soon"], "--budget is 'soon': write it as 540s"),
        (["run", "cpu-small", "--results", "r", "--data", "cifar10"], "--data 'cifar10': write it as SCHEME:PATH"),
        (["run", "cpu-small", "--results", "r", "--data", "cifar10:gone"], "gone does not exist"),
        (["run", "cpu-small", "--results", "r", "--budget", "3s"], "--budget is 3s: give at least 15s"),
        (
            ["run", "cpu-small", "--results", "r", "--data", "cifar-10:."],
            "'cifar-10' is needed by no suite: use one of",
        ),
        (["run", "cpu-small", "--results", "r", "--only", "nobody"], "--only nobody fits no cell"),
        (["table", "cpu-small", "--results", "r"], "--results r is no folder"),
        (["table", "cpu-small", "--results", ".", "--into", "gone.md"], "no result of cpu-small that counts"),
    ],
)
def test_bad_input(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*words, main=main)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_says(tmp_path):
    assert "cpu-small" in call(main=main).out
    assert "left: 210 cells" in call("status", "cpu-small", "--results", tmp_path, main=main).out
    assert "counts yet" in call("table", "cpu-small", "--results", tmp_path, main=main).out


def test_times_and_places(tmp_path):
    assert [seconds_of(text) for text in ("540s", "10m", "1.5h", "70")] == [540, 600, 5400, 70]
    assert places([f"cifar10:{tmp_path}"]) == {"cifar10": str(tmp_path)}
