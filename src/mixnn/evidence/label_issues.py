"""From features and labels to label issues: `mixnn.find_label_issues`, and what it is made of.

The features are compared as they are given: whatever network made them, no sample's own label decides what is said of
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.distributed.ranks import broadcast_from_rank0
from mixnn.errors import InputError
from mixnn.evidence.inputs import checked_features, checked_probs, checked_verified, encoded_labels
from mixnn.evidence.knn import SearchInfo, knn_indices, vote_k
from mixnn.evidence.linear_probe import FOLDS, LinearProbe, Whitened, folds_of
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.label_quality.combination import Comparison, Fit, combine, knn_vote
from mixnn.label_quality.issues import LabelIssues
from mixnn.label_quality.posterior import estimate_label_quality, label_frequencies, label_posterior
from mixnn.label_quality.sampling import head_samples, sampled_rows
from mixnn.tables.topk_rows import Table, chunks, empty_table
from mixnn.tables.topk_tensors import as_tensor

RIDGES = (0.3, 1.0, 3.0)  # of the heads that are compared, times the root of how many samples they are fitted to
ANCHORS = (0.1, 0.3)  # of a class, from whose labels the noise matrix starts, beside a diagonally dominant T
COSTLY = 40_000_000  # samples × classes from which on one head, fitted once, has to do


class Found(NamedTuple):
    """Label issues, and the evidence that they come from.

    Attributes:
        issues: see `LabelIssues`.
        pred_probs: (N, C), of a linear head that has not seen the sample's label, or those that were given.
        neighbors: int64 (N, K), nearest first, all that voted.
        search: how they were found.
    """

    issues: LabelIssues
    pred_probs: Table
    neighbors: NDArray[np.int64]
    search: SearchInfo


def label_issues(
    features: Tensor,
    given: NDArray[np.int64],
    classes: Sequence[Any],
    *,
    verified: NDArray[np.bool_] | None = None,
    pred_probs: Table | None = None,
    progress: Progress = silent,
) -> Found:
    """Label quality of every sample from frozen features.

    Args:
        features: (N, D), compared by their cosine.
        given: (N,), 0 to C - 1; below 0 where there is no label.
        classes: C names.
        verified: (N,), labels that a person has confirmed.
        pred_probs: (N, C), by a classifier that has not seen the sample's label; by a linear head in folds where None.
        progress: is told of how many samples the neighbors are found.
    """
    nearest, search = knn_indices(features, vote_k(len(given), len(classes)), progress=progress)  # (N, K)
    indices = nearest.cpu().numpy()
    features = features.cpu()  # what follows is little work, and the same on every machine
    neighbor_labels = np.append(given, -1).astype(np.int32)[indices]
    chosen = None
    if pred_probs is None:
        pred_probs, chosen = probe(features, given, len(classes), indices, neighbor_labels)
    issues = estimate_label_quality(given, classes, pred_probs, neighbor_labels, verified=verified, chosen=chosen)
    return Found(issues, pred_probs, indices, search)


def probe(
    features: Tensor,
    given: NDArray[np.int64],
    classes: int,
    indices: NDArray[np.int64],
    neighbor_labels: NDArray[np.int32],
) -> tuple[Table, Fit | None]:
    """Out-of-fold probabilities (N, C) of the best linear head, and how they are combined with the neighbors' vote.

    The head is fitted twice: to the given labels, and to what label quality makes of these. The second time each fold
    has targets of its own, for which neither heads nor votes have seen any label of that fold.
    """
    x, fold = Whitened(features), folds_of(given)
    known = np.flatnonzero(given >= 0)
    table = empty_table(len(given), classes)
    if len(known) < FOLDS or x.width == 0:
        for rows in chunks(len(given), classes):
            table[rows] = np.full((len(given[rows]), classes), 1 / classes, np.float32)
        return table, None
    taught = sampled_rows(given, classes, classes * head_samples(classes))
    compared = np.searchsorted(taught, np.intersect1d(taught, sampled_rows(given, classes)))
    frequencies, labels = label_frequencies(given, classes), given[taught]
    one_hot = torch.zeros(len(taught), classes)
    one_hot[torch.arange(len(taught)), torch.from_numpy(labels)] = 1
    costly = len(taught) * classes > COSTLY
    ridges = [ridge * len(taught) ** 0.5 for ridge in (RIDGES[1:2] if costly else RIDGES)]
    shared = LinearProbe(x[taught], fold[taught], one_hot)
    heads = [shared.fit_all(ridge=ridge) for ridge in ridges]
    votes = neighbor_labels[taught]

    def comparison(*heads: LinearProbe) -> Comparison:
        tables = [head.log_probs().numpy()[compared] for head in heads]
        return Comparison(tables, votes[compared], labels[compared], frequencies)

    found = comparison(*heads)
    best = found.search()
    head = heads[best.combination.table]
    if not costly:
        pairs = {pair: head.fit(pair) for pair in combinations(range(FOLDS), 2)}
        starts = [best, *(found.anchored(best, fraction) for fraction in ANCHORS if best.model.rows is not None)]
        choices = [(best, head)]
        for start in starts:
            targets = cross_fitted_targets(
                head, pairs, start, labels, votes, fold.numpy(), indices[taught], frequencies
            )
            second = head.fit_all(targets)
            second_found = comparison(second)
            begin = second_found.fit(start.combination._replace(table=0), start.model)
            choices.append((second_found.best_temperature(begin, 3), second))
        best, head = max(choices, key=lambda choice: choice[0].score)
        found = comparison(head)
        best = found.search(best._replace(combination=best.combination._replace(table=0)))
    fit = found.settled(best)
    for rows in chunks(len(given), classes):
        table[rows] = head.log_probs(x[rows], fold[rows]).exp().numpy()
    return table, fit


def cross_fitted_targets(
    head: LinearProbe,
    pairs: dict[tuple[int, int], Tensor],
    fit: Fit,
    labels: NDArray[np.int64],
    neighbor_labels: NDArray[np.int32],
    fold: NDArray[np.int64],
    indices: NDArray[np.int64],
    frequencies: NDArray[np.floating],
) -> list[Tensor]:
    """For each fold, what all other samples' labels probably are, told without any label of that fold: (n, C) each.

    Args:
        head: fitted to the given labels; its ridge and folds are used.
        pairs: weights of heads that have seen neither of two folds.
        fit: how probabilities and votes are combined, and T.
        labels, neighbor_labels, indices: (n,), (n, K), (n, K) of the samples that heads are fitted to.
        fold: (N,), of all samples.
        frequencies: (C,), of each label.
    """
    head_fold, k = head.fold.numpy(), fit.combination.k
    targets = []
    for left_out in range(FOLDS):
        target = torch.zeros(head.targets.shape)
        for other in range(FOLDS):
            if other == left_out:
                continue
            rows = np.flatnonzero(head_fold == other)
            log_p = (head.x[rows] @ pairs[min(left_out, other), max(left_out, other)]).log_softmax(1).numpy()
            votes = np.where(fold[indices[rows, :k]] == left_out, -1, neighbor_labels[rows, :k])
            log_vote = np.log(knn_vote(votes, frequencies)) if k else None
            likelihood, _ = combine(log_p, log_vote, fit.combination, fit.mean)
            target[rows] = torch.from_numpy(label_posterior(likelihood, labels[rows], fit.model))
        targets.append(target)
    return targets


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


def find_label_issues(
    labels: Any,
    features: Any = None,
    pred_probs: Any = None,
    verified: Any = None,
) -> LabelIssues:
    """Which labels are wrong, and what they should be, from embeddings, from probabilities, or from both.

    Args:
        labels: N labels: numbers or names, in a list, an array or a column; None, NaN or "" where there is none.
        features: (N, D) numbers, of any network that has not been trained on these labels; scaled as you like.
        pred_probs: (N, C), rows sum to one, by a classifier that has not seen the sample's own label (cross-validated),
            columns in the order of the sorted labels. Where None, a linear head on the features is cross-validated.
        verified: (N,) booleans, labels that a person has confirmed.

    Raises:
        InputError: neither features nor probabilities are given, or a shape or a value does not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = np.repeat(["cat", "dog"], 50)
        >>> features = rng.normal(size=(100, 8)) + 6 * np.eye(2, 8)[(truth == "dog").astype(int)]
        >>> labels = truth.copy()
        >>> labels[:5] = "dog"
        >>> found = find_label_issues(labels, features)
        >>> np.flatnonzero(found.is_label_issue).tolist(), found.suggested_label[0].item()
        ([0, 1, 2, 3, 4], 'cat')
    """
    classes, given = encoded_labels(labels)
    confirmed = checked_verified(verified, given)
    probs = None if pred_probs is None else checked_probs(pred_probs, len(given), classes)
    if features is None:
        if probs is None:
            raise InputError("find_label_issues needs features (N, D), pred_probs (N, C), or both: give one")
        return estimate_label_quality(given, classes, probs, None, verified=confirmed)
    return label_issues(
        checked_features(features, len(given)), given, classes, verified=confirmed, pred_probs=probs
    ).issues
