"""Several annotators: what each of them makes of each class, and what the truth then is, by expectation maximization.

Dawid & Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm" (Applied Statistics 28,
1979), with priors by empirical Bayes: the noise matrix T_m of annotator m leans on the matrix of all annotators, with
the odds of its wrong labels times a factor of the annotator, since few labels say little of C × C probabilities.
Evidence L that has not seen an item's labels counts beside them: P(true label c) ∝ π_c L(c) Π_m T_m[c, label of m].
Must not know: torch, runs, files.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.noise_matrix import (
    DIAGONAL_PSEUDO_COUNT,
    FULL_MATRIX,
    NoiseModel,
    diagonally_dominant,
    empirical_bayes_prior,
    fit_noise_model,
)
from mixnn.label_quality.probabilities import TINY, FloatArray, normalized
from mixnn.label_quality.votes import Votes
from mixnn.tables.topk_rows import chunks

STEPS, QUICK_STEPS = 40, 12  # of expectation maximization: in the end, and where strengths are compared
CHANGE = 1e-4  # of any probability, below which the steps end
STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # labels that the prior of a row of T_m counts as
FACTOR_STRENGTH = 3.0  # wrong labels that the factor of 1 counts as; by empirical Bayes EM would confirm its own start
MAX_FACTOR = 1e3  # of the odds of a wrong label
COMPARED_VOTES = 40_000  # by which strengths are compared, at most
MATRICES = 2**24  # values of all annotators' matrices; of more, an annotator has a factor alone
MIN_PROB = 1e-6  # of every label: none is impossible


class AnnotatorModel(NamedTuple):
    """How the labels of all annotators come about.

    Attributes:
        prior: π (C,), share of each true class.
        typical: the noise matrix of all annotators together.
        factor: (M,), by which the odds of a wrong label are those of the typical annotator.
        matrices: T (M, C, C), rows sum to one, P(label | true class); None where there are too many.
        strength: labels that the prior of a row of T counts as.
    """

    prior: FloatArray
    typical: NoiseModel
    factor: FloatArray
    matrices: FloatArray | None
    strength: float

    def wrong(self) -> FloatArray:
        """P(wrong label) by the factor alone, (M, C)."""
        rows = self.typical.rows
        rate = np.full(len(self.prior), self.typical.rate) if rows is None else 1 - rows.diagonal()
        odds = self.factor[:, None] * rate
        wrong: FloatArray = odds / (1 - rate + odds).clip(TINY)
        return wrong

    def columns(self, annotator: NDArray[np.int64], label: NDArray[np.int64]) -> FloatArray:
        """P(label | each true class), (n, C), of labels (n,) of these annotators (n,)."""
        if self.matrices is not None:
            found: FloatArray = self.matrices[annotator, :, label]
            return found
        typical, rows = self.typical.columns(label).astype(np.float64), np.arange(len(label))
        rate = self.typical.rate if self.typical.rows is None else (1 - self.typical.rows.diagonal()).clip(TINY)
        wrong = self.wrong()[annotator]  # (n, C)
        right = 1 - wrong[rows, label]
        typical *= wrong / max(rate, TINY) if self.typical.rows is None else wrong / rate
        typical[rows, label] = right
        return typical + MIN_PROB

    def matrix(self, annotator: int) -> FloatArray:
        """T (C, C) of one annotator, rows sum to one."""
        if self.matrices is not None:
            whole: FloatArray = self.matrices[annotator]
            return whole
        labels = np.arange(len(self.prior))
        return normalized(self.columns(np.full(len(labels), annotator), labels).T)

    @property
    def accuracy(self) -> FloatArray:
        """P(right label) of each annotator, (M,), where classes are as frequent as in these items."""
        right = 1 - self.wrong() if self.matrices is None else self.matrices.diagonal(axis1=1, axis2=2)
        accuracy: FloatArray = right @ self.prior
        return accuracy


class Inference(NamedTuple):
    """P(true label) of every item (N, C), how annotators label, and the log-likelihood of each item's labels (N,)."""

    posterior: NDArray[np.float32]
    model: AnnotatorModel
    log_likelihood: FloatArray


