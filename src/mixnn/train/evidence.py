"""What the trained method says of every label. Must not know: files, the screen, methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixnn.data.train_data import TrainData
from mixnn.distributed import gather_rows, shard
from mixnn.functional import clean_probability, min_max, sample_losses
from mixnn.methods.base import Method
from mixnn.neighbors import nearest_neighbors
from mixnn.passes import full_pass
from mixnn.run import Evidence

NEIGHBORS = 10  # whose given labels are compared with a sample's own


@torch.no_grad()
def collect_evidence(method: Method, data: TrainData, names: Sequence[str], unlabelled: Sequence[str] = ()) -> Evidence:
    """One full pass after training, judged against the given labels; the same for every method."""
    first, *others = method.classifiers
    features, log_probs = full_pass(first, data)  # (N, D), (N, C)
    k = min(NEIGHBORS, len(data) - 1)
    near = nearest_neighbors(features, k, rows=shard(len(data)), metric="cosine")
    del features  # by far the largest table
    every = [log_probs, *(full_pass(network, data).log_probs for network in others)]
    probs = torch.stack([one.exp() for one in every]).mean(0)  # (N, C)
    known = data.labels >= 0
    loss = sample_losses(probs.clamp_min(1e-12).log(), data.labels.clamp_min(0))
    clean, mixture = clean_probability(loss, known)
    targets = method.soft_targets()
    nothing = np.full((3, 2), np.nan)
    fitted = nothing if mixture is None else np.stack([numpy(part) for part in mixture[:3]])
    return Evidence(
        names=np.array(names, dtype=np.str_),
        given=numpy(data.labels),
        probs=numpy(probs),
        targets=numpy(probs if targets is None else targets),
        loss=numpy(min_max(loss, known).where(known, torch.nan)),
        clean_prob=numpy(clean.where(known, torch.nan)),
        mixture=fitted,
        neighbors=numpy(gather_rows(near)),
        unlabelled=np.array(unlabelled, dtype=np.str_),
    )


def numpy(x: Tensor) -> Any:
    """As an array, of whatever dtype `x` has."""
    return x.cpu().numpy()
