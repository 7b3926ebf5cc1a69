"""What to train on in place of the given labels: the label posterior, by the rule of all label lists.

Must not know: methods, files.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.distributed.ranks import broadcast_from_rank0, gather_rows
from mixnn.evidence.forward_pass import shard_size
from mixnn.evidence.knn import SearchInfo
from mixnn.evidence.label_issues import label_issues
from mixnn.tables.topk_rows import feature_bytes
from mixnn.tables.topk_tensors import as_float16, as_tensor, concatenated


@torch.no_grad()
def targets_from(features: Tensor, labels: Tensor, classes: int, verified: Tensor) -> tuple[Tensor, SearchInfo]:
    """The label posterior of every sample, from features that are compared as they are.

    A table (N, C), see `tables.topk_tensors`, the same on every rank, on the labels' device; and how neighbors were
    searched.

    Args:
        features: (N, D), the same on every rank.
        labels: int64 (N,); below 0: told without a label, and no evidence for any other sample.
        classes: C.
        verified: bool (N,), labels that a person has confirmed.
    """
    given = labels.clamp_min(-1).cpu().numpy()
    found = label_issues(features, given, range(classes), verified=(verified & (labels >= 0)).cpu().numpy())
    return broadcast_from_rank0(as_tensor(found.issues.label_posterior).to(labels.device)), found.search


def embeddings(data: TrainData) -> Tensor:
    """The inputs themselves, (N, D), the same on every rank."""
    size = feature_bytes(len(data), next(data.inputs(torch.arange(1))).shape[1])
    [rows] = concatenated(shard_size(data), ((as_float16(x, size),) for x in data.full_batches()))
    return gather_rows(rows)


def is_embeddings(data: TrainData) -> bool:
    """Whether its inputs are features already, and no images."""
    return next(data.inputs(torch.arange(1))).dim() == 2
