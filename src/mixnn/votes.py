"""What the neighbours of each sample are labelled. Must not know: methods, data sets, files, epochs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.bounds import HOODS
from mixnn.confusion import neighbor_vote, voters
from mixnn.packing import filled, pack
from mixnn.rows import parts
from mixnn.search import How, search_share


class Asked(NamedTuple):
    """What neighbours say of n samples.

    Attributes:
        near: int64 (n, ≤ 40), the nearest, near to far.
        vote: a table of n rows, see `packing`.
        how: they were found.
    """

    near: Tensor
    vote: Tensor
    how: How


def ask_neighbors(features: Tensor, labels: Tensor, classes: int, kept: int | None) -> Asked:
    """The nearest samples of this rank's share of n samples, and what their labels say.

    Args:
        features: (N, D), compared by their cosine.
        labels: int64 (N,) on the same device; those below 0 have no vote.
        classes: C.
        kept: shares of each row of the votes, see `rows.kept_of`.

    Returns:
        The nearest few, the vote of up to 200, and how they were found.
    """
    near, how = search_share(features, voters(len(features), classes), metric="cosine")  # (n, K)
    given = labels.cpu().numpy()
    counted = (neighbor_vote(given, near[rows].cpu().numpy(), classes) for rows in parts(len(near), classes))
    [vote] = filled(len(near), ((pack(torch.from_numpy(part).float(), kept),) for part in counted))
    few = near[:, : max(HOODS)]
    if few.shape != near.shape:
        few = few.clone()  # so that the rest can go
    return Asked(few, vote.to(labels.device), how)
