"""What the neighbours of each sample are labelled. Must not know: methods, data sets, files, epochs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.confusion import HOODS, neighbor_vote, voters
from mixnn.search import How, search_share

ROWS = 100_000  # whose votes are counted at a time


class Asked(NamedTuple):
    """What neighbours say of n samples.

    Attributes:
        near: int64 (n, ≤ 40), the nearest, near to far.
        vote: float32 (n, C), rows sum to one.
        how: they were found.
    """

    near: Tensor
    vote: Tensor
    how: How


def ask_neighbors(features: Tensor, labels: Tensor, classes: int) -> Asked:
    """The nearest samples of this rank's share of n samples, and what their labels say.

    Args:
        features: (N, D), compared by their cosine.
        labels: int64 (N,) on the same device; those below 0 have no vote.
        classes: C.

    Returns:
        The nearest few, the vote of up to 200, and how they were found.
    """
    near, how = search_share(features, voters(len(features), classes), metric="cosine")  # (n, K)
    given = labels.cpu().numpy()
    counted = (neighbor_vote(given, part.cpu().numpy(), classes) for part in near.split(ROWS))  # in 64 bits
    vote = torch.cat([torch.from_numpy(part).float() for part in counted]).to(labels.device)
    return Asked(near[:, : max(HOODS)].clone(), vote, how)  # a copy, so that the rest can go
