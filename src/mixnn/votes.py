"""What the neighbours of each sample are labelled. Must not know: methods, data sets, files, epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from mixnn.confusion import HOODS, neighbor_vote, voters
from mixnn.distributed import shard
from mixnn.neighbors import nearest_neighbors
from mixnn.packing import filled, pack
from mixnn.rows import parts


def ask_neighbors(features: Tensor, labels: Tensor, classes: int, kept: int | None) -> tuple[Tensor, Tensor]:
    """The nearest samples of this rank's share of n samples, and what their labels say.

    Args:
        features: (N, D), compared by their cosine.
        labels: int64 (N,) on the same device; those below 0 have no vote.
        classes: C.
        kept: shares of each row of the votes, see `rows.kept_of`.

    Returns:
        The nearest few, near to far, int64 (n, ≤ 40); the vote of up to 200, a table of n rows, see `packing`.
    """
    asked = voters(len(features), classes)
    near = nearest_neighbors(features, asked, rows=shard(len(features)), metric="cosine")  # (n, K)
    given = labels.cpu().numpy()
    counted = (neighbor_vote(given, near[rows].cpu().numpy(), classes) for rows in parts(len(near), classes))
    [vote] = filled(len(near), ((pack(torch.from_numpy(part).float(), kept),) for part in counted))
    few = near[:, : max(HOODS)]
    return few if few.shape == near.shape else few.clone(), vote.to(labels.device)  # a copy, so that the rest can go
