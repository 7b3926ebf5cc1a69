"""Seconds of an epoch of ours over those of a cross-entropy epoch: same network, same data, epoch by epoch in turn.

    python benchmarks/epoch_cost.py cifar10:DIR [--limit 10000] [--network cnn] [--rounds 6] [--out FILE]

An epoch is everything the method does: the full pass, mixture and neighbors too. Evaluation is left out. The second
part of `posterior` looks anew every third epoch; 40 epochs are 22 of its first part and 18 of its second.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.load import load
from mixnn.data.readers import read_source
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer
from mixnn.training.loop import fit
from mixnn.utils.devices import pick_device

WAYS = {
    "ce": ("ce", {}),
    "mixnn": ("mixnn", {"warmup": 0, "correct_from": 0, "mixup_until": 0}),
    "posterior, first part": ("posterior", {"correct_from": 1000}),
    "posterior, second part": ("posterior", {"correct_from": 0}),
}
LOOK = 3  # epochs from one look of `posterior` to the next: as many warm up, and rounds are a multiple


class Clock:
    """Keeps the seconds of the latest epoch, by phase."""

    def step_done(self, *_: object) -> None:
        pass

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        self.seconds = seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--network", default="cnn")
    parser.add_argument("--rounds", type=int, default=6, help=f"epochs, a multiple of {LOOK}")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device = pick_device("auto")
    dataset = read_source(given.source)
    runs = {}
    for name, (kind, own) in WAYS.items():
        options = TrainOptions(
            method=kind, network=given.network, epochs=LOOK + given.rounds, limit=given.limit, noise="symmetric:0.5"
        )
        data = load(dataset, options.for_reading(), device).train
        method = build_method(RunConfig(given.source, options, own).for_method(), data, len(dataset.classes), device)
        runs[name] = (method, data, *build_optimizer(method, options.for_optimizer()))
    clock, seconds = Clock(), {name: [] for name in runs}
    for epoch in range(LOOK + given.rounds):
        for name, run in runs.items():
            fit(*run, epochs=epoch + 1, start=epoch, observers=[clock])
            seconds[name].append(clock.seconds)
    total = {name: [s["begin"] + s["train"] for s in each[LOOK:]] for name, each in seconds.items()}
    result = {
        "what": f"{given.network}, {given.limit} images",
        "ratio": {name: round(statistics.mean(own) / statistics.mean(total["ce"]), 3) for name, own in total.items()},
        "seconds": total,
        "phases_of_first_counted_epoch": {name: each[LOOK] for name, each in seconds.items()},
        "environment": environment(0, device.type, "bfloat16" if runs["ce"][0].network.bf16 else "float32"),
    }
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
