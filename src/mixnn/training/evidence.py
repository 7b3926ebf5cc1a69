"""What is known of every label: what its features say, and the trained method. Must not know: files, the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.data.records.records import Records
from mixnn.evidence.forward_pass import embeddings, eval_pass, is_embeddings
from mixnn.evidence.knn import cosine_distances
from mixnn.evidence.label_issues import label_issues
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.evidence.near_duplicates import compare_neighbors
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.outliers import outlier_scores
from mixnn.evidence.pca import pca_2d
from mixnn.evidence.trees import tree_probs
from mixnn.label_quality.duplicates import reconcile
from mixnn.methods.base import Method
from mixnn.methods.losses import one_hot_or_uniform
from mixnn.runs.directory import Evidence
from mixnn.tables.topk_rows import topk_size
from mixnn.tables.topk_tensors import as_rows, as_topk, to_topk

NEIGHBORS = 10  # that are kept, and shown


class Collected(NamedTuple):
    """What label quality is worked out from, the same on every rank.

    Attributes:
        features: (N, D): embeddings as they are given, or else a network's, which may have seen the labels.
        fields: what a trained method says besides, by its name in `mixnn.runs.directory.Evidence`.
    """

    features: Tensor
    fields: dict[str, Any]


class Judged(NamedTuple):
    """`evidence`, with the label quality in it; and what was `chosen` for it, by name, such as the search."""

    evidence: Evidence
    chosen: dict[str, Any]


@torch.no_grad()
def collect_evidence(method: Method, data: TrainData) -> Collected:
    """One full pass after training, the same for every method."""
    classes, k = method.num_classes, topk_size(len(data), method.num_classes)
    features, probs, log_given = eval_pass(method.classifiers, data, compact=True)  # (N, D), (N, C), (N, networks)
    if is_embeddings(data):
        features = embeddings(data)  # as they are given: what was trained on them has seen the labels
    known, verified = data.labels >= 0, data.verified.nonzero()[:, 0]
    loss = -log_given.exp().mean(1).clamp_min(1e-12).log()  # (N,)
    targets = method.soft_targets()
    targets = probs if targets is None else as_topk(targets, classes, k)
    if len(verified):
        targets = targets.clone()
        targets[verified] = to_topk(one_hot_or_uniform(data.labels[verified], classes), k)
    fields = {
        "probs": as_rows(probs, classes),
        "targets": as_rows(targets, classes),
        "loss": numpy(min_max(loss, known).where(known, torch.nan)),
        "mixture": np.full((3, 2), np.nan),
    }
    if method.uses_loss_mixture:
        clean, mixture = loss_mixture_clean_prob(loss, known)
        fields["loss_mixture_clean_prob"] = numpy(clean.masked_fill(data.verified, 1.0).where(known, torch.nan))
        if mixture is not None:
            fields["mixture"] = np.stack([numpy(part) for part in mixture[:3]])
    return Collected(features, fields)


@torch.no_grad()
def judge_labels(
    collected: Collected,
    data: TrainData,
    classes: int,
    names: Sequence[str],
    unlabeled: Sequence[str] = (),
    progress: Progress = silent,
    records: Records | None = None,
) -> Judged:
    """The label quality of N samples, with near duplicates under two labels brought into agreement.

    Rows of a table are judged by trees, in the place of a linear head. Texts and rows are near duplicates where they
    say the same, but for case and spaces.

    Args:
        data: the samples, with their given and their verified labels.
        classes: C.
        names: N file names.
        unlabeled: words that mean "don't know".
        progress: is told of how many samples the neighbors are found.
        records: what the samples say, where they are texts or rows.
    """
    given, verified = numpy(data.labels), numpy(data.verified)
    probs = tree_probs(collected.features, given, classes) if records is not None and records.kind == "row" else None
    found = label_issues(
        collected.features, given.clip(-1), range(classes), verified=verified, pred_probs=probs, progress=progress
    )
    around = torch.from_numpy(found.neighbors)
    nearest = around[:, :NEIGHBORS].contiguous()
    distances = cosine_distances(collected.features.cpu(), nearest)
    outliers = outlier_scores(around, distances, given)
    pairs = compare_neighbors(nearest, distances, None if is_embeddings(data) else data.inputs).pairs
    if records is not None:
        same = [records.source(one) == records.source(other) for one, other in pairs.tolist()]
        pairs = pairs[np.array(same, dtype=bool)]
    issues = reconcile(found.issues, pairs)
    fields = {
        "names": np.array(names, dtype=np.str_),
        "given": given,
        "unlabeled": np.array(unlabeled, dtype=np.str_),
        "probs": found.pred_probs,
        "label_posterior": issues.label_posterior,
        "noise_matrix": issues.noise_matrix,
        "noise_rate": np.array(issues.noise_rate, dtype=np.float64),
        "noise_rate_interval": np.array(issues.noise_rate_interval, dtype=np.float64),
        "contradicted": np.array(issues.contradicted, dtype=np.float64),
        "neighbors": numpy(nearest),
        "distances": numpy(distances),
        "near_duplicates": pairs,
        "outlier_score": outliers.score,
        "coordinates": numpy(pca_2d(collected.features)),
        "verified": np.flatnonzero(verified),
    }
    chosen = {name: np.asarray(value).tolist() for name, value in issues.evidence.items()}
    return Judged(Evidence(**fields | collected.fields), {"neighbors": str(found.search), **chosen})


def numpy(x: Tensor) -> Any:
    """As an array, of whatever dtype `x` has."""
    return x.cpu().numpy()