def infer_truth(votes: Votes, likelihood: NDArray[np.float32] | None = None) -> Inference:
    """P(true label) of every item, and the noise matrix of every annotator.

    The strength of the prior is that under which the labels of items that were not used to fit by are likeliest.

    Args:
        votes: at least one.
        likelihood: L (N, C), by what has not seen the item's labels; nothing where None.

    Example:
        >>> from mixnn.label_quality.votes import sorted_votes
        >>> item, annotator = np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40)
        >>> label = item % 2
        >>> label[annotator == 2] = 0  # who always says 0
        >>> found = infer_truth(sorted_votes(item, annotator, label, (40, 3, 2)))
        >>> found.posterior.argmax(1)[:4].tolist(), found.model.accuracy.round(1).tolist()
        ([0, 1, 0, 1], [1.0, 1.0, 0.5])
    """
    start = first_model(votes, likelihood)
    if start.matrices is not None:
        start = start._replace(strength=likeliest_strength(votes, likelihood, start))
    return expectation_maximization(votes, likelihood, start, STEPS)


def first_model(votes: Votes, likelihood: NDArray[np.float32] | None) -> AnnotatorModel:
    """All annotators are alike: as the evidence has it, or the other labels of the same item."""
    classes, frequencies = votes.classes, votes.frequencies.clip(1e-9)
    if likelihood is not None:
        typical = fit_noise_model(likelihood[votes.item], votes.label)
    else:
        typical = diagonally_dominant(frequencies)
        totals = np.bincount(votes.item, votes.weight, votes.items)[votes.item]
        several = totals > votes.weight + 0.5
        counts, rows = votes.counts, np.flatnonzero(several)
        if typical.rows is not None and len(rows):
            confusion = np.zeros((classes, classes))
            for part in chunks(len(rows), classes):
                at = rows[part]
                others = counts[votes.item[at]]
                others[np.arange(len(at)), votes.label[at]] -= votes.weight[at]
                others *= (votes.weight[at] / (totals[at] - votes.weight[at]))[:, None]
                np.add.at(confusion.T, votes.label[at], others)
            confusion[np.diag_indices(classes)] += DIAGONAL_PSEUDO_COUNT
            prior = empirical_bayes_prior(confusion, frequencies)
            typical = NoiseModel(frequencies, prior.smooth(confusion), prior.rate, frequencies)
        elif len(rows):
            agree = counts[votes.item[rows], votes.label[rows]] - votes.weight[rows]
            rate = 1 - float((agree / (totals[rows] - votes.weight[rows])).mean())
            typical = typical._replace(rate=min(max(rate, 1e-3), 0.9))
    whole = typical.rows is not None and votes.annotators * classes**2 <= MATRICES
    matrices = np.repeat(typical.matrix[None], votes.annotators, 0) if whole else None
    return AnnotatorModel(frequencies, typical, np.ones(votes.annotators), matrices, STRENGTHS[2])


def likeliest_strength(votes: Votes, likelihood: NDArray[np.float32] | None, start: AnnotatorModel) -> float:
    """Under which the labels of one half of the items are likeliest when fitted to the other half, both ways."""
    random = np.random.default_rng(0)
    half = random.random(votes.items) < 0.5
    share = COMPARED_VOTES / max(1, len(votes.item))
    if share < 1:
        votes = votes.of_items(random.random(votes.items) < share)
    halves = [votes.of_items(half), votes.of_items(~half)]
    if not all(len(part.item) for part in halves):
        return start.strength
    scores: dict[int, float] = {}

    def score(place: int) -> float:
        if place not in scores:
            model = start._replace(strength=STRENGTHS[place])
            scores[place] = 0.0
            for seen, unseen in (halves, halves[::-1]):
                fitted = expectation_maximization(seen, likelihood, model, QUICK_STEPS).model
                scores[place] += float(truth_of(unseen, likelihood, fitted)[1].sum())
        return scores[place]

    best = STRENGTHS.index(start.strength)
    for step in (1, -1):  # up as long as it gets better, then down
        while 0 <= best + step < len(STRENGTHS) and score(best + step) > score(best):
            best += step
    return STRENGTHS[best]


def expectation_maximization(
    votes: Votes, likelihood: NDArray[np.float32] | None, model: AnnotatorModel, steps: int
) -> Inference:
    """Truth and annotators in turn, until nothing changes; at most so many steps."""
    by_pair = np.argsort(votes.annotator * votes.classes + votes.label, kind="stable")
    posterior, log_likelihood = truth_of(votes, likelihood, model)
    for _ in range(steps):
        model = annotators_of(votes, posterior, model, by_pair)
        before = posterior
        posterior, log_likelihood = truth_of(votes, likelihood, model)
        if np.abs(posterior - before).max(initial=0) < CHANGE:
            break
    return Inference(posterior, model, log_likelihood)


