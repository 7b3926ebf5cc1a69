"""What a person sees while it runs. Must not know: torch's details, methods by name, files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mixnn.utils.console import say, time_text

if TYPE_CHECKING:
    from torch import Tensor

    from mixnn.utils.files import Row


class ActivePhase(ProgressColumn):
    """What a method does between two epochs, which of millions of samples takes minutes."""

    def __init__(self, phases: Sequence[str]) -> None:
        super().__init__()
        self.phases = phases

    def render(self, task: Task) -> Text:
        return Text(f"{self.phases[-1].replace('_', ' ')} …" if self.phases else "")


class TrainingScreen:
    """A live bar with the metrics that matter, or a plain line an epoch where nobody watches; an observer of `fit`.

    Args:
        epochs: in all.
        start: epochs already done.
        samples: in an epoch, over all processes; `ranks` share them.
        rows: where the recorder, called before this observer, puts the metrics of each epoch.
        auto_selected: where the method puts what it chooses by itself, in words.
        active_phases: where it puts the phases that it is in.
    """

    def __init__(
        self,
        *,
        epochs: int,
        start: int,
        samples: int,
        ranks: int,
        rows: list[Row],
        auto_selected: Mapping[str, str],
        active_phases: Sequence[str],
    ) -> None:
        self.epochs, self.start, self.samples, self.ranks, self.rows = epochs, start, samples, ranks, rows
        self.auto_selected, self.announced, self.active_phases = auto_selected, dict[str, str](), active_phases
        self.console = Console(stderr=True)
        self.progress: Progress | None = None
        self.began = time.monotonic()
        self.fields: dict[str, Any] = {"loss": "", "metrics": "", "speed": ""}

    def __enter__(self) -> TrainingScreen:
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f}% {task.fields[loss]}{task.fields[metrics]}{task.fields[speed]}"),
                ActivePhase(self.active_phases),
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
            self.epoch_samples += samples * self.ranks
        if now >= self.next_update:  # reading the loss waits for the device: not at every step
            self.next_update = now + 0.5
            self.fields["loss"] = f"loss {loss.item():.3f}"
            if now > self.epoch_began:
                self.fields["speed"] = f" {self.epoch_samples / (now - self.epoch_began):,.0f} images/s"
            self.progress.update(self.task, epoch=f"{epoch + 1}/{self.epochs}", **self.fields)
        # A method may see other numbers of samples in an epoch than there are: the bar keeps to its epoch.
        done = (epoch - self.start) * self.samples + min(self.epoch_samples, self.samples)
        self.progress.update(self.task, completed=done)

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        metrics = metrics_text(self.rows[-1])
        self.epoch_samples = 0
        for name in [name for name, choice in self.auto_selected.items() if self.announced.get(name) != choice]:
            self.announced[name] = self.auto_selected[name]
            say(f"{name}: {self.auto_selected[name]}")
        if self.progress is not None:
            self.fields["metrics"] = metrics
            self.progress.update(self.task, completed=(epoch + 1 - self.start) * self.samples, **self.fields)
            return
        done = epoch + 1 - self.start
        left = (time.monotonic() - self.began) / done * (self.epochs - epoch - 1)
        speed = float(str(self.rows[-1]["images_per_second"]))
        say(f"epoch {epoch + 1}/{self.epochs} loss {loss:.3f}{metrics} {speed:,.0f} images/s, {time_text(left)} left")


def metrics_text(row: Row) -> str:
    text = ""
    if "accuracy" in row:
        text += f" {row['heldout']} accuracy {float(str(row['accuracy'])):.1%}"
    if row.get("clean_fraction") not in ("", None):
        text += f" clean {float(str(row['clean_fraction'])):.0%}"
    return text
