"""What does an epoch of MixNN cost here, and by the scheme of its public code, in cross-entropy epochs?

    python benchmarks/speed/public_scheme.py cifar10:DIR [--network resnet18] [--limit 50000] [--rounds 5]

The public code looks for neighbors inside each batch, by a second forward, and mixes image by image: `public_code.py`
beside this has its scheme. Here neighbors come from one full pass, and a step has one forward. Network, weights at
the start, precision, batches, augmentation and optimizer are the same for all three, whose epochs are timed in turn.
The first round is not counted. Both correct labels in the first counted epoch and in every tenth after it, as the
public code does, so the median is of epochs that do not.
"""

from __future__ import annotations

import statistics
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from measuring import SEED, Parser, Phases, ended_well, result_file, save, say, seconds_of
from public_code import INDEX, PublicScheme
from torch import Tensor, nn

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.batches import TrainData
from mixnn.data.load import load
from mixnn.data.readers import read_source
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier
from mixnn.training.build import build_method, build_optimizer
from mixnn.training.loop import fit
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import keep_freed_memory

CORRECTION = {"correct_from": 1, "correct_every": 10, "alpha": 0.9}


class Trained:
    """Counts images that go through a network to be learned from."""

    def __init__(self, network: Classifier) -> None:
        self.images = 0
        network.features.register_forward_hook(self)

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():
            self.images += len(output)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_run_options(limit=50_000, rounds=5)
    given = parser.parse_args()
    device = pick_device(given.device)
    out = result_file(given.out, f"public_scheme_{given.network}_{device.type}")
    if device.type == "cpu":
        keep_freed_memory()  # as `mixnn train` does
    options = TrainOptions(
        network=given.network,
        limit=given.limit,
        epochs=1 + given.rounds,
        noise="symmetric:0.5",
        lr=0.02,
        weight_decay=1e-3,
        nesterov=False,
        seed=SEED,
        precision=given.precision,
    )
    dataset = read_source(given.source)
    data = load(dataset, options.for_reading(), device).train
    methods = build(given.source, options, data, len(dataset.classes), device)
    seconds, phases = timed(methods, data, options, device)
    median = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    result = {
        "what": f"{given.network}, {len(data)} images, neighbors in a batch by {INDEX}",
        "ratio": {
            "ours / ce": median["ours"] / median["ce"],
            "theirs / ce": median["theirs"] / median["ce"],
            "theirs / ours": median["theirs"] / median["ours"],
        },
        "median_seconds": median,
        "seconds": {name: each[1:] for name, each in seconds.items()},
        "phases": {name: each[1:] for name, each in phases.items()},
    }
    save(out, result, device, "bfloat16" if methods["ce"].network.bf16 else "float32")


def build(
    source: str, options: TrainOptions, data: TrainData, num_classes: int, device: torch.device
) -> dict[str, Method]:
    """The three, with the same weights to start from."""
    own = {"warmup": 0, "mixup_until": 0} | CORRECTION
    ours, ce = (
        build_method(
            RunConfig(source, replace(options, method=method), settings).for_method(), data, num_classes, device
        )
        for method, settings in (("mixnn", own), ("ce", {}))
    )
    theirs = PublicScheme(deepcopy(ce.network), data.labels, num_classes, **CORRECTION)
    return {"ours": ours, "theirs": theirs.to(device), "ce": ce}


def timed(
    methods: dict[str, Method], data: TrainData, options: TrainOptions, device: torch.device
) -> tuple[dict[str, list[float]], dict[str, list[dict[str, float]]]]:
    """Seconds of every epoch, and of its phases; all three are made to train on the same number of images."""
    runs = {name: (method, data, *build_optimizer(method, options.for_optimizer())) for name, method in methods.items()}
    seen = {name: Trained(method.network) for name, method in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    phases: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    watch = Phases()
    for epoch in range(options.epochs):
        for name, run in runs.items():
            one_epoch = partial(fit, *run, epochs=epoch + 1, start=epoch, observers=[watch])
            taken = seconds_of(one_epoch, device)
            seconds[name].append(taken)
            phases[name].append(watch.seconds)
            say(f"epoch {epoch + 1} of {options.epochs}, {name}: {taken:.2f} s")
        images = {name: one.images for name, one in seen.items()}
        assert set(images.values()) == {(epoch + 1) * len(data)}, f"not the same work: {images}"
    return seconds, phases


if __name__ == "__main__":
    ended_well(main)