def truth_of(
    votes: Votes, likelihood: NDArray[np.float32] | None, model: AnnotatorModel
) -> tuple[NDArray[np.float32], FloatArray]:
    """P(true label) (N, C) under a model, and the log-likelihood of each item's labels (N,), without a constant."""
    log_joint = np.empty((votes.items, votes.classes), np.float32)
    log_joint[:] = np.log(model.prior.clip(1e-12))
    if likelihood is not None:
        log_joint += np.log(likelihood.clip(1e-12))
    log_columns = None if model.matrices is None else np.log(model.matrices.transpose(0, 2, 1).clip(1e-12))
    for part in chunks(len(votes.item), votes.classes):
        annotator, label = votes.annotator[part], votes.label[part]
        rows = np.log(model.columns(annotator, label)) if log_columns is None else log_columns[annotator, label]
        add_groups(log_joint, votes.item[part], rows * votes.weight[part, None])
    largest = log_joint.max(1, keepdims=True)
    posterior = np.exp(log_joint - largest)
    total = posterior.sum(1, keepdims=True)
    return posterior / total, (largest + np.log(total))[:, 0].astype(np.float64)


def add_groups(into: FloatArray, groups: NDArray[np.int64], rows: FloatArray) -> None:
    """Add rows (n, C) to the rows `groups` (n,) of a table; equal ones follow each other."""
    if len(groups):
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        into[groups[starts]] += np.add.reduceat(rows, starts)


def annotators_of(
    votes: Votes, posterior: NDArray[np.float32], before: AnnotatorModel, by_pair: NDArray[np.int64]
) -> AnnotatorModel:
    """How annotators label, where P(true label) is known.

    Args:
        before: of the last step.
        by_pair: (V,), votes in the order of annotator and label.
    """
    m, c = votes.annotators, votes.classes
    whole, full = before.matrices is not None, c <= FULL_MATRIX
    pairs = np.zeros((m * c if whole else c if full else 1, c))  # of annotator and label, or of label alone
    true = np.zeros((m, c))
    for part in chunks(len(by_pair), c):
        at = by_pair[part]
        rows = posterior[votes.item[at]] * votes.weight[at, None]
        add_groups(true, votes.annotator[at], rows)
        if whole:
            add_groups(pairs, votes.annotator[at] * c + votes.label[at], rows)
        elif full:
            np.add.at(pairs, votes.label[at], rows)
    right = np.bincount(votes.annotator, posterior[votes.item, votes.label] * votes.weight, m).astype(np.float64)
    counts = pairs.reshape(m, c, c).transpose(0, 2, 1) if whole else None  # (M, true, label)
    typical = typical_annotator(true, right, pairs.T if counts is None else counts.sum(0), before.typical)
    labeled = np.bincount(votes.item, minlength=votes.items) > 0
    prior = posterior[labeled].sum(0, dtype=np.float64) + 1e-3
    model = before._replace(prior=prior / prior.sum(), typical=typical)
    wrong = (true.sum(1) - right).clip(0)
    expected = (true * model.wrong()).sum(1) / model.factor  # of the typical annotator, nearly
    factor = (wrong + FACTOR_STRENGTH) / (expected + FACTOR_STRENGTH)
    model = model._replace(factor=factor.clip(1 / MAX_FACTOR, MAX_FACTOR))
    if counts is None:
        return model
    rate = model.wrong()
    off = typical.matrix * (1 - np.eye(c))
    mean = rate[:, :, None] * normalized(off + MIN_PROB / c * (1 - np.eye(c)))
    mean[:, np.arange(c), np.arange(c)] = 1 - rate
    matrices = model.strength * mean + counts + MIN_PROB
    return model._replace(matrices=matrices / matrices.sum(2, keepdims=True))


def typical_annotator(true: FloatArray, right: FloatArray, counts: FloatArray, before: NoiseModel) -> NoiseModel:
    """The noise matrix of all annotators together, diagonally dominant.

    Args:
        true: (M, C), labels by annotator and true class.
        right: (M,), of these.
        counts: (C, C), by true class and label.
    """
    if before.rows is None:
        rate = float((true.sum() - right.sum() + 0.5) / (true.sum() + 1))
        return before._replace(rate=min(max(rate, 1e-6), 0.95))
    counts = counts + DIAGONAL_PSEUDO_COUNT * np.eye(len(counts))
    prior = empirical_bayes_prior(counts, before.given)
    return NoiseModel(before.prior, prior.smooth(counts), prior.rate, before.given)
