"""What the trained method says of every label. Must not know: files, the screen, methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.evidence.assessment import measure
from mixnn.evidence.forward_pass import look
from mixnn.evidence.loss_mixture import clean_probability, min_max
from mixnn.evidence.targets import embeddings, is_embeddings
from mixnn.methods.base import Method
from mixnn.methods.losses import soft_labels
from mixnn.runs.directory import Evidence
from mixnn.tables.topk_rows import kept_of
from mixnn.tables.topk_tensors import as_rows, pack, packed

FOR_LISTS = "neighbors for the lists"  # what a run says of the search for them


@torch.no_grad()
def collect_evidence(method: Method, data: TrainData, names: Sequence[str], unlabelled: Sequence[str] = ()) -> Evidence:
    """One full pass after training, and the label quality; the same for every method.

    It is made of embeddings as they are given, or else of the network's features, which may have seen the labels.
    """
    classes, given = method.num_classes, numpy(data.labels)
    kept = kept_of(len(data), classes)
    features, probs, log_given = look(method.classifiers, data, kept)  # (N, D), (N, C), (N, networks)
    if is_embeddings(data):
        features = embeddings(data)  # as they are given: what was trained on them has seen the labels
    measured = measure(features, given, [str(label) for label in range(classes)], numpy(data.certain), data.inputs)
    method.choices[FOR_LISTS] = measured.search
    del features  # by far the largest table
    known, verified = data.labels >= 0, data.certain.nonzero()[:, 0]
    loss = -log_given.exp().mean(1).clamp_min(1e-12).log()  # (N,)
    clean, mixture = clean_probability(loss, known)
    targets = method.soft_targets()
    targets = probs if targets is None else packed(targets, classes, kept)
    if len(verified):
        targets = targets.clone()
        targets[verified] = pack(soft_labels(data.labels[verified], classes), kept)
    clean = clean.masked_fill(data.certain, 1.0)
    nothing = np.full((3, 2), np.nan)
    return Evidence(
        names=np.array(names, dtype=np.str_),
        given=given,
        probs=as_rows(probs, classes),
        unlabelled=np.array(unlabelled, dtype=np.str_),
        targets=as_rows(targets, classes),
        loss=numpy(min_max(loss, known).where(known, torch.nan)),
        clean_prob=numpy(clean.where(known, torch.nan)),
        mixture=nothing if mixture is None else np.stack([numpy(part) for part in mixture[:3]]),
        **measured.fields,
    )


def numpy(x: Tensor) -> Any:
    """As an array, of whatever dtype `x` has."""
    return x.cpu().numpy()
