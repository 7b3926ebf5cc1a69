"""The labels of several annotators as numbers. Must not know: what is made of them, torch, runs, files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.probabilities import TINY, FloatArray


class Votes(NamedTuple):
    """V labels that annotators gave, sorted by item, annotator and label.

    Attributes:
        item, annotator, label: int64 (V,).
        weight: float64 (V,); several labels of one annotator for one item count as one.
        items, annotators, classes: N, M, C.
    """

    item: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: NDArray[np.int64]
    weight: NDArray[np.float64]
    items: int
    annotators: int
    classes: int

    @property
    def counts(self) -> NDArray[np.float64]:
        """How often an item has each label, (N, C)."""
        place = self.item * self.classes + self.label
        found = np.bincount(place, self.weight, self.items * self.classes).astype(np.float64)
        return found.reshape(self.items, self.classes)

    @property
    def frequencies(self) -> FloatArray:
        """Share of each label, (C,)."""
        counts: FloatArray = np.bincount(self.label, self.weight, self.classes).astype(np.float64)
        return counts / max(TINY, float(counts.sum()))

    def of_items(self, chosen: NDArray[np.bool_]) -> Votes:
        """Those of the items `chosen` (N,)."""
        rows = chosen[self.item]
        return self._replace(**{name: getattr(self, name)[rows] for name in ("item", "annotator", "label", "weight")})


def sorted_votes(
    item: NDArray[np.int64],
    annotator: NDArray[np.int64],
    label: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> Votes:
    """Votes in order, each once; where an annotator gave an item several labels, each has a share of one vote.

    Args:
        item, annotator, label: (V,), from 0.
        shape: (N, M, C).
    """
    item, annotator, label = np.unique(np.stack([item, annotator, label]), axis=1)
    pair = item * shape[1] + annotator
    first = np.r_[True, pair[1:] != pair[:-1]][: len(pair)]
    times = np.diff(np.r_[np.flatnonzero(first), len(pair)])
    return Votes(item, annotator, label, 1 / np.repeat(times, times), *shape)
