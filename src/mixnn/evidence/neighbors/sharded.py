"""Neighbors over all ranks: each searches for its share. Must not know: methods, files, epochs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.distributed.ranks import all_reduce_sum, shard
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.neighbors.search import (
    Backend,
    Metric,
    choose,
    may_miss,
    nearest_neighbors,
    sampled_recall,
)


class SearchInfo(NamedTuple):
    """How neighbors were found.

    Attributes:
        search: in words.
        recall: share of the distinct true neighbors that were found, on a sample of all ranks' samples; None where all
            are.
    """

    search: str
    recall: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """For `metrics.csv`."""
        return {} if self.recall is None else {"neighbor_recall": self.recall}

    def __str__(self) -> str:
        return self.search if self.recall is None else f"{self.search}, recall {self.recall:.3f}"


def search_shard(
    features: Tensor, k: int, *, metric: Metric, backend: Backend = "auto", progress: Progress = silent
) -> tuple[Tensor, SearchInfo]:
    """The `k` nearest neighbors of this rank's share of N samples, int64 (n, K), and how they were found.

    Args:
        features: (N, D), the same on every rank, see `nearest_neighbors`.
        metric, backend, progress: see `nearest_neighbors`.
    """
    rows, (n, width) = shard(len(features)), features.shape
    choice = choose(backend, features.device, n, width, k)
    indices = nearest_neighbors(features, k, rows=rows, metric=metric, backend=choice, progress=progress)
    counts = sampled_recall(features, indices, rows=rows, metric=metric) if may_miss(choice) else (0, 0)
    found, expected = all_reduce_sum(torch.tensor(counts, device=features.device)).tolist()
    return indices, SearchInfo(choice, found / expected if expected else None)
