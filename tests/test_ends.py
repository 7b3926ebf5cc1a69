"""How a command ends: a full disk, SIGTERM, a terminal that knows few signs; and what `predict` says where."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from contract.command import ENVIRONMENT, SHORT, SMALL, assert_same_outcome, call, figures, start, succeed, write_folder
from contract.refusal import assert_refused
from contract.spoil import short_of_room

LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("ends") / "photos")


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    succeed("train", photos, "--out", photos.parent / "run", *SMALL, *SHORT)
    return photos.parent / "run"


class Usage(NamedTuple):
    free: int


def test_a_full_disk_keeps_the_checkpoint_before(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by file, disk and fix; with room again the run ends as if there had been room."""
    words = ["train", photos, *SMALL, *SHORT, "--out", tmp_path / "run"]
    save, saved = torch.save, []

    def full_at_the_third(*arguments: object) -> None:
        saved.append(arguments)
        with short_of_room(10_000 if len(saved) == 3 else 2**30):
            save(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full_at_the_third)
        patch.setattr("mixnn.utils.files.shutil.disk_usage", lambda path: Usage(0))
        result = call(*words)
    mount = next(str(path) for path in (tmp_path / "run/checkpoints").parents if path.is_mount())
    fix = "the one before it is kept: make room, then repeat the command with --resume"
    assert result.code == 2
    expected = (
        f"mixnn: {tmp_path}/run/checkpoints/last.pt cannot be written (no space left on the disk at {mount}): {fix}"
    )
    assert result.err.splitlines()[-1] == expected
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == ["last.pt"]
    resumed = succeed(*words, "--resume")
    assert "epoch 2/4" not in resumed.err
    assert "epoch 3/4" in resumed.err
    assert_same_outcome(tmp_path / "run", run)


@pytest.mark.slow
def test_sigterm_says_what_is_kept(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", photos, *SMALL, "--data.workers", "2", "--method", "ce", "--out", run]
    victim = start(*words, "--epochs", "4000")
    while victim.poll() is None and not ((run / "metrics.csv").exists() and len(figures(run)) >= 3):
        time.sleep(0.01)
    victim.send_signal(signal.SIGTERM)
    _, err = victim.communicate(timeout=20)
    assert victim.returncode == 143
    kept = int(err.splitlines()[-1].split("; ")[1].split()[0])
    assert err.splitlines()[-1] == (
        f"mixnn: told to stop (SIGTERM); {kept} epochs kept in {run}/checkpoints/last.pt: "
        "repeat the command with --resume to go on"
    )
    # The line is said at once; the epoch that was ending meanwhile may be kept as well.
    assert torch.load(run / "checkpoints/last.pt")["epochs_done"] in (kept, kept + 1)
    assert not {path.name for path in run.iterdir()} & {"labels.csv", "model.safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES)
def test_any_terminal_takes_any_output(locale: str, photos: Path, run: Path, tmp_path: Path) -> None:
    """Signs that it has not are escapes, on the screen alone."""
    data = shutil.copytree(photos, tmp_path / "photos")
    if locale != "C":  # where names are bytes
        (data / "red").rename(data / "rouge_é→")
    out, environment = tmp_path / "out", ENVIRONMENT | LOCALES[locale]
    commands = [
        ["train", data, "--out", out, *SMALL, "--epochs", "1"],
        ["find", data, "--out", tmp_path / "found", "--device", "cpu"],
        ["find", "--out", out, "--explain", "blue/05.png"],
        ["report", out],
        ["predict", out, data],
        ["evaluate", out, data, "--data.workers", "0"],
        ["check", data, "--workers", "0"],
        ["corrupt", data, "--noise", "symmetric:0.3", "--out", tmp_path / "new/labels.csv"],
        ["methods"],
        ["train", "--help", "all"],
    ]
    for words in commands:
        command = [sys.executable, "-m", "mixnn", *map(str, words)]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        done.stdout.decode("latin-1" if locale == "latin-1" else "ascii")
    if locale != "C":
        assert "rouge_é→" in (out / "labels.csv").read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
@pytest.mark.slow
def test_bars_degrade_on_an_ascii_terminal(photos: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "mixnn", "train", photos, "--out", tmp_path / "run", *SMALL, "--epochs", "1"]
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii", "TERM": "xterm"}
    process = subprocess.Popen([*map(str, command)], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.communicate()
    assert process.returncode == 0, shown
    assert "writing report.html" in shown.decode("ascii")


def test_predict_takes_a_folder(run: Path, photos: Path) -> None:
    result = succeed("predict", run, photos / "red", photos / "blue/01.png")
    names = [line.split(",")[0] for line in result.out.splitlines()]
    assert names == ["file_name", *sorted(str(path) for path in (photos / "red").iterdir()), f"{photos}/blue/01.png"]
    assert succeed("predict", run, photos).out.count("\n") == 61


def test_predict_writes_nothing_where_all_is_bad(run: Path, tmp_path: Path) -> None:
    assert call("predict", run, tmp_path / "none.png").out == ""
    result = call("predict", run, tmp_path)
    assert_refused(result, f"folder {tmp_path} has no images")
    assert result.out == ""
