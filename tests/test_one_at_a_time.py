"""Two commands with one --out: the second is refused, however early it comes; a killed one blocks nobody."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from contract.command import Result, call, start, succeed, write_folder
from contract.refusal import FAST, PER_CLASS, assert_refused

HOLDER = re.compile(rf"\(process {os.getpid()} on \S+, since 20[\d-]+ [\d:+-]+\): wait for it, or stop it$")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("two") / "photos", per_class=PER_CLASS)


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two") / "rows.npz"
    labels = np.arange(60) % 3
    np.savez(path, train_x=np.eye(3, 8)[labels] + np.random.RandomState(0).normal(0, 0.1, (60, 8)), train_y=labels)
    return path


def second_while(monkeypatch: pytest.MonkeyPatch, reads: str, first: list[object], second: list[object]) -> Result:
    """What `second` ends with, called when `first` begins to read its data by the function `reads`."""
    results = []
    module, _, name = reads.rpartition(".")
    read = getattr(__import__(module, fromlist=[name]), name)

    def reading(*arguments: object, **options: object) -> object:
        if not results:
            results.append(None)
            results.append(call(*second))
        return read(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(reads, reading)
        succeed(*first)
    assert isinstance(results[1], Result)
    return results[1]


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_second_training_while_the_first_reads(
    resume: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", photos, *FAST, "--out", tmp_path / "run"]
    result = second_while(monkeypatch, "mixnn.training.run.read", words, [*words, *resume, "--seed", 1])
    assert_refused(result, f"--out {tmp_path / 'run'}: another mixnn command is at work there")
    assert HOLDER.search(result.err.strip())
    assert "seed: 0" in (tmp_path / "run/config.yaml").read_text()
    assert not (tmp_path / "run/.lock.json").exists()


def test_a_second_find_while_the_first_reads(embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["find", f"npz:{embeddings}", "--out", tmp_path / "run"]
    for second in (words, ["train", f"npz:{embeddings}", "--network", "mlp", "--out", tmp_path / "run"]):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        result = second_while(monkeypatch, "mixnn.training.find.read", words, second)
        assert_refused(result, f"--out {tmp_path / 'run'}: another mixnn command is at work there")
        assert HOLDER.search(result.err.strip())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_training_blocks_nobody(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", photos, "--out", run, *FAST[:-6], "--data.workers", 2, "--epochs", 500]
    victim = start(*words)
    until = time.monotonic() + 100
    while not (run / ".lock.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    assert (run / ".lock.json").exists()  # which nobody believes
    succeed("train", photos, *FAST, "--out", run)


def test_a_demo_leaves_other_runs_alone(embeddings: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("find", f"npz:{embeddings}", "--out", run)
    held = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    fix = "choose a new directory, or the one of an earlier demo"
    assert_refused(call("demo", "--out", run), f"--out {run} already holds another run: {fix}")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == held
    assert_refused(call("demo", "--out", tmp_path), f"--out {tmp_path} already holds other files (run): {fix}")
