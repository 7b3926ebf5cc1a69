"""A row of metrics for each epoch. Must not know: methods by name, the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.distributed.ranks import all_reduce_sum, rank, shard, world_size
from mixnn.methods.base import Method
from mixnn.runs.directory import RunDirectory
from mixnn.tables.topk_tensors import dense_chunks
from mixnn.training.operations import OperationCounter
from mixnn.utils.files import Row

BINS = 50  # of the losses, which lie in 0–1
MIXTURE = ("mixture_low", "mixture_high", "mixture_separation")
History = dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]  # epoch, from 1 -> counts (BINS,), mixture (3, 2)
METRICS = ("clean_fraction", *MIXTURE, "neighbor_agreement", "neighbor_recall")  # empty in epochs that have none


def predictions(method: Method, data: TrainData) -> Iterator[tuple[Tensor, Tensor]]:
    """Probabilities (B, C) and labels (B,) of this rank's part of `data`, without augmentation."""
    method.eval()
    labels, done = data.labels[shard(len(data))], 0
    for x in data.full_batches():
        yield method.predict(x), labels[done : done + len(x)]
        done += len(x)


@torch.no_grad()
def count_predictions(method: Method, data: TrainData) -> NDArray[np.int64]:
    """How many samples of each label are taken for each class, (C, C), the same on every rank."""
    classes = method.num_classes
    counts = torch.zeros(classes * classes, dtype=torch.long, device=data.labels.device)
    for probs, labels in predictions(method, data):
        pairs = (labels * classes + probs.argmax(1))[labels >= 0]
        counts += pairs.bincount(minlength=classes * classes)
    counted: NDArray[np.int64] = all_reduce_sum(counts).view(classes, classes).cpu().numpy()
    return counted


@torch.no_grad()
def accuracy(method: Method, data: TrainData) -> tuple[float, float]:
    """Share of `data` whose likeliest class is its label, and how far confidence is from it (ECE), both in 0–1.

    Each rank looks at its part.
    """
    bins = torch.zeros(3, 15, dtype=torch.float64, device=data.labels.device)
    for probs, labels in predictions(method, data):
        bins += confidence_bins(probs, labels)
    bins = all_reduce_sum(bins)
    return bins[1].sum().item() / len(data), calibration_error(bins)


def confidence_bins(probs: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """Predictions by confidence, in `bins` of equal width: (3, bins), to be added up over batches.

    Rows: how many, how many of them right, the sum of their confidences (Guo et al., arXiv 1706.04599).

    Args:
        probs: (B, C), rows sum to one.
        labels: int64 (B,).
    """
    confidence, predicted = probs.double().max(1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1  # (B,)
    counted = torch.stack([torch.ones_like(confidence), (predicted == labels).double(), confidence])
    return counted.new_zeros(3, bins).index_add_(1, place, counted)


def calibration_error(bins: Tensor) -> float:
    """ECE, the mean distance of confidence from accuracy, in 0–1, of what `confidence_bins` added up (3, bins)."""
    count, right, confidence = bins
    return float((right - confidence).abs().sum() / count.sum())


class Recorder:
    """Writes `metrics.csv`, and the losses as a histogram into `losses.npz`; an observer of `fit`.

    Args:
        run: where to.
        method: whose metrics.
        heldout: samples for the accuracy, or None.
        heldout_name: what they are called.
        operations: counts them; none are written where None.
        true_labels: int64 (N,), where noise was added and so the truth is known.
        rows, history: where they are kept; those of the epochs already done are there, on resuming.
    """

    def __init__(
        self,
        run: RunDirectory,
        method: Method,
        heldout: TrainData | None,
        heldout_name: str,
        operations: OperationCounter | None = None,
        true_labels: Tensor | None = None,
        rows: list[Row] | None = None,
        history: History | None = None,
    ) -> None:
        self.run, self.method, self.heldout, self.heldout_name = run, method, heldout, heldout_name
        self.operations, self.true_labels = operations, true_labels
        self.rows: list[Row] = [] if rows is None else rows
        self.history: History = {} if history is None else history
        self.samples = 0
        if rank() == 0 and self.rows:
            self.write()  # whatever became of the files

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None:
        self.samples += samples

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        row: dict[str, object] = {"epoch": epoch + 1, "train_loss": loss}
        start = time.perf_counter()
        if self.operations is not None:
            self.operations.kind = "evaluate"
        if self.heldout is not None:
            correct, error = accuracy(self.method, self.heldout)
            row |= {"heldout": self.heldout_name, "accuracy": correct, "calibration_error": error}
        seconds = seconds | {"evaluate": time.perf_counter() - start}
        metrics = dict.fromkeys(METRICS, "") | self.method.metrics  # the same columns in every row
        targets = self.method.soft_targets()
        if self.true_labels is not None and targets is not None:
            known = self.true_labels >= 0
            chunks = dense_chunks(targets, self.method.num_classes)
            likeliest = torch.cat([t.argmax(1) for _, t in chunks])
            metrics["right_targets"] = (likeliest == self.true_labels)[known].float().mean().item()
        phases = dict.fromkeys(("eval_pass", "mixture", "neighbors", "evidence"), 0.0) | seconds
        phases["begin"] -= sum(self.method.seconds.values())  # what is left of it
        row |= metrics | {f"seconds_{name}": value for name, value in phases.items()}
        if self.operations is not None:
            self.operations.kind = None
            row |= {f"operations_{kind}": count for kind, count in self.operations.take().items()}
        row["images_per_second"] = self.samples * world_size() / seconds["train"]
        self.samples = 0
        self.rows.append(row)
        losses, mixture = self.method.losses, self.method.mixture
        if losses is not None:  # there was a full pass
            counts = torch.histc(losses[~losses.isnan()].float(), BINS, 0, 1).cpu().numpy().astype(np.int64)
            self.history[epoch + 1] = counts, np.full((3, 2), np.nan) if mixture is None else mixture.cpu().numpy()
        if rank() == 0:
            self.write()

    def write(self) -> None:
        """Both files."""
        self.run.write_table(self.run.metrics, self.rows)
        if self.history:
            arrays = {
                "epochs": np.array(list(self.history)),
                "counts": np.stack([counts for counts, _ in self.history.values()]),
                "mixtures": np.stack([mixture for _, mixture in self.history.values()]),
            }
            self.run.write_arrays(self.run.losses, arrays)
