"""Embeddings of any size at a usual one, so that no unit of measurement decides. Must not know: labels, torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

USUAL = (1e-3, 1e3)  # size of most columns, whose embeddings are taken as they are
LARGE = 1e4  # times the size of most columns, from which on one would alone decide what is near
SAMPLED = 100_000  # rows that sizes are told by


class Scale(NamedTuple):
    """What embeddings are brought to a usual size by: (x - shift) / divisor, column by column.

    Attributes:
        shift, divisor: float64 (D,).
        note: what was done, in words.
    """

    shift: NDArray[np.float64]
    divisor: NDArray[np.float64]
    note: str

    def apply(self, x: Any) -> NDArray[np.float32]:
        """Rows (N, D) at a usual size, some at a time."""
        out = np.empty(x.shape, np.float32)
        for start in range(0, len(x), step := max(1, 2**22 // x.shape[1])):
            out[start : start + step] = (x[start : start + step] - self.shift) / self.divisor
        return out


def embedding_scale(x: Any) -> Scale | None:
    """How embeddings (N, D) come to a usual size; None where they have it, and stay as they are.

    Columns of more than `LARGE` times the size (root mean square) of most are standardized to theirs. Where most are
    very small or very large, all are divided by a power of two, which rounds nothing.

    Args:
        x: float32 (N, D).

    Example:
        >>> x = np.array([[1, 1e38, 2], [2, 3e38, 1]], dtype=np.float32)
        >>> embedding_scale(x).note
        'column 1 is more than 10,000 times as large as most: brought to their size'
        >>> embedding_scale(x[:, ::2]) is None
        True
    """
    some = x[:: -(-len(x) // SAMPLED)].astype(np.float64)
    size = np.sqrt(np.square(some).mean(0))
    if not size.any():
        return None
    most = np.quantile(size[size > 0], 0.5, method="lower")
    unit = 1.0 if USUAL[0] <= most <= USUAL[1] else 2.0 ** np.round(np.log2(most))
    large = np.flatnonzero(size > LARGE * most)
    shift, divisor = np.zeros(len(size)), np.full(len(size), unit)
    shift[large] = some[:, large].mean(0)
    spread = some[:, large].std(0)
    rounding = np.finfo(np.float32).eps * size[large]
    divisor[large] = np.where(spread > rounding, spread * unit / most, size[large])
    notes = [f"most columns are of size {most:.0e}: all brought to about 1"] if unit != 1 else []
    if len(large):
        what = f"column {large[0]} is" if len(large) == 1 else f"{len(large):,} columns, such as {large[0]}, are"
        notes.append(f"{what} more than {LARGE:,.0f} times as large as most: brought to their size")
    return Scale(shift, divisor, "; ".join(notes)) if notes else None
