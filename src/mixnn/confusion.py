"""Which classes are labelled as which, and how often, told from neighbours alone. Must not know: torch, runs, files.

The neighbours of a sample say what it looks like without having seen its label; its label is then a draw from the
row T[c] of its unknown class c. Letters: N samples, C classes, K neighbours, π (C,) the share of each class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.floating]
Rows = slice | NDArray[np.int64]

SHARPNESS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
STEPS = 40  # of expectation maximisation
CELLS = 2_000_000  # rows × classes that are looked at, evenly spread over the samples
EACH = 10  # rows of each class, in the mean, that are looked at where there are more classes
HOODS, RESAMPLES, FEW_STEPS = (5, 10, 20, 40), 5, 10  # neighbourhoods and resamples that an estimate is tried on
PRIOR = 5.0  # right labels of each class that nobody saw: a rare class is believed until much speaks against it
CONFUSION = (10, 20)  # neighbours, at least and at most, who tell how classes are labelled
VOTERS = 200  # of the neighbours, at most, who say what a sample looks like; half a class where classes are smaller
VOTES = 20_000_000  # of all samples together, at most, for the sake of memory
LEAST_LABELLED = 1e-6  # of a class's labels: none is impossible
UNSEEN = 0.1  # wrong labels of each kind that nobody saw among the rows that were looked at


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
        cells: rows × classes to look at, about; more where there are many classes, see `some_known`.

    Without a label or a neighbour there is nothing to learn: no label is wrong then.
    """
    known = some_known(given, classes, cells)
    if len(known) == 0 or neighbors.shape[1] == 0:
        return Confusion(np.eye(classes) / classes, 1.0)
    y, vote = given[known], neighbor_vote(given, neighbors[known], classes)
    counts = np.bincount(given[given >= 0], minlength=classes)
    best, likeliest = Confusion(np.eye(classes) / classes, 1.0), -np.inf
    for sharpness in SHARPNESS:
        joint, likelihood = fit_joint(normalized(vote**sharpness), y, counts)
        if likelihood > likeliest:
            best, likeliest = Confusion(joint, sharpness), likelihood
    return best


def fit_joint(
    likely: Shares,
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
    *,
    start: Shares | None = None,
    steps: int = STEPS,
) -> tuple[Shares, float]:
    """J (C, C) of all samples, told from some of them, and the mean log-likelihood of these samples' labels.

    Args:
        likely, labels, start, steps: see `fit_transition`.
        counts: (C,), how often each label is given to any sample.
    """
    looked_at = len(labels) / counts.sum()
    transition, likelihood = fit_transition(likely, labels, start=start, steps=steps, prior=looked_at * PRIOR)
    q = label_posterior(likely, labels, transition)
    if looked_at < 1:
        return of_all(transition, q, labels, counts / counts.sum()), likelihood
    joint: Shares = q.mean(0)[:, None] * transition  # π T
    return joint, likelihood


def of_all(transition: Shares, q: Shares, labels: NDArray[np.int64], labelled: Shares) -> Shares:
    """J (C, C) of all samples from T of some, of whom many classes have few and some none.

    A class of which few are seen is taken to be labelled about as well as the others; wrong labels of a kind that
    these happen not to have are expected too; and π is what makes labels as frequent as they are, by expectation
    maximisation.

    Args:
        transition: T as estimated from those samples.
        q: (n, C), see `label_posterior`, of these.
        labels: (n,), of these.
        labelled: (C,), the share of each label among all.
    """
    tiny = np.finfo(float).tiny
    wrong = np.tile(UNSEEN * (labelled > 0), (len(labelled), 1))
    np.add.at(wrong.T, labels, q)
    np.fill_diagonal(wrong, 0)
    seen, of_given = q.sum(0), q[np.arange(len(q)), labels]  # (C,), (n,)
    right = (seen * transition.diagonal() + EACH * of_given.mean()) / (seen + EACH)
    transition = wrong * ((1 - right) / wrong.sum(1).clip(tiny))[:, None] + np.diag(right)
    share = labelled
    for _ in range(STEPS):
        share = share * (transition @ (labelled / (share @ transition).clip(tiny)))
    joint: Shares = share[:, None] * transition
    return joint


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
    counts = np.bincount(given[given >= 0], minlength=classes)
    random = np.random.default_rng(0)
    for hood in sorted({min(size, neighbors.shape[1]) for size in HOODS}):
        whole = estimate_confusion(given, neighbors[:, :hood], classes, cells=CELLS // 5)
        likely = normalized(neighbor_vote(given, neighbors[known, :hood], classes) ** whole.sharpness)
        for _ in range(RESAMPLES):
            drawn = random.integers(0, len(known), len(known))
            joint, _ = fit_joint(likely[drawn], y[drawn], counts, start=whole.transition, steps=FEW_STEPS)
            rates.append(1 - np.trace(joint))
            transitions.append(normalized(joint))
    low_high = [0.05, 0.95]
    return Bounds(np.quantile(rates, low_high), np.quantile(transitions, low_high, axis=0))


def some_known(given: NDArray[np.int64], classes: int, cells: int) -> NDArray[np.int64]:
    """Rows that have a label, evenly spread: `cells` rows × classes at most, or `EACH` of a class if that is more.

    (Of `CELLS`; as many fewer of each class as `cells` are fewer than these.)

    One by chance out of so many in a row: where classes take turns, every second row has but half of them.
    """
    known = np.flatnonzero(given >= 0)
    wanted = max(cells, EACH * classes**2 * cells // CELLS)
    step = max(1, -(-len(known) * classes // wanted))
    first = np.arange(0, len(known), step)
    chosen: NDArray[np.int64] = known[
        first + np.random.default_rng(0).integers(0, np.minimum(step, len(known) - first))
    ]
    return chosen


def fit_transition(
    likely: Shares,
    labels: NDArray[np.int64],
    *,
    start: Shares | None = None,
    steps: int = STEPS,
    prior: float = PRIOR,
) -> tuple[Shares, float]:
    """T (C, C) under which `labels` (n,) are likeliest, and the mean of their log-likelihoods.

    Args:
        likely: (n, C), how probably a sample is of each class, by whoever does not know its label.
        start: T to begin with; mostly right labels where None.
        prior: right labels of each class that nobody saw.
    """
    classes = likely.shape[1]
    transition = 0.7 * np.eye(classes) + 0.3 / classes if start is None else start
    of_label = [(label, likely[labels == label]) for label in np.unique(labels)]
    for _ in range(steps):
        counts = prior * np.eye(classes)
        for label, rows in of_label:  # Σ_i q_i(c) of those with one label, see `label_posterior`; q is not needed
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
    least = LEAST_LABELLED * labelled.sum() / len(labelled)
    q = likely * (labelled[:, labels.clip(0)].T + least).astype(likely.dtype)
    return normalized(np.where(labels[:, None] < 0, likely, q))


def normalized(rows: Shares) -> Shares:
    """Each row divided by its sum."""
    shares: Shares = rows / rows.sum(1, keepdims=True)
    return shares
