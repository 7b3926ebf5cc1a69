"""The nearest samples in feature space, for votes and to be shown. Must not know: label quality, methods, files."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from mixnn.distributed.ranks import gather_rows
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.neighbors.sharded import SearchInfo, search_shard
from mixnn.tables.topk_rows import chunks

MAX_VOTE_K, MIN_VOTE_K, MIN_VOTE_K_OF_MANY = 100, 20, 10  # neighbors that are looked up of each sample; of very many
TABLE = 20_000_000  # of all samples together, at most, for the sake of memory


def vote_k(samples: int, classes: int) -> int:
    """How many neighbors are looked up: as many as a class has samples, at most 100."""
    wanted = min(MAX_VOTE_K, max(MIN_VOTE_K, samples // classes), max(MIN_VOTE_K_OF_MANY, TABLE // samples))
    return max(0, min(wanted, samples - 1))


def knn_indices(features: Tensor, k: int, progress: Progress = silent) -> tuple[NDArray[np.int64], SearchInfo]:
    """The k nearest other samples of each by cosine, int64 (N, k), nearest first; and how they were searched."""
    indices, info = search_shard(features, k, metric="cosine", progress=progress)
    return gather_rows(indices).cpu().numpy(), info


def cosine_distances(features: Tensor, indices: Tensor, rows: slice = slice(None)) -> Tensor:
    """One minus the cosine of each of `rows` and its neighbors, near to far: (N, D), int64 (n, K) -> (n, K) in 0–2."""
    distances = torch.empty(indices.shape, device=indices.device)
    row_indices = torch.arange(len(features), device=indices.device)[rows]
    for part in chunks(len(row_indices), features.shape[1]):
        z = normalize(features[row_indices[part]].float())  # (n, D)
        for k, column in enumerate(indices[part].T):  # one at a time: no (n, K, D) table
            distances[part, k] = 1 - (z * normalize(features[column].float())).sum(1)
    return distances.clamp_(0, 2)
