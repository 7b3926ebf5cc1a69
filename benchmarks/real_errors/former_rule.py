"""The rule by which `mixnn` judged labels up to revision 34c178c, kept to compare with. Needs numpy alone.

Neighbors and out-of-fold probabilities say what a sample looks like. Neighbors say how classes are labeled.
Both together say what its label should be. Letters: N samples, C classes, K neighbors, J (C, C) the share of samples
of the row's class that are labeled as the column's, T its rows divided by their sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.floating]
Labels = NDArray[np.int64]

VOTERS, VOTES, CONFUSION = 200, 20_000_000, (10, 20)  # neighbors that vote; of all; that tell J
VOTE_POWER, PREDICTION_POWER = 1.5, 0.5
POWERS: tuple[float, ...] = tuple(2.0 ** (fourth / 4) for fourth in sorted(range(-8, 13), key=abs))
SHARPNESS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
ALIKE = (0.0, 0.1, 0.3, 1.0, 3.0)  # labels of each kind by which a class is held to be like all others
STEPS, CELLS, CALIBRATING, EACH, FEW = 40, 2_000_000, 500_000, 10, 10
PRIOR, UNSEEN, LEAST_LABELED, LEAST = 5.0, 0.1, 1e-6, np.float32(1e-8)
TINY = float(np.finfo(float).tiny)


class Belief(NamedTuple):
    """Of each sample: how much is believed of its label, the likeliest label, how much is believed of that."""

    quality: Shares
    suggested: Labels
    confidence: Shares


def judge(given: Labels, near: Labels, probs: Shares) -> Belief:
    """What is believed of every label.

    Args:
        given: (N,), from 0 up.
        near: (N, K) nearest samples, near to far, at least `voters` of them.
        probs: (N, C) out-of-fold probabilities.
    """
    samples, classes = probs.shape
    joint = estimate_joint(given, near[:, : close(samples, classes)], classes)
    vote = neighbor_vote(given, near[:, : voters(samples, classes)], classes).astype(np.float32)
    looks = normalized(vote**VOTE_POWER * probs.astype(np.float32).clip(LEAST) ** PREDICTION_POWER)
    some = some_rows(samples, classes, CALIBRATING)
    power = calibration(looks[some].astype(np.float64), given[some], joint)
    likely = powered(looks, power)
    q = label_posterior(equalized(likely, likely.sum(0) / samples), given, joint)
    return Belief(q[np.arange(samples), given], q.argmax(1), q.max(1))


def voters(samples: int, classes: int) -> int:
    """How many neighbors say what a sample looks like."""
    wanted = min(VOTERS, samples // (2 * classes), VOTES // samples)
    return min(max(*CONFUSION, wanted), samples - 1)


def close(samples: int, classes: int) -> int:
    """How many neighbors tell J."""
    few, many = CONFUSION
    return min(max(few, samples // (50 * classes)), many)


def neighbor_vote(given: Labels, near: Labels, classes: int) -> Shares:
    """What the labels of neighbors say, (n, C). A vote counts by how rare its class is."""
    counts, rows = np.zeros((len(near), classes)), np.arange(len(near))
    for column in near.T:
        counts[rows, given[column]] += 1
    share = np.bincount(given, minlength=classes).clip(1) / len(given)
    return normalized(counts / share / classes + 0.5)


def calibration(looks: Shares, labels: Labels, joint: Shares) -> float:
    """The power of `looks` (n, C) under which their labels are likeliest."""
    share, labeled = joint.sum(1), joint[:, labels].T

    def likelihood(power: float) -> float:
        likely = powered(looks, power)
        equal = equalized(likely, likely.mean(0))
        label: Shares = (equal * labeled).sum(1) / (equal @ share)
        return round(float(np.log(label.clip(TINY)).mean()), 6)

    return max(POWERS, key=likelihood)


def estimate_joint(given: Labels, near: Labels, classes: int) -> Shares:
    """J by expectation maximization, with the sharpness of the vote under which labels are likeliest."""
    rows = some_rows(len(given), classes, CELLS)
    y, vote = given[rows], neighbor_vote(given, near[rows], classes)
    counts = np.bincount(given, minlength=classes)
    best: Shares = np.eye(classes) / classes
    best_sharpness, likeliest = 1.0, -np.inf
    for sharpness in SHARPNESS:
        joint, likelihood = fit_joint(normalized(vote**sharpness), y, counts)
        if likelihood > likeliest:
            best, best_sharpness, likeliest = joint, sharpness, likelihood
    scarce = 2 <= len(y) < FEW * classes**2 and len(y) * classes <= CELLS
    if len(y) < len(given) or not scarce:
        return best
    sharpness, alike = by_unseen(vote, y, best_sharpness)
    return fit_joint(normalized(vote**sharpness), y, counts, alike)[0]


def by_unseen(vote: Shares, labels: Labels, sharpness: float) -> tuple[float, float]:
    """Sharpness, and how much classes are labeled alike, that make labels likeliest by T of the other half."""
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0

    def unseen(sharpness: float, alike: float) -> float:
        told, likely = 0.0, normalized(vote**sharpness)
        for seen, other in ((half, ~half), (~half, half)):
            transition = fit_transition(likely[seen], labels[seen], PRIOR, alike)
            told += log_likelihood(likely[other], labels[other], transition)
        return told

    alike = max(ALIKE, key=lambda one: unseen(sharpness, one))
    return max(SHARPNESS, key=lambda one: unseen(one, alike)), alike


def fit_joint(likely: Shares, labels: Labels, counts: Labels, alike: float = 0.0) -> tuple[Shares, float]:
    """J of all samples, told from some of them, and the mean log-likelihood of the labels of these."""
    looked_at = len(labels) / counts.sum()
    transition = fit_transition(likely, labels, looked_at * PRIOR, alike)
    likelihood = log_likelihood(likely, labels, transition)
    q = label_posterior(likely, labels, transition)
    if looked_at < 1:
        return of_all(transition, q, labels, counts / counts.sum()), likelihood
    joint: Shares = q.mean(0)[:, None] * transition
    return joint, likelihood


def of_all(transition: Shares, q: Shares, labels: Labels, labeled: Shares) -> Shares:
    """J of all samples from T of some. `labeled` (C,) is the share of each label among all."""
    wrong = np.tile(UNSEEN * (labeled > 0), (len(labeled), 1))
    np.add.at(wrong.T, labels, q)
    np.fill_diagonal(wrong, 0)
    seen, of_given = q.sum(0), q[np.arange(len(q)), labels]
    right = (seen * transition.diagonal() + EACH * of_given.mean()) / (seen + EACH)
    transition = wrong * ((1 - right) / wrong.sum(1).clip(TINY))[:, None] + np.diag(right)
    share = labeled
    for _ in range(STEPS):
        share = share * (transition @ (labeled / (share @ transition).clip(TINY)))
    joint: Shares = share[:, None] * transition
    return joint


def fit_transition(likely: Shares, labels: Labels, prior: float, alike: float) -> Shares:
    """T under which `labels` (n,) are likeliest, by expectation maximization.

    Args:
        likely: (n, C), how probably a sample is of each class.
        labels: (n,).
        prior: right labels of each class that nobody saw.
        alike: labels of each kind that nobody saw, every class labeled as all are.
    """
    classes = likely.shape[1]
    transition: Shares = 0.7 * np.eye(classes) + 0.3 / classes
    other: Shares = np.tile(np.bincount(labels, minlength=classes), (classes, 1)) + TINY
    np.fill_diagonal(other, 0)
    other = normalized(other) if alike else other
    of_label = [(label, likely[labels == label]) for label in np.unique(labels)]
    for _ in range(STEPS):
        counts = np.zeros((classes, classes))
        for label, rows in of_label:
            labeled = transition[:, label] + LEAST_LABELED
            counts[:, label] = labeled * ((1 / (rows @ labeled)) @ rows)
        if alike:
            right = counts.trace() / counts.sum()
            counts += alike * classes * (1 - right) * other
            counts[range(classes), range(classes)] += alike * classes * right
        transition = normalized(counts + prior * np.eye(classes))
    return transition


def log_likelihood(likely: Shares, labels: Labels, transition: Shares) -> float:
    """The mean over `labels`."""
    return float(np.log((likely * transition[:, labels].T).sum(1).clip(TINY)).mean())


def label_posterior(likely: Shares, labels: Labels, labeled: Shares) -> Shares:
    """What samples are likely to be, (n, C), by what they look like and by their labels."""
    least = LEAST_LABELED * labeled.sum() / len(labeled)
    return normalized(likely * (labeled[:, labels].T + least).astype(likely.dtype))


def some_rows(samples: int, classes: int, cells: int) -> Labels:
    """Rows evenly spread over the samples: rows times classes are about `cells`."""
    wanted = max(cells, EACH * classes**2 * cells // CELLS)
    step = max(1, -(-samples * classes // wanted))
    first = np.arange(0, samples, step)
    chosen: Labels = first + np.random.default_rng(0).integers(0, np.minimum(step, samples - first))
    return chosen


def powered(looks: Shares, power: float) -> Shares:
    """Rows to a power, and to a sum of one again."""
    return normalized(looks.astype(np.float64) ** power)


def equalized(likely: Shares, mean: Shares) -> Shares:
    """Rows as they would be if all classes were equally frequent."""
    return normalized(likely / mean.clip(np.finfo(likely.dtype).tiny))


def normalized(rows: Shares) -> Shares:
    """Each row divided by its sum."""
    shares: Shares = rows / rows.sum(1, keepdims=True)
    return shares
