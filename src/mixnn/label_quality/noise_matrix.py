"""Which classes are labeled as which, and how often: the noise matrix T, by expectation maximization.

T[c, k] = P(given label k | true class c). Evidence that has not seen a sample's own label says how likely each class
is; the given label is then a draw from the row of its unknown class. Rows with few samples lean on what all classes
have in common, by empirical Bayes. Must not know: torch, runs, files.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.probabilities import TINY, FloatArray, normalized

STEPS = 20  # of expectation maximization
SHRINK_EVERY = 5  # of these, the prior is chosen anew
FULL_MATRIX = 300  # classes up to which every pair of classes has a probability of its own
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10_000.0)  # samples that the prior of a row counts as
MIN_ANCHORS = 10
MIN_DIAGONAL_OVER_CHANCE = 1.05  # T[c, c] is at least so many times 1 / C
DIAGONAL_PSEUDO_COUNT = 2.0  # right labels added to each class: rare ones keep theirs until much speaks against it
MIN_PROB = 1e-7  # of every label in every row: none is impossible


class NoiseModel(NamedTuple):
    """How labels come about.

    Attributes:
        prior: π (C,), share of each true class.
        rows: T (C, C), rows sum to one; None where noise is class-independent.
        rate: P(wrong label), in 0–1, where noise is class-independent.
        given: (C,), share of each label; wrong labels come in these shares then.
    """

    prior: FloatArray
    rows: FloatArray | None
    rate: float
    given: FloatArray

    @property
    def matrix(self) -> FloatArray:
        """T (C, C), rows sum to one."""
        return class_independent_matrix(self.rate, self.given) if self.rows is None else self.rows

    def columns(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """P(given label i | each true class), (n, C), of labels (n,)."""
        if self.rows is not None:
            return self.rows.T.astype(np.float32)[labels]
        found: NDArray[np.float32] = (self.rate * self.given[labels, None] / (1 - self.given).clip(MIN_PROB)).astype(
            np.float32
        )
        found[np.arange(len(labels)), labels] = 1 - self.rate
        found += np.float32(MIN_PROB)
        return found

    def with_odds(self, factor: float) -> NoiseModel:
        """The same with the odds of every wrong label times `factor`."""
        rate = factor * self.rate / (1 - self.rate + factor * self.rate)
        if self.rows is None:
            return self._replace(rate=rate)
        right = np.eye(len(self.rows), dtype=np.bool_)
        return self._replace(rows=normalized(np.where(right, self.rows, factor * self.rows)), rate=rate)


def diagonally_dominant(given: FloatArray) -> NoiseModel:
    """A diagonally dominant T, where EM starts."""
    classes = len(given)
    full = classes <= FULL_MATRIX
    return NoiseModel(given.clip(1e-9), 0.8 * np.eye(classes) + 0.2 / classes if full else None, 0.2, given)


def fit_noise_model(
    likelihood: FloatArray, labels: NDArray[np.int64], *, start: NoiseModel | None = None, steps: int = STEPS
) -> NoiseModel:
    """T and π under which the given labels are likeliest, with a prior of empirical Bayes on the rows of T.

    Args:
        likelihood: (n, C), p(x | class) up to a factor for each row, from evidence that has not seen `labels`.
        labels: (n,), 0 to C - 1.
        start: where to begin; a diagonally dominant T where None.
        steps: of expectation maximization.

    Example:
        >>> likelihood = np.repeat([[0.99, 0.01], [0.01, 0.99]], 50, axis=0)
        >>> labels = np.repeat([0, 1], 50)
        >>> labels[:10] = 1
        >>> round(float(1 - fit_noise_model(likelihood, labels).matrix[0, 0]), 1)
        0.2
    """
    classes = likelihood.shape[1]
    start = (
        diagonally_dominant(np.bincount(labels, minlength=classes) / max(1, len(labels))) if start is None else start
    )
    if start.rows is None:
        return fit_class_independent(likelihood, labels, start, steps)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(classes + 1))
    by_label = [likelihood[order[low:high]] for low, high in pairwise(bounds)]
    prior, matrix = start.prior, start.rows
    row_prior = DirichletPrior(start.rate, 1.0, start.given)
    for step in range(steps):
        counts = np.zeros((classes, classes))
        for k, rows in enumerate(by_label):  # q_i(c) ∝ likelihood_i(c) π_c T[c, k], summed over the rows of label k
            weights = prior * matrix[:, k]
            counts[:, k] = weights * ((1 / (rows @ weights).clip(TINY)) @ rows)
        counts[np.diag_indices(classes)] += DIAGONAL_PSEUDO_COUNT
        prior = (counts.sum(1) + 1e-3) / (counts.sum() + 1e-3 * classes)
        if step % SHRINK_EVERY == 0:
            row_prior = empirical_bayes_prior(counts, start.given)
        matrix = row_prior.smooth(counts)
    return NoiseModel(prior, matrix, row_prior.rate, start.given)


def fit_class_independent(
    likelihood: FloatArray, labels: NDArray[np.int64], start: NoiseModel, steps: int
) -> NoiseModel:
    """One rate for all classes: with very many, nothing else can be told from their few samples."""
    joint = likelihood * start.prior.astype(np.float32)
    rows = np.arange(len(labels))
    right = joint[rows, labels].astype(np.float64)  # up to the factor of each row
    other = (joint @ (1 / (1 - start.given).clip(MIN_PROB)).astype(np.float32)).astype(np.float64)
    wrong = start.given[labels] * (other - right / (1 - start.given[labels]).clip(MIN_PROB)).clip(0)
    rate = start.rate
    for _ in range(4 * steps):
        expected_wrong = (rate * wrong / ((1 - rate) * right + rate * wrong).clip(TINY)).sum()
        estimate = float(expected_wrong / (len(labels) + DIAGONAL_PSEUDO_COUNT * len(start.given)))
        rate = min(estimate, 1 - min_diagonal(len(start.given)))
    return start._replace(rate=rate)


def from_anchors(likelihood: FloatArray, labels: NDArray[np.int64], fraction: float) -> NoiseModel:
    """T from the given labels of *anchors*, the samples most surely of a class (Patrini et al., arXiv 1609.03683).

    A start for `fit_noise_model`: where half of a class is labeled as one other, a diagonally dominant T is a poor one.

    Args:
        likelihood, labels: see `fit_noise_model`.
        fraction: of a class's samples, in the mean, that are its anchors; ten at least.
    """
    samples, classes = likelihood.shape
    given = np.bincount(labels, minlength=classes) / samples
    count = min(samples - 1, max(MIN_ANCHORS, int(fraction * samples / classes)))
    surest = (np.argpartition(-likelihood[:, c], count)[:count] for c in range(classes))
    counts = np.stack([np.bincount(labels[rows], minlength=classes) for rows in surest]).astype(np.float64)
    row_prior = empirical_bayes_prior(counts, given)
    matrix, prior = row_prior.smooth(counts), given
    for _ in range(STEPS):  # π that makes the given labels as frequent as they are
        prior = prior * (matrix @ (given / (prior @ matrix).clip(TINY)))
    return NoiseModel(prior, matrix, row_prior.rate, given)


class DirichletPrior(NamedTuple):
    """What is known of a row of T beside its own counts: Dirichlet(strength · ((1 − rate) I + rate · other)).

    Attributes:
        rate: of wrong labels, in the mean of all classes.
        strength: samples that it counts as.
        given: (C,), share of each label: what a wrong label is, where nothing else is known.
    """

    rate: float
    strength: float
    given: FloatArray

    def smooth(self, counts: FloatArray) -> FloatArray:
        """Rows of T from counts (C, C)."""
        rows = normalized(self.strength * class_independent_matrix(self.rate, self.given) + counts + MIN_PROB)
        right, least = rows.diagonal().copy(), min_diagonal(len(rows))
        short = right < least
        if short.any():
            rows = rows * np.where(short, (1 - least) / (1 - right).clip(MIN_PROB), 1.0)[:, None]
            rows[np.diag_indices(len(rows))] = np.where(short, least, right)
        return rows


def min_diagonal(classes: int) -> float:
    """P(right label) of a class, at least."""
    return min(1.0, MIN_DIAGONAL_OVER_CHANCE / classes)


def class_independent_matrix(rate: float, given: FloatArray) -> FloatArray:
    """T (C, C) where every class is mislabeled at one rate, as the others in proportion to `given`."""
    classes = len(given)
    other = np.tile(given + 1e-3 / classes, (classes, 1))
    np.fill_diagonal(other, 0)
    return (1 - rate) * np.eye(classes) + rate * normalized(other)


def empirical_bayes_prior(counts: FloatArray, given: FloatArray) -> DirichletPrior:
    """The strength under which `counts` (C, C) are likeliest: the marginal of a Dirichlet-multinomial for each row."""
    wrong = counts.sum() - counts.trace()
    rate = float((wrong + 0.5) / (counts.sum() + 1))
    mean = class_independent_matrix(rate, given)
    return DirichletPrior(
        rate, max(STRENGTHS, key=lambda strength: log_marginal_likelihood(strength * mean, counts)), given
    )


def log_marginal_likelihood(prior: FloatArray, counts: FloatArray) -> float:
    """Log-likelihood of counts (C, C) under Dirichlet parameters (C, C), up to what does not depend on these."""
    a = prior + 1e-9
    total = (log_gamma(a.sum(1)) - log_gamma((a + counts).sum(1))).sum()
    return float(total + (log_gamma(a + counts) - log_gamma(a)).sum())


def log_gamma(x: FloatArray) -> FloatArray:
    """log Γ(x) for x > 0, to nine digits: Stirling's series at x + 8 (numpy has none, and scipy is no dependency)."""
    z = x + 8
    series = (z - 0.5) * np.log(z) - z + 0.5 * np.log(2 * np.pi) + 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)
    below = x * (x + 1) * (x + 2) * (x + 3) * (x + 4) * (x + 5) * (x + 6) * (x + 7)
    found: FloatArray = series - np.log(below)
    return found
