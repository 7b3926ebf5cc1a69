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
PRIOR = 5.0  # right labels of each class that nobody saw: a rare class is believed until much speaks against it
CONFUSION = (10, 20)  # neighbours, at least and at most, who tell how classes are labelled
VOTERS = 200  # of the neighbours, at most, who say what a sample looks like; half a class where classes are smaller
VOTES = 20_000_000  # of all samples together, at most, for the sake of memory
TINY = float(np.finfo(float).tiny)
LEAST_LABELLED = 1e-6  # of a class's labels: none is impossible
ALIKE = (0.0, 0.1, 0.3, 1.0, 3.0)  # labels of each kind, in the mean, by which a class is held to be like all others
FEW = 10  # samples for each kind of label, classes², from which on T speaks for itself
UNSEEN = 0.1  # wrong labels of each kind that nobody saw among the rows that were looked at


class Confusion(NamedTuple):
    """What was estimated of the labels.

    Attributes:
        joint: J = π T (C, C), sums to one: the share of samples of the row's class that are labelled as the column's.
        sharpness: the power that makes a vote of neighbours as sure as it deserves.
        alike: how much classes are held to be labelled alike, see `fit_transition`.
    """

    joint: Shares
    sharpness: float
    alike: float = 0.0

    @property
    def transition(self) -> Shares:
        """T (C, C), rows sum to one: how probably a sample of the row's class is labelled as the column's."""
        return normalized(self.joint)

    @property
    def rate(self) -> float:
        """Share of wrong labels, in 0–1."""
        return float(1 - np.trace(self.joint))


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
    """T by expectation maximisation, and π, with the sharpness under which the labels are likeliest; see `by_unseen`.

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
    if len(y) < counts.sum() or not scarce(len(y), classes):
        return best
    sharpness, alike = by_unseen(vote, y, best.sharpness)
    joint, _ = fit_joint(normalized(vote**sharpness), y, counts, alike=alike)
    return Confusion(joint, sharpness, alike)


def scarce(labelled: int, classes: int) -> bool:
    """Whether so many samples, all of which can be looked at, are few for the C² kinds of label there may be."""
    return 2 <= labelled < FEW * classes**2 and labelled * classes <= CELLS


def by_unseen(vote: Shares, labels: NDArray[np.int64], sharpness: float) -> tuple[float, float]:
    """Which sharpness, and how much classes are labelled alike: what makes labels likeliest by T of the other half.

    Where samples are few for so many kinds of wrong label, T is mostly chance, and what it has from one sample alone
    it believes of this one. Labels that it has not seen tell whether the mean of all classes says more. (28 fits to
    half of the samples, beside the 9 to all of them that there are anyway.)

    Args:
        vote: (n, C), see `neighbor_vote`.
        labels: (n,).
        sharpness: to begin with.
    """
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0

    def unseen(sharpness: float, alike: float) -> float:
        told, likely = 0.0, normalized(vote**sharpness)
        for seen, other in ((half, ~half), (~half, half)):
            transition, _ = fit_transition(likely[seen], labels[seen], alike=alike)
            told += fit_transition(likely[other], labels[other], start=transition, steps=0)[1]
        return told

    alike = max(ALIKE, key=lambda one: unseen(sharpness, one))
    return max(SHARPNESS, key=lambda one: unseen(one, alike)), alike


def fit_joint(
    likely: Shares,
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
    *,
    start: Shares | None = None,
    steps: int = STEPS,
    alike: float = 0.0,
) -> tuple[Shares, float]:
    """J (C, C) of all samples, told from some of them, and the mean log-likelihood of these samples' labels.

    Args:
        likely, labels, start, steps, alike: see `fit_transition`.
        counts: (C,), how often each label is given to any sample.
    """
    looked_at = len(labels) / counts.sum()
    transition, likelihood = fit_transition(
        likely, labels, start=start, steps=steps, prior=looked_at * PRIOR, alike=alike
    )
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
    wrong = np.tile(UNSEEN * (labelled > 0), (len(labelled), 1))
    np.add.at(wrong.T, labels, q)
    np.fill_diagonal(wrong, 0)
    seen, of_given = q.sum(0), q[np.arange(len(q)), labels]  # (C,), (n,)
    right = (seen * transition.diagonal() + EACH * of_given.mean()) / (seen + EACH)
    transition = wrong * ((1 - right) / wrong.sum(1).clip(TINY))[:, None] + np.diag(right)
    share = labelled
    for _ in range(STEPS):
        share = share * (transition @ (labelled / (share @ transition).clip(TINY)))
    joint: Shares = share[:, None] * transition
    return joint


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
    alike: float = 0.0,
) -> tuple[Shares, float]:
    """T (C, C) under which `labels` (n,) are likeliest, and the mean of their log-likelihoods.

    Args:
        likely: (n, C), how probably a sample is of each class, by whoever does not know its label.
        start: T to begin with; mostly right labels where None.
        prior: right labels of each class that nobody saw.
        alike: labels of each kind, in the mean, that nobody saw: every class labelled as all are.
    """
    classes = likely.shape[1]
    transition = 0.7 * np.eye(classes) + 0.3 / classes if start is None else start
    other = other_labels(labels, classes) if alike else transition
    of_label = [(label, likely[labels == label]) for label in np.unique(labels)]
    for _ in range(steps):
        counts = np.zeros((classes, classes))
        for label, rows in of_label:  # Σ_i q_i(c) of those with one label, see `label_posterior`; q is not needed
            labelled = transition[:, label] + LEAST_LABELLED
            counts[:, label] = labelled * ((1 / (rows @ labelled)) @ rows)
        if alike:  # as often right as all are, and else as any label is given
            right = counts.trace() / counts.sum()
            counts += alike * classes * (1 - right) * other
            counts[range(classes), range(classes)] += alike * classes * right
        transition = normalized(counts + prior * np.eye(classes))
    joint = (likely * transition[:, labels].T).sum(1)
    return transition, float(np.log(joint.clip(TINY)).mean())


def other_labels(labels: NDArray[np.int64], classes: int) -> Shares:
    """How often each label is given among those that are not the row's class: (C, C), rows sum to one.

    Args:
        labels: (n,).
        classes: C.
    """
    counts = np.tile(np.bincount(labels, minlength=classes), (classes, 1)) + TINY
    np.fill_diagonal(counts, 0)
    return normalized(counts)


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
