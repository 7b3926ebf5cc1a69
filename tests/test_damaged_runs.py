"""A run whose files are damaged, or not all there: exit code 2, one line with the file and the fix, nothing lost."""

import shutil
from pathlib import Path

import pytest
from contract.command import Result, assert_same_outcome, call
from contract.damaged_runs import ANEW, FAST, Damage, all_damage, is_fine, write_runs

import mixnn
from mixnn.errors import InputError
from mixnn.training.checkpoint import Checkpoint

CASES = list(all_damage())
KNOWN = ("the data has no 'red/00.png'", "label 'red' is not among the run's classes")  # of another run's file


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_runs(root)
    (root / "run").rename(root / "whole")
    return root


def read(runs: Path, words: list[str]) -> Result:
    for left in (runs / "new", runs / "new.html"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return call(*(word.replace("@", f"{runs}/") for word in words))


def assert_told(result: Result, *named: object) -> None:
    assert (result.code, result.out) == (2, "")
    last = result.err.splitlines()[-1]
    assert last.startswith("mixnn: ")
    assert any(str(name) in last for name in named), last
    assert "allow_pickle" not in last


def test_there_are_enough() -> None:
    assert len(CASES) >= 170


@pytest.mark.slow
@pytest.mark.timeout(20)
@pytest.mark.parametrize("damage", CASES, ids=lambda damage: damage.name)
def test_damage(damage: Damage, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixnn.training.outputs.draw_overview", lambda run: None)  # which takes a second
    run = runs / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(runs / "whole", run)
    if damage.spoil is None:
        shutil.copy(runs / "other_run" / damage.file, run / damage.file)
    else:
        damage.spoil(run / damage.file)
    result = read(runs, damage.words)
    if damage.words[0] == "train" and damage.file in ANEW:
        assert result.code == 0, result.err
        assert_same_outcome(run, runs / "whole")
    elif result.code != 0 or not is_fine(damage):
        assert_told(result, run, *(KNOWN if damage.spoil is None else ()))


def interrupted(runs: Path, monkeypatch: pytest.MonkeyPatch, saved: int) -> Path:
    """A run that was stopped after so many epochs."""

    def stop(self: Checkpoint, epochs_done: int) -> None:
        if epochs_done > saved:
            raise KeyboardInterrupt
        save(self, epochs_done)

    save, run = Checkpoint.save, runs / "run"
    shutil.rmtree(run, ignore_errors=True)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stop)
        result = call("train", runs / "photos", "--out", run, *FAST)
    assert result.code == 130
    kept = f"1 epoch kept in {run}/checkpoints/last.pt: " if saved else ""
    assert result.err.endswith(f"mixnn: interrupted; {kept}repeat the command with --resume to go on\n")
    return run


@pytest.mark.parametrize("saved", [0, 1])
def test_a_run_that_was_stopped(saved: int, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(runs, monkeypatch, saved)
    unfinished = f"{run}/evidence.npz is missing, the run is not finished: repeat `mixnn train … --resume`"
    for words in ("report @run", "apply @run @corrections.csv --out @new", "find --out @run --explain red/01.png"):
        assert_told(read(runs, words.split()), unfinished)
    for tool in ("cleanlab", "label-studio", "fiftyone", "hf", "numpy"):
        result = read(runs, f"export @run --to {tool} --out @new".split())
        assert_told(result, f"{run}/labels.csv is missing, the run is not finished: repeat `mixnn train … --resume`")
    for words in ("predict @run @photos/red/01.png", "evaluate @run @photos"):
        assert_told(read(runs, words.split()), f"model {run}/model.safetensors cannot be read")
    opened = mixnn.Run(run)
    for ask in (opened.label_issues, opened.report):
        with pytest.raises(InputError, match="is missing, the run is not finished: repeat `mixnn train … --resume`"):
            ask()
    assert repr(opened).endswith("not finished")
    assert call("train", runs / "photos", "--out", run, *FAST, "--resume").code == 0
    assert_same_outcome(run, runs / "whole")
