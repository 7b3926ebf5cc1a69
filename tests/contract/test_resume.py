"""A run that was stopped, however, ends as if it had not been."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from contract.cases import EPOCHS, STOP, Case, assert_same, build, tables
from contract.command import SHORT, SMALL, assert_same_outcome, call, figures, read_csv, start, succeed, write_folder

from mixnn import fit
from mixnn.training.checkpoint import Checkpoint

LONG, KILL_AFTER = 20, 4  # epochs: enough of them left for the kill to come in time


def test_fresh_objects_go_on_to_the_last_bit(case: Case, tmp_path: Path) -> None:
    data = case.data()
    method, optimizer, scheduler = build(case, data)
    before = tables(method)
    stop = Checkpoint(tmp_path / "last.pt", method, optimizer, scheduler, "these data", {})
    fit(method, data, optimizer, scheduler, epochs=STOP, observers=[stop])
    for name, rows in tables(method).items():  # saved before it was ever written, a table would show nothing
        assert not torch.equal(rows, before[name]), f"{name} is unchanged: give {case.name} a line in cases.SHORT"

    other, optimizer, scheduler = build(case, data, seed=1)
    again = Checkpoint(tmp_path / "last.pt", other, optimizer, scheduler, "these data", {})
    assert again.load() == STOP
    assert_same(other.state_dict(), method.state_dict())
    fit(other, data, optimizer, scheduler, epochs=EPOCHS, start=STOP)

    whole, whole_optimizer, whole_scheduler = build(case, data)
    fit(whole, data, whole_optimizer, whole_scheduler, epochs=EPOCHS)
    assert_same(other.state_dict(), whole.state_dict())
    assert_same(optimizer.state_dict(), whole_optimizer.state_dict())
    assert scheduler.state_dict() == whole_scheduler.state_dict()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("resume") / "photos")


@pytest.fixture(scope="module")
def whole(photos: Path) -> Path:
    """A run left alone."""
    succeed("train", photos, "--out", photos.parent / "whole", *SMALL, *SHORT)
    return photos.parent / "whole"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_killed_process_loses_nothing(photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, *SMALL, *SHORT, "--epochs", LONG]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    victim = start(*words, "--out", killed)
    while victim.poll() is None and not ((killed / "metrics.csv").exists() and len(figures(killed)) >= KILL_AFTER):
        time.sleep(0.005)
    victim.kill()
    _, err = victim.communicate()
    assert victim.returncode == -signal.SIGKILL, err
    assert KILL_AFTER <= len(figures(killed)) < LONG
    assert not (killed / "labels.csv").exists()

    second, third = start(*words, "--out", killed, "--resume"), start(*words, "--out", alone)
    for process in (second, third):
        _, err = process.communicate()
        assert process.returncode == 0, err
        epochs_run = err.count("epoch ")
        assert (epochs_run < LONG) == (process is second)
    assert len(figures(alone)) == LONG
    assert_same_outcome(killed, alone)


def interrupt(monkeypatch: pytest.MonkeyPatch, saved: int, *words: object) -> None:
    """Call with these words, and stop where a further checkpoint would be written."""
    save = Checkpoint.save

    def interrupted(self: Checkpoint, epochs_done: int) -> None:
        if epochs_done > saved:
            raise KeyboardInterrupt
        save(self, epochs_done)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", interrupted)
        result = call(*words)
    assert result.code == 130
    assert "--resume" in result.err


@pytest.mark.slow
@pytest.mark.parametrize("saved", [0, 2])
def test_a_row_without_its_checkpoint_is_written_again(
    saved: int, photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT]
    interrupt(monkeypatch, saved, *words)
    assert len(figures(tmp_path / "run")) == saved + 1
    succeed(*words, "--resume")
    assert_same_outcome(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["cache", "nowhere"])
def test_a_run_goes_on_wherever_its_images_are_kept(
    store: str, photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT]
    interrupt(monkeypatch, 2, *words)
    elsewhere = ["--data.store", store, "--data.cache-dir", tmp_path / "cache", "--data.workers", "2"]
    succeed(*words, "--resume", *elsewhere)
    assert_same_outcome(tmp_path / "run", whole)


@pytest.mark.slow
def test_balance_and_steps_go_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", photos, *SMALL, *SHORT, "--balanced", "true", "--steps-per-epoch", "5", "--limit", "40"]
    words += ["--schedule", "steps", "--milestones", "[1,3]"]
    succeed(*words, "--out", tmp_path / "alone")
    for row in read_csv(tmp_path / "alone/metrics.csv"):
        assert float(row["images_per_second"]) * float(row["seconds_train"]) == pytest.approx(5 * 16, rel=1e-4)
    interrupt(monkeypatch, 2, *words, "--out", tmp_path / "run")
    succeed(*words, "--out", tmp_path / "run", "--resume")
    assert_same_outcome(tmp_path / "run", tmp_path / "alone")


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_first_file(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT]
    with monkeypatch.context() as patch:
        patch.setattr("mixnn.training.run.RunDirectory.write_config", interrupted)
        assert call(*words).code == 130
    succeed(*words, "--resume")
    assert_same_outcome(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_run_that_was_stopped_to_repair_an_image(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, run = photos / "red/07.png", tmp_path / "run"
    good = image.read_bytes()
    image.write_bytes(b"hello")
    interrupt(monkeypatch, 0, "train", photos, "--out", run, *SMALL, *SHORT)
    image.write_bytes(good)
    assert len(read_csv(run / "unreadable.csv")) == 1
    assert "set aside" not in succeed("train", photos, "--out", run, *SMALL, *SHORT, "--resume").out
    assert not (run / "unreadable.csv").exists()
    assert_same_outcome(run, whole)


def test_resume_starts_a_run_that_is_not_there(photos: Path, whole: Path, tmp_path: Path) -> None:
    succeed("train", photos, "--out", tmp_path / "new", *SMALL, *SHORT, "--resume")
    assert_same_outcome(tmp_path / "new", whole)


def test_resume_needs_no_more_than_the_directory(run: Path, whole: Path) -> None:
    for name in ("labels.csv", "model.safetensors", "soft_targets.npy"):
        (run / name).unlink()
    succeed("train", "--out", run, "--resume")
    assert_same_outcome(run, whole)


def move_image(photos: Path) -> None:
    (photos / "red/07.png").rename(photos / "blue/99.png")


def change_pixels(photos: Path) -> None:
    (photos / "red/07.png").write_bytes((photos / "red/08.png").read_bytes())


def rename_image(photos: Path) -> None:
    (photos / "red/07.png").rename(photos / "red/99.png")


def rename_class(photos: Path) -> None:
    (photos / "red").rename(photos / "rose")


@pytest.mark.slow
@pytest.mark.parametrize("change", [move_image, change_pixels, rename_image, rename_class])
def test_other_data_are_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos")
    words = ["train", photos, "--out", tmp_path / "run", *SMALL, "--epochs", "1"]
    succeed(*words)
    held = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    change(photos)
    result = call(*words, "--resume")
    assert result.code == 2
    assert "other data" in result.err
    assert {path: path.read_bytes() for path in held} == held


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--epochs", "5"], "epochs"),
        (["--seed", "1"], "seed"),
        (["--mixnn.alpha", "0.5"], "0.5"),
        (["--data.holdout", "0.2"], "0.2"),
        (["--noise", "symmetric:0.2"], "symmetric:0.2"),
    ],
)
@pytest.mark.parametrize("with_data", [True, False])
def test_other_settings_are_refused(with_data: bool, words: list[str], named: str, run: Path, photos: Path) -> None:
    data = [photos, *SMALL, *SHORT] if with_data else []
    result = call("train", *data, "--out", run, "--resume", *words)
    assert result.code == 2, "the words were not heard"
    assert named in result.err


@pytest.mark.slow
def test_a_last_step_that_fails_leaves_the_rest(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT]
    with monkeypatch.context() as patch:
        patch.setattr("mixnn.training.outputs.draw_overview", fail)
        result = call(*words)
    assert result.code == 1
    assert "overview.png" in result.err
    assert "no ink" in result.err
    assert "--resume" in result.err
    assert not (tmp_path / "run/overview.png").exists()
    assert_same_outcome(tmp_path / "run", whole)
    succeed(*words, "--resume")
    assert (tmp_path / "run/overview.png").exists()
    assert_same_outcome(tmp_path / "run", whole)
