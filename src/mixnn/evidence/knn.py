"""The nearest samples in feature space, over all ranks, for votes and to be shown. Must not know: methods, files."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mixnn.distributed.ranks import all_reduce_sum, gather_rows, shard
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.neighbors.search import Backend, Metric, choose, nearest_neighbors, sampled_recall
from mixnn.tables.topk_rows import chunks

MAX_VOTE_K, MIN_VOTE_K, MIN_VOTE_K_OF_MANY = 100, 20, 10  # neighbors that are looked up of each sample; of very many
TABLE = 20_000_000  # of all samples together, at most, for the sake of memory


class SearchInfo(NamedTuple):
    """How neighbors were found.

    Attributes:
        search: in words.
        recall: share of the distinct true neighbors that were found, on a sample of all ranks' samples; None where
            all are.
    """

    search: str
    recall: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """For `metrics.csv`."""
        return {} if self.recall is None else {"neighbor_recall": self.recall}

    def __str__(self) -> str:
        return self.search if self.recall is None else f"{self.search}, recall {self.recall:.3f}"


def vote_k(samples: int, classes: int) -> int:
    """How many neighbors are looked up: as many as a class has samples, at most 100."""
    wanted = min(MAX_VOTE_K, max(MIN_VOTE_K, samples // classes), max(MIN_VOTE_K_OF_MANY, TABLE // samples))
    return max(0, min(wanted, samples - 1))


def knn_indices(
    features: Tensor, k: int, *, metric: Metric = "cosine", backend: Backend = "auto", progress: Progress = silent
) -> tuple[Tensor, SearchInfo]:
    """The k nearest other samples of each, int64 (N, k), nearest first, and how they were found.

    Each rank searches for its share.

    Args:
        features: (N, D), the same on every rank.
        metric, backend, progress: see `nearest_neighbors`.
    """
    rows, (n, width) = shard(len(features)), features.shape
    choice = choose(backend, features.device, n, width, k)
    indices = nearest_neighbors(features, k, rows=rows, metric=metric, backend=choice, progress=progress)
    counts = (0, 0) if choice == "exact" else sampled_recall(features, indices, rows=rows, metric=metric)
    found, expected = all_reduce_sum(torch.tensor(counts, device=features.device)).tolist()
    return gather_rows(indices), SearchInfo(choice, found / expected if expected else None)


def cosine_distances(features: Tensor, indices: Tensor) -> Tensor:
    """One minus the cosine of each sample and its neighbors, near to far: (N, D), int64 (N, K) -> (N, K) in 0–2."""
    distances = torch.empty(indices.shape, device=indices.device)
    for part in chunks(*features.shape):
        z = normalize(features[part].float())  # (n, D)
        for k, column in enumerate(indices[part].T):  # one at a time: no (n, K, D) table
            distances[part, k] = 1 - (z * normalize(features[column].float())).sum(1)
    return distances.clamp_(0, 2)
