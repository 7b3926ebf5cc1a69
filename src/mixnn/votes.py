"""What the neighbours of each sample are labelled. Must not know: methods, data sets, files, epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from mixnn.confusion import HOODS, neighbor_vote, voters
from mixnn.distributed import shard
from mixnn.neighbors import nearest_neighbors

ROWS = 100_000  # whose votes are counted at a time


def ask_neighbors(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The nearest samples of this rank's share of n samples, and what their labels say.

    Args:
        features: (N, D), compared by their cosine.
        labels: int64 (N,) on the same device; those below 0 have no vote.
        classes: C.

    Returns:
        The nearest few, near to far, int64 (n, ≤ 40); the vote of up to 200, float32 (n, C), rows sum to one.
    """
    asked = voters(len(features), classes)
    near = nearest_neighbors(features, asked, rows=shard(len(features)), metric="cosine")  # (n, K)
    given = labels.cpu().numpy()
    counted = (neighbor_vote(given, part.cpu().numpy(), classes) for part in near.split(ROWS))  # in 64 bits
    vote = torch.cat([torch.from_numpy(part).float() for part in counted]).to(labels.device)
    return near[:, : max(HOODS)].clone(), vote  # a copy, so that the rest can go
