"""What each part of the preset cifar-fast brings: one changed at a time, judged on training images that are held out.

    python benchmarks/fast_parts.py cifar10:DIR --out FILE.json [--limit 10000] [--epochs 6] [--seeds 2] [--only all]

The first --limit training images teach a narrow network, the last 2 000 judge it, both with the labels as they are; the
test part is not read. Processor seconds of one thread stand beside. `averaged` is the accuracy of an exponential moving
average of the weights, which costs no training: 0.98 a step. What FILE.json has is not run again, so that a run that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.data.dataset import Dataset
from mixnn.data.load import load
from mixnn.data.read import read
from mixnn.errors import InputError
from mixnn.methods.base import Method
from mixnn.presets import read_preset
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer
from mixnn.training.loop import fit
from mixnn.training.metrics import accuracy
from mixnn.utils.memory import keep_freed_memory

JUDGING, DECAY = 2_000, 0.98
SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4}
# What each row changes; in the order of what decides most.
ROWS: dict[str, dict[str, Any]] = {
    "all": {},
    "sgd, cosine": SGD | {"lr": 0.1, "schedule": "cosine"},
    "without whitening": {},
    "without identities": {},
    "flips at random": {"alternate_flips": False},
    "cosine, by epoch": {"schedule": "cosine"},
    "lr 0.24": {"lr": 0.24},
    "lr 0.05": {"lr": 0.05},
    "half batches": {"batch_size": 64},
    "double batches": {"batch_size": 256},
    "smoothed labels": {"method": "examples.new_method:SmoothedLabels"},
    "sgd, linear": SGD | {"lr": 0.3},
    "cnn, sgd, cosine": SGD | {"lr": 0.05, "schedule": "cosine", "network": "cnn"},
}
LEFT_OUT = {
    "without whitening": "mixnn.training.build.initialize",
    "without identities": "mixnn.models.fast.nn.init.dirac_",
}


class Average:
    """An observer of `fit` that averages weights and statistics over the steps, later ones more."""

    def __init__(self, method: Method) -> None:
        self.method, self.steps, self.state = method, 0, dict[str, Tensor]()

    def step_done(self, *_: object) -> None:
        self.steps += 1
        for name, value in self.method.networks.state_dict().items():
            if name not in self.state:
                self.state[name] = value.clone()
            elif value.is_floating_point():
                self.state[name].lerp_(value, max(1 / self.steps, 1 - DECAY))

    def epoch_done(self, *_: object) -> None:
        pass


@contextmanager
def left_out(row: str) -> Iterator[None]:
    if row in LEFT_OUT:
        with patch(LEFT_OUT[row], lambda *_: None):
            yield
    else:
        yield


def run(row: str, seed: int, dataset: Dataset, given: argparse.Namespace) -> dict[str, float]:
    """Accuracies in 0–1, and processor seconds."""
    preset = {key: value for key, value in read_preset("cifar-fast").items() if key not in ("network", "epochs")}
    settings = preset | {"method": "ce", "network": "fast-narrow"} | ROWS[row]
    options = TrainOptions(**settings, epochs=given.epochs, seed=seed, precision="float32", device="cpu")
    device = torch.device("cpu")
    loaded = load(dataset, options.for_reading(), device)
    assert loaded.heldout is not None
    with left_out(row):
        method = build_method(RunConfig("", options).for_method(), loaded.train, len(dataset.classes), device)
    average, steps = Average(method), build_optimizer(method, options.for_optimizer())
    began = time.process_time()
    fit(method, loaded.train, *steps, epochs=given.epochs, seed=seed, observers=[average])
    found = {"seconds": time.process_time() - began, "accuracy": accuracy(method, loaded.heldout)[0]}
    method.networks.load_state_dict(average.state)
    found["averaged"] = accuracy(method, loaded.heldout)[0]
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", help="rows, with semicolons between; all where not given")
    given = parser.parse_args()
    rows = list(ROWS) if given.only is None else given.only.split(";")
    if unknown := [row for row in rows if row not in ROWS]:
        raise InputError(f"--only: no row is {unknown[0]!r}: use some of {'; '.join(ROWS)}")
    torch.set_num_threads(1)
    keep_freed_memory()
    read_part = read(given.source, DataOptions())
    rest = len(read_part.train) - JUDGING
    if not 0 < given.limit <= rest:
        raise InputError(f"--limit {given.limit}: give at most {rest}")
    train, judging = read_part.train[np.arange(given.limit)], read_part.train[np.arange(rest, rest + JUDGING)]
    dataset = replace(read_part, train=train, heldout=judging, heldout_name="training images")
    what = {"limit": given.limit, "epochs": given.epochs}
    result: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else what | {"rows": {}}
    if {key: result[key] for key in what} != what:
        raise InputError(f"--out {given.out} has other settings than {what}: name another file")
    for seed in range(given.seeds):
        for row in rows:
            done = result["rows"].setdefault(row, {})
            if str(seed) not in done:
                done[str(seed)] = run(row, seed, dataset, given)
                say(row, seed, done[str(seed)])
                result["environment"] = environment(0, "cpu", "float32") | {"command": ["fast_parts.py", "cifar10:DIR"]}
                given.out.write_text(json.dumps(result, indent=1) + "\n")


def say(row: str, seed: int, found: Mapping[str, float]) -> None:
    print(f"{row:<20} seed {seed}  {', '.join(f'{name} {value}' for name, value in found.items())}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"fast_parts.py: {error}")
