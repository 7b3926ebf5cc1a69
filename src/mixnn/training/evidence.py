"""What the trained method says of every label. Must not know: files, the screen, methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.evidence.assessment import assess_labels
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.evidence.targets import embeddings, is_embeddings
from mixnn.methods.base import Method
from mixnn.methods.losses import one_hot_or_uniform
from mixnn.runs.directory import Evidence
from mixnn.tables.topk_rows import topk_size
from mixnn.tables.topk_tensors import as_rows, as_topk, to_topk


class Collected(NamedTuple):
    """What the method says of N samples after training, the same on every rank.

    Attributes:
        features: (N, D), which label quality is worked out from: embeddings as they are given, or else the network's,
            which may have seen the labels.
        probs: a table (N, C), see `tables.topk_tensors`.
        targets: likewise, what the method takes each label for.
        loss: (N,) in 0–1, NaN where there is no label.
        loss_mixture_clean_prob: (N,), likewise; None of a method that does not use it.
        mixture: (3, 2), means, variances and weights of what was fitted to the losses; NaN where nothing was.
    """

    features: Tensor
    probs: Tensor
    targets: Tensor
    loss: Tensor
    loss_mixture_clean_prob: Tensor | None
    mixture: Any


class Judged(NamedTuple):
    """`evidence`, with the label quality in it; and `search`, how neighbors were searched for it, in words."""

    evidence: Evidence
    search: str


@torch.no_grad()
def collect_evidence(method: Method, data: TrainData) -> Collected:
    """One full pass after training, the same for every method."""
    classes, k = method.num_classes, topk_size(len(data), method.num_classes)
    features, probs, log_given = eval_pass(method.classifiers, data, compact=True)  # (N, D), (N, C), (N, networks)
    if is_embeddings(data):
        features = embeddings(data)  # as they are given: what was trained on them has seen the labels
    known, verified = data.labels >= 0, data.verified.nonzero()[:, 0]
    loss = -log_given.exp().mean(1).clamp_min(1e-12).log()  # (N,)
    clean, mixture = loss_mixture_clean_prob(loss, known) if method.uses_loss_mixture else (None, None)
    targets = method.soft_targets()
    targets = probs if targets is None else as_topk(targets, classes, k)
    if len(verified):
        targets = targets.clone()
        targets[verified] = to_topk(one_hot_or_uniform(data.labels[verified], classes), k)
    return Collected(
        features,
        probs,
        targets,
        min_max(loss, known).where(known, torch.nan),
        None if clean is None else clean.masked_fill(data.verified, 1.0).where(known, torch.nan),
        np.full((3, 2), np.nan) if mixture is None else np.stack([numpy(part) for part in mixture[:3]]),
    )


@torch.no_grad()
def judge_labels(
    collected: Collected, data: TrainData, classes: int, names: Sequence[str], unlabeled: Sequence[str] = ()
) -> Judged:
    """The label quality of every sample, beside what was collected of it."""
    assessment, clean_prob = assess_labels(collected.features, data, classes), collected.loss_mixture_clean_prob
    evidence = Evidence(
        names=np.array(names, dtype=np.str_),
        given=numpy(data.labels),
        probs=as_rows(collected.probs, classes),
        unlabeled=np.array(unlabeled, dtype=np.str_),
        targets=as_rows(collected.targets, classes),
        loss=numpy(collected.loss),
        loss_mixture_clean_prob=None if clean_prob is None else numpy(clean_prob),
        mixture=collected.mixture,
        **assessment.fields,
    )
    return Judged(evidence, assessment.search)


def numpy(x: Tensor) -> Any:
    """As an array, of whatever dtype `x` has."""
    return x.cpu().numpy()
