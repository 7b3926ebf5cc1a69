"""Between which values the estimates of `mixnn.confusion` stay, made in other ways. Must not know: torch, runs, files.

Letters as there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.confusion import CELLS, Shares, estimate_confusion, fit_joint, neighbor_vote, normalized, scarce, some_known

HOODS, RESAMPLES, FEW_STEPS = (5, 10, 20, 40), 5, 10  # neighbourhoods and resamples that an estimate is tried on


class Bounds(NamedTuple):
    """Between which values an estimate stays when it is made in other ways.

    Attributes:
        rate: (2,), low and high, of the share of wrong labels.
        transition: (2, C, C), low and high, of T.
    """

    rate: Shares
    transition: Shares


def estimate_bounds(given: NDArray[np.int64], neighbors: NDArray[np.int64], classes: int) -> Bounds:
    """The middle 90 % of estimates from samples drawn anew, by fewer and by more neighbours.

    Chance alone would give far too narrow bounds: few neighbours take hard samples for wrong labels, many overlook
    wrong labels, and nobody knows which is worse here.

    Args:
        given, neighbors, classes: see `estimate_confusion`; up to 40 neighbours are looked at.
    """
    # A fifth takes a fifth of the time, and is a little less narrow; not where that would be judged in another way.
    cells = CELLS if scarce(int((given >= 0).sum()), classes) else CELLS // 5
    known = some_known(given, classes, cells)
    if len(known) == 0 or neighbors.shape[1] == 0:
        return Bounds(np.zeros(2), np.stack([np.eye(classes)] * 2))
    rates, transitions, y = [], [], given[known]
    counts = np.bincount(given[given >= 0], minlength=classes)
    random = np.random.default_rng(0)
    for hood in sorted({min(size, neighbors.shape[1]) for size in HOODS}):
        whole = estimate_confusion(given, neighbors[:, :hood], classes, cells=cells)
        likely = normalized(neighbor_vote(given, neighbors[known, :hood], classes) ** whole.sharpness)
        for _ in range(RESAMPLES):
            drawn = random.integers(0, len(known), len(known))
            joint, _ = fit_joint(
                likely[drawn], y[drawn], counts, start=whole.transition, steps=FEW_STEPS, alike=whole.alike
            )
            rates.append(1 - np.trace(joint))
            transitions.append(normalized(joint))
    low_high = [0.05, 0.95]
    return Bounds(np.quantile(rates, low_high), np.quantile(transitions, low_high, axis=0))
