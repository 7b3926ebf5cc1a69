"""The rule: from labels and evidence that has not seen them to the probability of every true label. numpy alone.

P(true label c | x, given label y) ∝ π_c L_x(c) T[c, y]: Bayes' rule with the evidence L of `combination` and the noise
matrix T of `noise_matrix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.combination import MIN_PROB, Combination, Comparison, Fit, combine, knn_vote
from mixnn.label_quality.issues import LabelIssues
from mixnn.label_quality.noise_matrix import NoiseModel
from mixnn.label_quality.probabilities import FloatArray, normalized, probability_of
from mixnn.label_quality.sampling import sampled_rows
from mixnn.tables.topk_rows import Table, chunks, empty_table

# Evidence that is fitted to the given labels takes a part of the mistakes for hardness.
MIN_POSTERIOR = 1e-6  # of every class: nothing is quite impossible
WRONG_ODDS = 1.5  # times the likeliest odds of a wrong label
CLASS_INDEPENDENT_ODDS = 2.0  # the same where wrong labels are too few to tell which classes they mix
BELOW, ABOVE = (
    0.12,
    0.36,
)  # of the noise rate that is told: where the truth was, in the cells that settings are chosen by
MIN_HALF_WIDTH = 0.006  # of all labels


def estimate_label_quality(
    labels: NDArray[np.int64],
    classes: Sequence[Any],
    pred_probs: Table | None,
    neighbor_labels: NDArray[np.integer] | None,
    *,
    verified: NDArray[np.bool_] | None = None,
    chosen: Fit | None = None,
) -> LabelIssues:
    """P(true label) of every sample, and what follows from it.

    Args:
        labels: (N,), 0 to C - 1; below 0 where there is none.
        classes: C names.
        pred_probs: (N, C), rows sum to one, of a classifier that has not seen the sample's own label.
        neighbor_labels: (N, K), given labels of the nearest other samples, nearest first; below 0 where there is none.
        verified: (N,), labels that a person has confirmed.
        chosen: how the evidence is combined; chosen by the labels' likelihood where None.

    Example:
        >>> probs = np.array([[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10)
        >>> labels = np.array([0] * 9 + [1] + [1] * 10)
        >>> estimate_label_quality(labels, ["cat", "dog"], probs, None).label_quality.argmin().item()
        9
    """
    samples, count = len(labels), len(classes)
    verified = np.zeros(samples, np.bool_) if verified is None else verified
    known = labels >= 0
    chosen = choose_combination(labels, count, pred_probs, neighbor_labels) if chosen is None else chosen
    posterior, contradicted = empty_table(samples, count), 0
    model = chosen.model.with_odds(CLASS_INDEPENDENT_ODDS if chosen.model.rows is None else WRONG_ODDS)
    frequencies = label_frequencies(labels, count)
    for part in chunks(samples, count):
        likelihood = likelihood_of(part, pred_probs, neighbor_labels, chosen, frequencies)
        posterior[part] = label_posterior(likelihood, labels[part], model, verified[part])
        likeliest = (likelihood * model.prior.astype(np.float32)).argmax(1)
        contradicted += int(((likeliest != labels[part]) & known[part]).sum())
    quality = probability_of(posterior, labels.clip(0))
    rate = float(1 - quality[known].mean()) if known.any() else 0.0
    return LabelIssues(
        posterior,
        labels,
        classes,
        chosen.model.matrix,
        rate,
        noise_rate_interval(rate, int(known.sum())),
        verified,
        chosen.combination._asdict(),
        contradicted / max(1, int(known.sum())),
    )


def choose_combination(
    labels: NDArray[np.int64], classes: int, pred_probs: Table | None, neighbor_labels: NDArray[np.integer] | None
) -> Fit:
    """The combination of the evidence under which the labels are likeliest; see `estimate_label_quality`."""
    if not (labels >= 0).any():  # nothing is known of them
        even = np.full(classes, 1 / classes)
        k = 0 if neighbor_labels is None else neighbor_labels.shape[1]
        return Fit(Combination(0, k, (1.0, 1.0), 1.0), NoiseModel(even, None, 0.0, even), even, np.zeros(1))
    rows = sampled_rows(labels, classes)
    tables = [] if pred_probs is None else [log_rows(pred_probs, rows)]
    neighbor_sample = None if neighbor_labels is None else neighbor_labels[rows]
    comparison = Comparison(tables, neighbor_sample, labels[rows], label_frequencies(labels, classes))
    return comparison.settled(comparison.search())


def likelihood_of(
    rows: slice,
    pred_probs: Table | None,
    neighbor_labels: NDArray[np.integer] | None,
    chosen: Fit,
    frequencies: FloatArray,
) -> NDArray[np.float32]:
    """L (n, C) of some samples, by evidence that has not seen their labels.

    Args:
        frequencies: (C,), of each label among all samples.
    """
    k = chosen.combination.k
    vote = None if neighbor_labels is None or k == 0 else np.log(knn_vote(neighbor_labels[rows, :k], frequencies))
    probs = None if pred_probs is None else log_rows(pred_probs, rows)
    return combine(probs, vote, chosen.combination, chosen.mean)[0]


def label_posterior(
    likelihood: FloatArray, labels: NDArray[np.int64], model: NoiseModel, verified: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """P(true label | x, given label), (n, C): π L where there is no label, the label alone where it is verified."""
    posterior = likelihood * model.prior.astype(np.float32)
    known = labels >= 0
    posterior[known] *= model.columns(labels[known])
    posterior = normalized(posterior.clip(np.finfo(np.float32).tiny)) + np.float32(MIN_POSTERIOR)
    if verified is not None and verified.any():
        posterior[verified & known] = 0
        posterior[verified & known, labels[verified & known]] = 1
    return normalized(posterior).astype(np.float32)


def noise_rate_interval(rate: float, labels: int) -> tuple[float, float]:
    """(low, high) around an estimated share of wrong labels.

    Chance is the smaller part of it. What the evidence cannot tell is whether people err more often where samples are
    hard: the truth is then above what is told, seldom below.

    Args:
        rate: what is told, 0–1.
        labels: how many there are.

    Example:
        >>> [round(end, 3) for end in noise_rate_interval(0.1, 10_000)]
        [0.076, 0.144]
    """
    chance = 2 * (rate * (1 - rate) / max(1, labels)) ** 0.5 + MIN_HALF_WIDTH
    return max(0.0, rate * (1 - BELOW) - chance), min(1.0, rate + ABOVE * rate * (1 - rate) + chance)


def label_frequencies(labels: NDArray[np.int64], classes: int) -> FloatArray:
    """(C,), of each label among those that are there."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    frequencies: FloatArray = counts / max(1, counts.sum())
    return frequencies


def log_rows(table: Table, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
    """Logarithms of some rows of a table of probabilities."""
    return np.log(np.maximum(table[rows], MIN_PROB), dtype=np.float32)
