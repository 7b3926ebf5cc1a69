"""From the labels of several annotators to one: `mixnn.find_consensus`.

What features say of an item is told by classifier and neighbors that have not seen its labels, only the consensus of
other items. It counts beside the labels, by which the consensus changes, and so on for a few rounds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.inputs import checked_features, checked_probs
from mixnn.evidence.knn import knn_indices, vote_k
from mixnn.evidence.label_issues import label_issues, probe
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.votes import Labels, feature_rows, read_votes
from mixnn.label_quality.annotators import AnnotatorModel, Inference, infer_truth
from mixnn.label_quality.consensus import Consensus, likeliest
from mixnn.label_quality.noise_matrix import NoiseModel
from mixnn.label_quality.posterior import (
    choose_combination,
    estimate_label_quality,
    label_frequencies,
    likelihood_of,
)
from mixnn.label_quality.votes import Votes
from mixnn.tables.topk_rows import Table, chunks

ROUNDS = 2  # in which features learn from the consensus


def find_consensus(
    labels: Any,
    features: Any = None,
    pred_probs: Any = None,
    *,
    items: Any = None,
    annotators: Any = None,
    feature_items: Any = None,
    seed: int = 0,
) -> Consensus:
    """What items truly are by the labels of several annotators, and how good each annotator is.

    Dawid & Skene (1979) by expectation maximization. An annotator with few labels is shrunk toward the others, by
    empirical Bayes. Features, or probabilities, count as evidence that has not seen the labels of the item. With one
    annotator, this is `find_label_issues`.

    Args:
        labels: (N, M), a row an item and a column an annotator, numbers or names; None, NaN, "" or -1 where there is
            no label. Or a row for each label: a pandas or Polars table with the columns item, annotator and label (or
            task, worker, …), or V labels with `items` and `annotators`.
        features: (N, D) numbers, of any network that has not been trained on these labels.
        pred_probs: (N, C), rows sum to one, by a classifier that has not seen the item's labels, columns in the order
            of the sorted labels.
        items: N names of rows, or V where there is a row for each label.
        annotators: M names of columns, or V.
        feature_items: where there is a row for each label, the N items in the order of the rows of `features` and
            `pred_probs`. Not needed where items are 0 to N - 1, nor for a pandas table with the items as its index.
            Items without labels are given one.
        seed: of the draw between classes that are equally likely.

    Raises:
        InputError: a shape or a value does not fit, or nothing says how good labels are: no item has labels of two
            annotators, and there are no features.

    Example:
        >>> labels = [["cat", "cat", "dog"], ["dog", "dog", None], ["cat", "cat", "dog"], ["dog", "dog", "dog"]] * 5
        >>> found = find_consensus(labels, annotators=["Ann", "Ben", "Cem"])
        >>> found.consensus_label[:4].tolist(), found.annotator_labels.tolist()
        (['cat', 'dog', 'cat', 'dog'], [20, 20, 15])
    """
    index = getattr(features, "index", None) if hasattr(features, "to_numpy") else None
    told = read_votes(labels, items, annotators, feature_items)
    n = len(told.items)
    if features is None and pred_probs is None:
        return consensus(told, seed=seed)
    if index is None and feature_items is None and isinstance(told.items[0], str) and items_came(labels, items, n):
        raise InputError(
            "items are names, so that nothing says which row of the features is whose: give feature_items, N names"
        )
    if isinstance(told.items[0], int) and feature_items is None:
        told = with_rows(told, len(pred_probs if features is None else features))
        n = len(told.items)
    x = None if features is None else checked_features(feature_rows(features, told.items), n)
    probs = None if pred_probs is None else checked_probs(pred_probs, n, told.classes)
    return consensus(told, x, probs, seed=seed)


def items_came(labels: Any, items: Any, count: int) -> bool:
    """Whether there was a row for each label, so that the order of items is ours."""
    shape = np.shape(labels)
    return (len(shape) == 1 and items is not None) or (bool(shape) and shape[0] != count)


def with_rows(told: Labels, rows: int) -> Labels:
    """Items that are whole numbers are the numbers of rows, of which some may have no labels."""
    if told.items == list(range(len(told.items))) or not (told.items[0] >= 0 and told.items[-1] < rows):
        grown = list(range(max(rows, len(told.items))))
        return told if len(told.items) >= rows else told._replace(items=grown, votes=told.votes._replace(items=rows))
    place = np.array(told.items)
    votes = told.votes._replace(item=place[told.votes.item], items=rows)
    return told._replace(items=list(range(rows)), votes=votes)


def consensus(
    told: Labels,
    features: Tensor | None = None,
    pred_probs: Table | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Consensus:
    """See `find_consensus`; what is given is known to be right.

    Args:
        progress: is told of how many items the neighbors are found.
    """
    votes, classes = told.votes, len(told.classes)
    given, alone = by_votes(votes, seed)
    if features is None and pred_probs is None and alone is None:
        raise InputError(
            "no item has labels of two annotators, so that there is nothing to compare: give features as well"
        )
    answer = Consensus(
        np.zeros((0, classes), np.float32), told.items, told.annotators, told.classes, votes,
        of_one(np.eye(classes), given) if alone is None else alone.model, given, {}, seed,
    )  # fmt: skip
    if len(told.annotators) == 1:
        if features is None:
            issues = estimate_label_quality(given, told.classes, pred_probs, None)
        else:
            issues = label_issues(features, given, told.classes, pred_probs=pred_probs, progress=progress).issues
        model = of_one(issues.noise_matrix, given)
        return replace(answer, label_posterior=issues.label_posterior, model=model, evidence=issues.evidence)
    if alone is not None:
        answer = replace(answer, label_posterior=alone.posterior, evidence={"strength": alone.model.strength})
    if features is None and pred_probs is None:
        return answer
    indices = None if features is None else knn_indices(features, vote_k(votes.items, classes), progress=progress)[0]
    for _ in range(ROUNDS):
        likelihood, chosen = evidence_beside(given, classes, features, indices, pred_probs)
        found = infer_truth(votes, likelihood)
        given = likeliest(found.posterior, seed)
        chosen = chosen | {"strength": found.model.strength}
    return replace(answer, label_posterior=found.posterior, model=found.model, evidence=chosen)


def by_votes(votes: Votes, seed: int) -> tuple[NDArray[np.int64], Inference | None]:
    """The consensus of the labels alone (N,), -1 where there is none; and how it is, where labels can be compared."""
    same = votes.item[1:] == votes.item[:-1]
    several = bool((votes.annotator[1:] != votes.annotator[:-1])[same].any())
    alone = infer_truth(votes) if several else None
    given = np.full(votes.items, -1)
    if alone is None:
        given[votes.item] = votes.label
    else:
        labeled = np.bincount(votes.item, minlength=votes.items) > 0
        given[labeled] = likeliest(alone.posterior, seed)[labeled]
    return given, alone


def evidence_beside(
    given: NDArray[np.int64],
    classes: int,
    features: Tensor | None,
    indices: Tensor | None,
    pred_probs: Table | None,
) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
    """L (N, C) of every item by what has not seen its own label, and how it is combined; None where it says nothing."""
    chosen, neighbor_labels = None, None
    if features is not None and indices is not None:
        near = indices.cpu().numpy()
        neighbor_labels = np.append(given, -1).astype(np.int32)[near]
        if pred_probs is None:
            pred_probs, chosen = probe(features.cpu(), given, classes, near, neighbor_labels)
    if chosen is None:
        chosen = choose_combination(given, classes, pred_probs, neighbor_labels)
    how = chosen.combination._asdict()
    if chosen.model.rows is None and chosen.model.rate == 0:  # see `Comparison.settled`
        return None, how
    likelihood, frequencies = np.empty((len(given), classes), np.float32), label_frequencies(given, classes)
    for part in chunks(len(given), classes):
        likelihood[part] = likelihood_of(part, pred_probs, neighbor_labels, chosen, frequencies)
    return likelihood, how


def of_one(matrix: NDArray[np.floating], given: NDArray[np.int64]) -> AnnotatorModel:
    """The model of a single annotator."""
    frequencies = label_frequencies(given, len(matrix))
    rate = float(1 - frequencies @ matrix.diagonal())
    typical = NoiseModel(frequencies, np.asarray(matrix), rate, frequencies)
    return AnnotatorModel(frequencies, typical, np.ones(1), np.asarray(matrix)[None], 0.0)
