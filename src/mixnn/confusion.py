"""Which classes are labelled as which, and how often, told from neighbours alone. Must not know: torch, runs, files.

The neighbours of a sample say what it looks like without having seen its label; its label is then a draw from the
row T[c] of its unknown class c. Letters: N samples, C classes, K neighbours, π (C,) the share of each class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.rows import parts

Shares = NDArray[np.floating]
Rows = slice | NDArray[np.int64]

SHARPNESS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
STEPS = 40  # of expectation maximisation
POWERS, BISECTIONS = (0.25, 32.0), 12  # of what a sample looks like
CELLS = 500_000  # rows × classes that are looked at, evenly spread over the samples
HOODS, RESAMPLES, FEW_STEPS = (5, 10, 20, 40), 5, 10  # neighbourhoods and resamples that an estimate is tried on
PRIOR = 5.0  # right labels of each class that nobody saw: a rare class is believed until much speaks against it
CONFUSION = (10, 20)  # neighbours, at least and at most, who tell how classes are labelled
VOTERS = 200  # of the neighbours, at most, who say what a sample looks like; half a class where classes are smaller
VOTES = 20_000_000  # of all samples together, at most, for the sake of memory
VOTE_POWER, PREDICTION_POWER = 1.5, 0.5  # how much either opinion counts; their scale is settled later
LEAST = np.float32(1e-8)  # probability
LEAST_LABELLED = 1e-6  # of a class's labels: none is impossible


class Confusion(NamedTuple):
    """What was estimated of the labels.

    Attributes:
        joint: J = π T (C, C), sums to one: the share of samples of the row's class that are labelled as the column's.
        sharpness: the power that makes a vote of neighbours as sure as it deserves.
    """

    joint: Shares
    sharpness: float

    @property
    def transition(self) -> Shares:
        """T (C, C), rows sum to one: how probably a sample of the row's class is labelled as the column's."""
        return normalized(self.joint)

    @property
    def rate(self) -> float:
        """Share of wrong labels, in 0–1."""
        return float(1 - np.trace(self.joint))


class Bounds(NamedTuple):
    """Between which values an estimate stays when it is made in other ways.

    Attributes:
        rate: (2,), low and high, of the share of wrong labels.
        transition: (2, C, C), low and high, of T.
    """

    rate: Shares
    transition: Shares


def voters(samples: int, classes: int) -> int:
    """How many neighbours are asked what a sample looks like."""
    wanted = min(VOTERS, samples // (2 * classes), VOTES // samples)
    return min(max(*CONFUSION, wanted), samples - 1)


def close(samples: int, classes: int) -> int:
    """How many neighbours are asked how the classes are labelled: few know most of the sample, but differ by chance."""
    few, many = CONFUSION
    return min(max(few, samples // (50 * classes)), many)


def neighbor_vote(given: NDArray[np.int64], neighbors: NDArray[np.int64], classes: int) -> Shares:
    """What the labels of the neighbours say: (n, C), rows sum to one, none is zero.

    A vote counts by how rare its class is, so that a frequent one does not win by its number.

    Args:
        given: (N,) labels; those below 0 have no vote.
        neighbors: (n, K) rows of `given`.
        classes: C.
    """
    counts = np.zeros((len(neighbors), classes))
    rows = np.arange(len(neighbors))
    for column in neighbors.T:  # one at a time: no (n, K, C) array
        known = given[column] >= 0
        counts[rows[known], given[column][known]] += 1
    share = np.bincount(given[given >= 0], minlength=classes).clip(1) / max(1, (given >= 0).sum())
    return normalized(counts / share / classes + 0.5)  # half a vote for every class


def estimate_confusion(
    given: NDArray[np.int64], neighbors: NDArray[np.int64], classes: int, *, cells: int = CELLS
) -> Confusion:
    """T by expectation maximisation, and π, with the sharpness under which the labels are likeliest.

    Args:
        given: (N,) labels; those below 0 are unknown and do not count.
        neighbors: (N, K), nearest samples in feature space.
        classes: C.
        cells: rows × classes to look at, at most.

    Without a label or a neighbour there is nothing to learn: no label is wrong then.
    """
    known = some_known(given, classes, cells)
    if len(known) == 0 or neighbors.shape[1] == 0:
        return Confusion(np.eye(classes) / classes, 1.0)
    y, vote = given[known], neighbor_vote(given, neighbors[known], classes)
    best, likeliest = Confusion(np.eye(classes) / classes, 1.0), -np.inf
    for sharpness in SHARPNESS:
        likely = normalized(vote**sharpness)
        transition, likelihood = fit_transition(likely, y)
        if likelihood > likeliest:
            share = label_posterior(likely, y, transition).mean(0)  # π
            best, likeliest = Confusion(share[:, None] * transition, sharpness), likelihood
    return best


def estimate_bounds(given: NDArray[np.int64], neighbors: NDArray[np.int64], classes: int) -> Bounds:
    """The middle 90 % of estimates from samples drawn anew, by fewer and by more neighbours.

    Chance alone would give far too narrow bounds: few neighbours take hard samples for wrong labels, many overlook
    wrong labels, and nobody knows which is worse here.

    Args:
        given, neighbors, classes: see `estimate_confusion`; up to 40 neighbours are looked at.
    """
    known = some_known(given, classes, CELLS // 5)  # a fifth takes a fifth of the time, and is a little less narrow
    if len(known) == 0 or neighbors.shape[1] == 0:
        return Bounds(np.zeros(2), np.stack([np.eye(classes)] * 2))
    rates, transitions, y = [], [], given[known]
    random = np.random.default_rng(0)
    for hood in sorted({min(size, neighbors.shape[1]) for size in HOODS}):
        whole = estimate_confusion(given, neighbors[:, :hood], classes, cells=CELLS // 5)
        likely = normalized(neighbor_vote(given, neighbors[known, :hood], classes) ** whole.sharpness)
        for _ in range(RESAMPLES):
            drawn = random.integers(0, len(known), len(known))
            transition, _ = fit_transition(likely[drawn], y[drawn], start=whole.transition, steps=FEW_STEPS)
            share = label_posterior(likely[drawn], y[drawn], transition).mean(0)  # π
            rates.append(1 - (share * transition.diagonal()).sum())
            transitions.append(transition)
    low_high = [0.05, 0.95]
    return Bounds(np.quantile(rates, low_high), np.quantile(transitions, low_high, axis=0))


def some_known(given: NDArray[np.int64], classes: int, cells: int) -> NDArray[np.int64]:
    """Rows that have a label, evenly spread, at most `cells` rows × classes."""
    known = np.flatnonzero(given >= 0)
    return known[:: max(1, -(-len(known) * classes // cells))]


def fit_transition(
    likely: Shares, labels: NDArray[np.int64], *, start: Shares | None = None, steps: int = STEPS
) -> tuple[Shares, float]:
    """T (C, C) under which `labels` (n,) are likeliest, and the mean of their log-likelihoods.

    Args:
        likely: (n, C), how probably a sample is of each class, by whoever does not know its label.
        start: T to begin with; mostly right labels where None.
    """
    classes = likely.shape[1]
    transition = 0.7 * np.eye(classes) + 0.3 / classes if start is None else start
    of_label = [(label, likely[labels == label]) for label in np.unique(labels)]
    for _ in range(steps):
        counts = PRIOR * np.eye(classes)
        for (
            label,
            rows,
        ) in of_label:  # Σ_i q_i(c) of those with one label, see `label_posterior`; q itself is not needed
            labelled = transition[:, label] + LEAST_LABELLED
            counts[:, label] += labelled * ((1 / (rows @ labelled)) @ rows)
        transition = normalized(counts)
    joint = (likely * transition[:, labels].T).sum(1)
    return transition, float(np.log(joint.clip(np.finfo(float).tiny)).mean())


def label_posterior(likely: Shares, labels: NDArray[np.int64], labelled: Shares) -> Shares:
    """q_i(c) ∝ likely_i(c) · labelled[c, y_i]: (n, C), rows sum to one; `likely` itself where there is no label.

    Args:
        likely: (n, C), rows sum to one.
        labels: (n,), below 0 where nobody knows.
        labelled: (C, C), how the classes are labelled: T, or J where `likely` holds all classes for equally frequent.
    """
    q = likely * (labelled[:, labels.clip(0)].T + LEAST_LABELLED).astype(likely.dtype)
    return normalized(np.where(labels[:, None] < 0, likely, q))


def appearance(vote: Shares, probs: Shares) -> Shares:
    """What each sample is held to look like: what its neighbours are labelled, and what the network says.

    Neighbours count more: they have not seen the sample's label, which the network may have learnt by heart.

    Args:
        vote: (N, C), see `neighbor_vote`.
        probs: (N, C), the network's.

    Returns:
        (N, C), rows sum to one.
    """
    return normalized(vote**VOTE_POWER * probs.clip(LEAST) ** PREDICTION_POWER)


def believed(
    looks: Callable[[Rows], Shares], labels: NDArray[np.int64], joint: Shares
) -> Iterator[tuple[slice, Shares, Shares]]:
    """What is held to be each sample's label: what it looks like, and what its label says.

    A label speaks for the classes that are labelled so: where one class is often mistaken for another, little for
    either; where labels are rarely wrong, much for itself. How frequent the classes are, and how many labels are
    wrong, neighbours say.

    Args:
        looks: what some samples look like, rows -> (n, C), rows sum to one; asked for all of them twice.
        labels: (N,), below 0 where nobody knows: those stay what they look like.
        joint: J (C, C), see `Confusion`.

    Yields:
        So many samples at a time as `parts` says: which, what they look like (n, C), what they are held to be (n, C).
    """
    known, classes = labels >= 0, len(joint)
    every, some = parts(len(labels), classes), some_known(labels, classes, CELLS)
    power, mean = 1.0, np.ones(classes)
    if len(some):
        power = calibration(looks(some).astype(np.float64), labels[some], joint)
        sums = [powered(looks(rows), power)[known[rows]].sum(0) for rows in every]
        mean = np.add.reduce(sums) / known.sum()
    for rows in every:
        looked, sure = looks(rows), known[rows]
        likely = looked.astype(np.float64)
        if sure.any():
            equal = equalized(powered(looked, power), mean)
            likely[sure] = label_posterior(equal, labels[rows], joint)[sure]
        yield rows, looked, likely


def powered(looks: Shares, power: float) -> Shares:
    """Rows (n, C) to a power, and to a sum of one again.

    Powers of small numbers: in float32 many of the worst would be zero, and equally bad.
    """
    return normalized(looks.astype(np.float64) ** power)


def equalized(likely: Shares, mean: Shares) -> Shares:
    """`likely` (N, C) as it would be if all classes were equally frequent: each weighed by its `mean` (C,).

    A network that hardly ever says a rare class says so of its samples too; what counts is by how much more.
    """
    return normalized(likely / mean.clip(np.finfo(likely.dtype).tiny))


def normalized(rows: Shares) -> Shares:
    """Each row divided by its sum."""
    shares: Shares = rows / rows.sum(1, keepdims=True)
    return shares


def calibration(looks: Shares, labels: NDArray[np.int64], joint: Shares) -> float:
    """The power of what samples look like under which as many labels are doubted as `joint` says are wrong.

    Soft targets and mixing make a network less sure than it is right; without this, labels would win over it.

    Args:
        looks: (n, C), of samples that have a label.
        labels: (n,), from 0 up.
        joint: J (C, C), see `Confusion`.
    """
    low, high = POWERS
    power = 1.0
    for _ in range(BISECTIONS):
        power = (low * high) ** 0.5
        likely = powered(looks, power)
        q = label_posterior(equalized(likely, likely.mean(0)), labels, joint)
        doubted = 1 - q[np.arange(len(labels)), labels].mean()
        low, high = (power, high) if doubted < 1 - np.trace(joint) else (low, power)
    return power
