"""A row of figures for each epoch. Must not know: methods by name, the screen."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from mixnn.data.train_data import TrainData
from mixnn.distributed import rank, shard, total, world_size
from mixnn.functional import calibration_error, confidence_bins
from mixnn.methods.base import Method
from mixnn.run import Row, RunDirectory


@torch.no_grad()
def accuracy(method: Method, data: TrainData) -> tuple[float, float]:
    """Share of `data` whose likeliest class is its label, and how far confidence is from it (ECE), both in 0–1.

    Each rank looks at its part.
    """
    method.eval()
    labels = data.labels[shard(len(data))]
    bins = torch.zeros(3, 15, dtype=torch.float64, device=labels.device)
    done = 0
    for x in data.full_batches():
        bins += confidence_bins(method.predict(x), labels[done : done + len(x)])
        done += len(x)
    bins = total(bins)
    return bins[1].sum().item() / len(data), calibration_error(bins)


class Recorder:
    """Writes `metrics.csv`; an observer of `fit`.

    Args:
        run: where to.
        method: whose figures.
        heldout: samples for the accuracy, or None.
        heldout_name: what they are called.
        true_labels: int64 (N,), where noise was added and so the truth is known.
        rows: those of the epochs already done, on resuming.
    """

    def __init__(
        self,
        run: RunDirectory,
        method: Method,
        heldout: TrainData | None,
        heldout_name: str,
        true_labels: Tensor | None = None,
        rows: Sequence[Row] = (),
    ) -> None:
        self.run, self.method, self.heldout, self.heldout_name = run, method, heldout, heldout_name
        self.true_labels = true_labels
        self.rows: list[Row] = list(rows)
        self.samples = 0

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None:
        self.samples += samples

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        row: dict[str, object] = {"epoch": epoch + 1, "train_loss": loss}
        start = time.perf_counter()
        if self.heldout is not None:
            share, error = accuracy(self.method, self.heldout)
            row |= {"heldout": self.heldout_name, "accuracy": share, "calibration_error": error}
        seconds = seconds | {"evaluate": time.perf_counter() - start}
        names = ("clean_share", "mixture_low", "mixture_high", "mixture_separation", "neighbor_agreement")
        figures = dict.fromkeys(names, "") | self.method.figures  # the same columns in every row
        targets = self.method.soft_targets()
        if self.true_labels is not None and targets is not None:
            known = self.true_labels >= 0
            figures["right_targets"] = (targets.argmax(1) == self.true_labels)[known].float().mean().item()
        phases = dict.fromkeys(("full_pass", "mixture", "neighbors"), 0.0) | seconds
        phases["begin"] -= sum(self.method.seconds.values())  # what is left of it
        row |= figures | {f"seconds_{name}": value for name, value in phases.items()}
        row["images_per_second"] = self.samples * world_size() / seconds["train"]
        self.samples = 0
        self.rows.append(row)
        if rank() == 0:
            self.run.write_table(self.run.metrics, self.rows)
