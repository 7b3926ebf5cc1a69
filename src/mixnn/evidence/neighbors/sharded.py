"""Neighbours over all ranks: each searches for its share. Must not know: methods, files, epochs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.distributed.ranks import shard, total
from mixnn.evidence.neighbors.search import Backend, Metric, choose, nearest_neighbors, sampled_recall


class How(NamedTuple):
    """How neighbours were found.

    Attributes:
        search: in words.
        recall: share of the true neighbours that were found, on a sample of all ranks' samples; None where all are.
    """

    search: str
    recall: float | None

    @property
    def figures(self) -> dict[str, float]:
        """For `metrics.csv`."""
        return {} if self.recall is None else {"neighbor_recall": self.recall}

    def __str__(self) -> str:
        return self.search if self.recall is None else f"{self.search}, recall {self.recall:.3f}"


def searched_bytes(samples: int, width: int, k: int) -> int:
    """What a sample takes, beside its features, in what "auto" goes through on a CPU for the `k` nearest of each."""
    choice = choose("auto", torch.device("cpu"), samples, width, k, samples)
    return (4 if choice.backend == "exact" else 2) * (choice.reduce or width)


def search_share(features: Tensor, k: int, *, metric: Metric, backend: Backend = "auto") -> tuple[Tensor, How]:
    """The `k` nearest neighbours of this rank's share of N samples, int64 (n, K), and how they were found.

    Args:
        features: (N, D), the same on every rank, see `nearest_neighbors`.
        metric, backend: see `nearest_neighbors`.
    """
    rows, (n, width) = shard(len(features)), features.shape
    choice = choose(backend, features.device, n, width, k, rows.stop - rows.start)
    near = nearest_neighbors(features, k, rows=rows, metric=metric, backend=choice.backend, reduce=choice.reduce)
    looked = sampled_recall(features, near, rows=rows, metric=metric) if choice.misses else (0, 0)
    # On every rank, whatever it chose: shares differ by a sample, and who does not call leaves the others waiting.
    found, asked = total(torch.tensor(looked, device=features.device)).tolist()
    return near, How(str(choice), found / asked if asked else None)
