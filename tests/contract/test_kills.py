"""A hundred runs that are killed at a random instant and go on: to the last bit what they would have been.

A child of this process trains, and ends by SIGKILL at one of its steps or writes: nothing is cleaned up after it.
"""

import os
import random
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.command import assert_same_outcome, call, succeed, write_folder

from mixnn import METHODS
from mixnn.training.metrics import Recorder

KILLS = 13  # of each method and store
INSTANTS = {
    "os.replace": os.replace,
    "os.fsync": os.fsync,
    "mixnn.training.metrics.Recorder.step_done": Recorder.step_done,
}
SMALL = ["--data.image-size", "8", "--data.workers", "0", "--batch-size", "8", "--device", "cpu", "--epochs", "3"]
SMALL += ["--network", "cnn"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("kills") / "photos", per_class=8)


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("draw_overview", "write_report", "write_thumbnails"):  # which take most of the time
        monkeypatch.setattr(f"mixnn.training.outputs.{name}", lambda *_: None)


def instants(monkeypatch: pytest.MonkeyPatch, tick: Callable[[], None]) -> None:
    """Call `tick` before and after each of `INSTANTS`."""

    def ticking(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            tick()
            result = work(*arguments)
            tick()
            return result

        return run

    for name, work in INSTANTS.items():
        monkeypatch.setattr(name, ticking(work))


def killed_at(instant: int, words: list[object]) -> int:
    """How a child ended that was to be killed there."""
    with warnings.catch_warnings(action="ignore"):  # nothing that other threads hold is used
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = iter(range(instant))
    with pytest.MonkeyPatch.context() as patch:
        instants(patch, lambda: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL))
        try:
            call(*words)
        finally:
            os._exit(0)


@pytest.mark.parametrize("store", ["memory", "cache"])
@pytest.mark.parametrize("method", ["posterior", "mixnn", "ssr", "dividemix"])
def test_kills(method: str, store: str, photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, *SMALL, "--method", method, "--data.store", store]
    for name, value in METHODS[method].short_options.items():
        words.append(f"--{method}.{name}={value}")
    ticks: Iterator[int] = iter(range(10**9))
    whole = tmp_path / "whole"
    with pytest.MonkeyPatch.context() as patch:
        instants(patch, lambda: next(ticks) and None)
        succeed(*words, "--out", whole, "--data.cache-dir", tmp_path / "whole-cache")
    count = next(ticks)
    assert count > 40
    for kill, instant in enumerate(sorted(random.Random(f"{method} {store}").sample(range(count), KILLS))):
        out = ["--out", tmp_path / f"run-{kill}", "--data.cache-dir", tmp_path / f"cache-{kill}"]
        assert killed_at(instant, [*words, *out]) == -signal.SIGKILL
        succeed(*words, *out, "--resume")
        assert_same_outcome(tmp_path / f"run-{kill}", whole)
