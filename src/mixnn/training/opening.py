"""What a person hears before the first epoch. Must not know: methods by name, files, how a run goes on."""

from __future__ import annotations

import time
from copy import deepcopy

import torch
import torch.nn.functional as F

from mixnn.data.batches import TrainData
from mixnn.data.load import Loaded
from mixnn.distributed.ranks import world_size
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier
from mixnn.utils.console import say, time_text
from mixnn.utils.devices import device_name

TRIALS = 3  # steps that are timed, after one that is not
PATIENCE = 1.0  # seconds, after which no further one is


def say_opening(loaded: Loaded, method: Method, network: str, epochs: range) -> None:
    """What was read, what is trained on which device, and about how long it will take.

    Args:
        network: its name.
        epochs: those to come.
    """
    say(data_words(loaded))
    weights = sum(p.numel() for p in method.network.parameters()) * len(method.classifiers)
    precision = "bfloat16" if method.network.bf16 else "float32"
    kind = f"{len(method.classifiers)} × {network}" if len(method.classifiers) > 1 else network
    device = device_name(method.network.mean.device)
    ranks = f" and {world_size() - 1} more" if world_size() > 1 else ""
    say(f"network {kind}, {weights:,} weights, on {device}{ranks} in {precision}")
    if len(epochs):
        step = step_seconds(method.network, loaded.train) * len(method.classifiers)
        left = time_text(step * loaded.train.num_batches * len(epochs))
        say(
            f"{len(epochs)} epochs of {loaded.train.num_batches:,} steps: at {1000 * step:,.0f} ms a step at "
            f"least {left}; what the method adds is known after an epoch"
        )


def data_words(loaded: Loaded) -> str:
    """How many samples of what, in how many classes."""
    what = "embeddings" if loaded.image_size is None else f"images of {loaded.image_size} px"
    text = f"{len(loaded.train):,} {what} in {len(loaded.dataset.classes):,} classes"
    if loaded.dataset.original is not None:
        flipped = (loaded.dataset.original != loaded.dataset.train.labels).mean()
        text += f", {flipped:.0%} of the labels changed by --noise"
    if loaded.heldout is not None:
        text += f"; accuracy is measured on {len(loaded.heldout):,} others ({loaded.dataset.heldout_name})"
    return text


def step_seconds(network: Classifier, data: TrainData) -> float:
    """Seconds of a step, forth and back: of a copy, on one sample many times, so that nothing of the run changes."""
    size = max(2, min(data.batch_size, len(data)) // world_size())
    example = next(data.inputs(torch.arange(1)))
    x = example.repeat(size, *[1] * (example.dim() - 1))
    copy, labels = deepcopy(network).train(), torch.zeros(size, dtype=torch.int64, device=x.device)
    seconds: list[float] = []
    while len(seconds) <= TRIALS and sum(seconds) < PATIENCE:
        began = time.perf_counter()
        loss = F.cross_entropy(copy(x), labels)
        loss.backward()
        loss.item()  # waits for the device
        seconds.append(time.perf_counter() - began)
    return min(seconds)
