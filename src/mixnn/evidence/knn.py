"""The nearest samples in feature space, for votes and to be shown. Must not know: label quality, methods, files."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from mixnn.distributed.ranks import gather_rows
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.neighbors.sharded import How, search_share
from mixnn.tables.topk_rows import chunks

MOST_VOTES, FEWEST_VOTES, LEAST_VOTES = 100, 20, 10  # neighbors that are looked up of each sample; of very many
TABLE = 20_000_000  # of all samples together, at most, for the sake of memory


def vote_k(samples: int, classes: int) -> int:
    """How many neighbors are looked up: as many as a class has samples, at most 100."""
    wanted = min(MOST_VOTES, max(FEWEST_VOTES, samples // classes), max(LEAST_VOTES, TABLE // samples))
    return max(0, min(wanted, samples - 1))


def knn_indices(features: Tensor, k: int, progress: Progress = silent) -> tuple[NDArray[np.int64], How]:
    """The k nearest other samples of each by cosine, int64 (N, k), nearest first; and how they were searched."""
    near, how = search_share(features, k, metric="cosine", progress=progress)
    return gather_rows(near).cpu().numpy(), how


def cosine_distances(features: Tensor, near: Tensor, rows: slice = slice(None)) -> Tensor:
    """One minus the cosine of each of `rows` and its neighbors, near to far: (N, D), int64 (n, K) -> (n, K) in 0–2."""
    distances = torch.empty(near.shape, device=near.device)
    own = torch.arange(len(features), device=near.device)[rows]
    for part in chunks(len(own), features.shape[1]):
        z = normalize(features[own[part]].float())  # (n, D)
        for k, column in enumerate(near[part].T):  # one at a time: no (n, K, D) table
            distances[part, k] = 1 - (z * normalize(features[column].float())).sum(1)
    return distances.clamp_(0, 2)
