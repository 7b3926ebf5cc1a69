"""Whether labels without names are in the order of the data, told by how many agree. Must not know: files."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

P_VALUE = 1e-3  # at which labels are taken to be in the order of the data
PERMUTATIONS = 9_999
SAMPLES = 20_000  # that are permuted, evenly spread: seconds, whatever the size


class Agreement(NamedTuple):
    """How far labels agree.

    Attributes:
        agree: how many are the same.
        compared: of how many.
        by_chance: how many would be the same, in the mean of all orders.
        most: how many would be in the best of all orders.
    """

    agree: int
    compared: int
    by_chance: float
    most: int


def agreement(own: NDArray[np.int64], given: NDArray[np.int64]) -> Agreement:
    """Of labels (n,) and labels (n,), where both are 0 or more."""
    known = (own >= 0) & (given >= 0)
    own, given = own[known], given[known]
    size = max(own.max(initial=0), given.max(initial=0)) + 1
    counts = np.bincount(own, minlength=size), np.bincount(given, minlength=size)
    by_chance = float(counts[0] @ counts[1].astype(float)) / max(1, len(own))
    return Agreement(int((own == given).sum()), len(own), by_chance, int(np.minimum(*counts).sum()))


def in_order(own: NDArray[np.int64], given: NDArray[np.int64]) -> bool:
    """Whether labels agree beyond chance, or as well as any order of them could, which a few always do.

    Chance is any order of `given`, so that both sets of labels stay what they are. What is clear a bound settles
    (Chatterjee, "Stein's method for concentration inequalities", 2007, Proposition 1.1), and random orders the rest.

    Example:
        >>> in_order(np.repeat([0, 1, 2], [16, 12, 10]), np.tile([0, 1, 2], 13)[:38])
        False
    """
    found = agreement(own, given)
    beyond = found.agree - found.by_chance
    if found.agree == found.most:
        return True
    if beyond <= 0:
        return False
    if math.exp(-(beyond**2) / (4 * found.by_chance + 2 * beyond)) < P_VALUE:
        return True
    known = np.flatnonzero((own >= 0) & (given >= 0))
    known = known[:: -(-len(known) // SAMPLES)]
    own, given, random, as_good = own[known], given[known], np.random.default_rng(0), 1
    agree = (own == given).sum()
    for _ in range(PERMUTATIONS):
        as_good += int((random.permutation(given) == own).sum() >= agree)
        if as_good >= P_VALUE * (PERMUTATIONS + 1):
            return False
    return True
