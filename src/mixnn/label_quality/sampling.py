"""How many samples are enough to fit by. Must not know: torch, runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 4_000_000  # samples × classes by which combinations are compared
MIN_SAMPLES = 2_000  # samples, whatever the number of classes
HEAD_SAMPLES, HEAD_SAMPLES_PER_CLASS = 25_000, 400  # samples that a linear head is fitted to, or so many of each class
HEAD_CELLS, MIN_HEAD_SAMPLES_PER_CLASS = 40_000_000, 20  # samples × classes at most, but so many samples of each class


def sampled_rows(labels: NDArray[np.int64], classes: int, cells: int = CELLS) -> NDArray[np.int64]:
    """Rows that have a label, drawn by chance where there are too many to compare all combinations by; in order."""
    known = np.flatnonzero(labels >= 0)
    wanted = max(MIN_SAMPLES, cells // classes)
    return known if len(known) <= wanted else np.sort(np.random.default_rng(0).permutation(known)[:wanted])


def head_samples(classes: int) -> int:
    """How many samples a linear head is fitted to, at most."""
    return max(
        min(max(HEAD_SAMPLES, HEAD_SAMPLES_PER_CLASS * classes), HEAD_CELLS // classes),
        MIN_HEAD_SAMPLES_PER_CLASS * classes,
    )
