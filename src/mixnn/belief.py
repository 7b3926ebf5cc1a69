"""What a label is held to be: what its sample looks like, and what itself says. Must not know: torch, runs, files.

Letters as in `mixnn.confusion`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mixnn.confusion import Rows, Shares, label_posterior, normalized, some_known
from mixnn.rows import parts

# Of what a sample looks like, from 0.25 to 8, those near 1 first.
POWERS: tuple[float, ...] = tuple(2.0 ** (fourth / 4) for fourth in sorted(range(-8, 13), key=abs))
CALIBRATING = 500_000  # rows × classes that this power is chosen by, as `some_known` has it
VOTE_POWER, PREDICTION_POWER = 1.5, 0.5  # how much either opinion counts; their scale is settled later
LEAST = np.float32(1e-8)  # probability
TINY = float(np.finfo(float).tiny)


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
    every, some = parts(len(labels), classes), some_known(labels, classes, CALIBRATING)
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


def calibration(looks: Shares, labels: NDArray[np.int64], joint: Shares) -> float:
    """The power of what samples look like under which their labels are likeliest; where it makes no difference, 1.

    Soft targets and mixing make a network less sure than it is right; without this, labels would win over it.

    Args:
        looks: (n, C), of samples that have a label.
        labels: (n,), from 0 up.
        joint: J (C, C), see `Confusion`.
    """
    share, labelled = joint.sum(1), joint[:, labels].T  # π (C,), (n, C)

    def likelihood(power: float) -> float:
        likely = powered(looks, power)
        equal = equalized(likely, likely.mean(0))
        label: Shares = (equal * labelled).sum(1) / (equal @ share)  # (n,)
        return round(float(np.log(label.clip(TINY)).mean()), 6)

    return max(POWERS, key=likelihood)
