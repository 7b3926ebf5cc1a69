"""What a person hears before the first epoch, and sees while it runs. Must not know: methods by name, files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.data.load import Loaded
from mixnn.distributed.ranks import world_size
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier
from mixnn.utils.console import error_console, rewritten_line, say, time_text
from mixnn.utils.devices import device_name
from mixnn.utils.files import Row

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
    if loaded.dataset.train.records is not None:
        what = f"{loaded.dataset.train.noun}s"
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


class ActivePhase(ProgressColumn):
    """What a method does between two epochs, which of millions of samples takes minutes."""

    def __init__(self, phases: Sequence[str]) -> None:
        super().__init__()
        self.phases = phases

    def render(self, task: Task) -> Text:
        return Text(f"{self.phases[-1].replace('_', ' ')} …" if self.phases else "")


class TrainingScreen:
    """A live bar with the metrics that matter, or a plain line an epoch where nobody watches; an observer of `fit`.

    In a notebook the line of an epoch takes the place of the one before.

    Args:
        method: tells what it chooses by itself, and which phases it is in.
        epochs: those to come.
        samples: in an epoch, over all processes.
        rows: where the recorder, called before this observer, puts the metrics of each epoch.
        noun: what a sample is called.
    """

    def __init__(self, method: Method, epochs: range, samples: int, rows: list[Row], noun: str = "image") -> None:
        self.noun = noun
        self.method, self.samples, self.rows = method, samples, rows
        self.start, self.epochs, self.announced = epochs.start, epochs.stop, dict[str, str]()
        self.console = error_console()
        self.progress: Progress | None = None
        self.line = rewritten_line() or say
        self.began = time.monotonic()
        self.fields: dict[str, Any] = {"loss": "", "metrics": "", "speed": ""}

    def __enter__(self) -> TrainingScreen:
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f}% {task.fields[loss]}{task.fields[metrics]}{task.fields[speed]}"),
                ActivePhase(self.method.active_phases),
                TimeRemainingColumn(),
                console=self.console,
                refresh_per_second=4,
                speed_estimate_period=300,
            )
            self.progress.start()
            total = (self.epochs - self.start) * self.samples
            self.task = self.progress.add_task("", total=total, epoch=f"{self.start + 1}/{self.epochs}", **self.fields)
        self.epoch_began, self.epoch_samples = time.monotonic(), 0
        self.next_update = 0.0
        return self

    def __exit__(self, *error: object) -> None:
        if self.progress is not None:
            self.progress.stop()

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None:
        if self.progress is None:
            return
        now = time.monotonic()
        if self.epoch_samples == 0:  # neither the full pass nor the first step count for the speed
            self.epoch_began, self.epoch_samples = now, 1
        else:
            self.epoch_samples += samples * world_size()
        if now >= self.next_update:  # reading the loss waits for the device: not at every step
            self.next_update = now + 0.5
            self.fields["loss"] = f"loss {loss.item():.3f}"
            if now > self.epoch_began:
                self.fields["speed"] = f" {self.epoch_samples / (now - self.epoch_began):,.0f} {self.noun}s/s"
            self.progress.update(self.task, epoch=f"{epoch + 1}/{self.epochs}", **self.fields)
        # A method may see other numbers of samples in an epoch than there are: the bar keeps to its epoch.
        done = (epoch - self.start) * self.samples + min(self.epoch_samples, self.samples)
        self.progress.update(self.task, completed=done)

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        metrics = metrics_text(self.rows[-1])
        self.epoch_samples = 0
        for name, choice in self.method.auto_selected.items():
            if self.announced.get(name) != choice:
                say(f"{name}: {choice}")
        self.announced = dict(self.method.auto_selected)
        if self.progress is not None:
            self.fields["metrics"] = metrics
            self.progress.update(self.task, completed=(epoch + 1 - self.start) * self.samples, **self.fields)
            return
        done = epoch + 1 - self.start
        left = (time.monotonic() - self.began) / done * (self.epochs - epoch - 1)
        speed = float(str(self.rows[-1]["images_per_second"]))
        pace = f"{speed:,.0f} {self.noun}s/s, {time_text(left)} left"
        self.line(f"epoch {epoch + 1}/{self.epochs} loss {loss:.3f}{metrics} {pace}")


def metrics_text(row: Row) -> str:
    text = ""
    if "accuracy" in row:
        text += f" {row['heldout']} accuracy {float(str(row['accuracy'])):.1%}"
    if row.get("clean_fraction") not in ("", None):
        text += f" clean {float(str(row['clean_fraction'])):.0%}"
    return text
