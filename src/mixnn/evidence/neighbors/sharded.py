"""Neighbors over all ranks: each searches for its share. Must not know: methods, files, epochs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.distributed.ranks import shard, total
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.neighbors.inverted_file import table_bytes
from mixnn.evidence.neighbors.search import (
    Backend,
    Metric,
    choose,
    fast_bfloat16,
    may_miss,
    nearest_neighbors,
    sampled_recall,
)


class How(NamedTuple):
    """How neighbors were found.

    Attributes:
        search: in words.
        recall: share of the true neighbors that were found, on a sample of all ranks' samples; None where all are.
    """

    search: str
    recall: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """For `metrics.csv`."""
        return {} if self.recall is None else {"neighbor_recall": self.recall}

    def __str__(self) -> str:
        return self.search if self.recall is None else f"{self.search}, recall {self.recall:.3f}"


def searched_bytes(samples: int, width: int, k: int) -> int:
    """What a sample takes, beside its features, in what "auto" goes through on a CPU for the `k` nearest of each."""
    choice = choose("auto", torch.device("cpu"), samples, width, k)
    if choice == "ivf":
        return table_bytes(width, rounded=fast_bfloat16(torch.device("cpu")))
    return (2 if choice == "bfloat16" else 4) * width


def search_share(
    features: Tensor, k: int, *, metric: Metric, backend: Backend = "auto", progress: Progress = silent
) -> tuple[Tensor, How]:
    """The `k` nearest neighbors of this rank's share of N samples, int64 (n, K), and how they were found.

    Args:
        features: (N, D), the same on every rank, see `nearest_neighbors`.
        metric, backend, progress: see `nearest_neighbors`.
    """
    rows, (n, width) = shard(len(features)), features.shape
    choice = choose(backend, features.device, n, width, k)
    near = nearest_neighbors(features, k, rows=rows, metric=metric, backend=choice, progress=progress)
    looked = sampled_recall(features, near, rows=rows, metric=metric) if may_miss(choice) else (0, 0)
    found, asked = total(torch.tensor(looked, device=features.device)).tolist()
    return near, How(choice, found / asked if asked else None)
