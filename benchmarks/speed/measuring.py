"""What the scripts of this folder share: options, clocks, how a result is kept. Must not know: what is measured."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import torch

from mixnn.errors import InputError
from mixnn.runs.environment import environment

RESULTS = Path(__file__).resolve().parents[1] / "results" / "speed"
SEED = 0


class Parser(argparse.ArgumentParser):
    """Takes `--out` beside a script's own options, and says in one line what is wrong with them."""

    def __init__(self, about: str | None) -> None:
        super().__init__(description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        self.add_argument("--out", type=Path, help="JSON file; one in benchmarks/results/speed where not given")

    def add_run_options(self, *, limit: int, rounds: int) -> None:
        """DATA, and what a training run is made of."""
        self.add_argument("source")
        self.add_argument("--network", default="resnet18")
        self.add_argument("--limit", type=count, default=limit)
        self.add_argument("--rounds", type=count, default=rounds)
        self.add_argument("--device", default="auto")
        self.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def count(text: str) -> int:
    """A whole number from 1 up, as options want it."""
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: use a whole number from 1 up")
    return int(text)


def ended_well(main: Callable[[], None]) -> None:
    """Run a script; what its user did wrong is told in one line."""
    try:
        main()
    except (InputError, OSError) as error:
        say(f"{Path(sys.argv[0]).name}: {' '.join(str(error).split())}")
        sys.exit(2)
    except KeyboardInterrupt:
        say(f"\n{Path(sys.argv[0]).name}: interrupted, nothing is kept")
        sys.exit(130)


def result_file(given: Path | None, name: str) -> Path:
    """Where the result goes; asked before anything is measured, so that nothing is measured in vain.

    Raises:
        InputError: it is a folder.
    """
    path = given or RESULTS / f"{name}.json"
    if path.is_dir():
        raise InputError(f"--out {path} is a folder: give the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def wait(device: torch.device) -> None:
    """A GPU works on after the call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def in_own_process(what: str, measure: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """What `measure` finds in a process of its own, so that the peak of memory is its own.

    Raises:
        InputError: the system ended that process.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, *given).result()
        except BrokenProcessPool as error:
            raise InputError(f"the {what} of {given[0]} samples was ended, for memory perhaps: use less") from error


class Phases:
    """An observer of `fit` that keeps the seconds of the latest epoch, by phase."""

    def step_done(self, *_: object) -> None:
        pass

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        self.seconds = seconds


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def save(path: Path, result: Mapping[str, Any], device: torch.device, precision: str) -> None:
    """Show `result`, and write it beside seed, command, machine and revision."""
    now = environment(SEED, device_name(device), precision)
    now |= {"command": without_paths(sys.argv), "threads": torch.get_num_threads()}
    path.write_text(json.dumps(dict(result) | {"environment": now}, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def without_paths(words: list[str]) -> list[str]:
    """The command as it may be shown: where somebody keeps data is nobody's business."""
    script = f"benchmarks/speed/{Path(words[0]).name}"
    return [script, *(re.sub(r"(^|[:=])[/~].*", r"\1PATH", word) for word in words[1:])]
