"""How tables of N samples are held: a share for each of C classes, and features. Must not know: torch, runs, files.

A small table is held whole, in float32. Of a row of a large one the largest shares are kept, in 16 bits, and what is
left is spread evenly over the other classes, never dropped: that is what the vote of a few neighbors among many
classes is, exactly; no class is ever impossible, whose logarithm or power would then decide; and rows sum to one.

Features are held in float32, very many of them in 16 bits: which samples are near in their direction stays as it was.
Of still more, wide ones, the directions in which they differ most are kept: nearly the same samples are near then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**27  # shares of a table that is held whole: half a gigabyte, and a run holds several
KEPT = 32  # shares of a row of a larger one: more than the neighbors that vote among so many samples
VALUES = 2**29  # of features that are held in float32: two gigabytes
WIDE_VALUES = 2**31  # of features that are held in full width: four gigabytes, in 16 bits
DIRECTIONS = 1024  # that wider ones are held along: of 1 280 ImageNet features recall@10 is 0.97 then
MOST = 2**16  # classes, by their number in 16 bits; how so many are labeled as each other takes 34 GB alone
CHUNK = 2**22  # values that are worked on at a time: 32 MB in float64, of which there are then several


def kept_of(samples: int, classes: int) -> int | None:
    """How many shares of each row are kept; None where the table is held whole."""
    return KEPT if samples * classes > LIMIT and KEPT + 1 < classes <= MOST else None


def row_bytes(samples: int, classes: int) -> int:
    """What a row takes."""
    kept = kept_of(samples, classes)
    return 4 * classes if kept is None else record(kept).itemsize


def feature_bytes(samples: int, width: int) -> int:
    """What each value of a sample's features takes, of `width` values."""
    return 2 if samples * width > VALUES else 4


def feature_width(samples: int, width: int) -> int:
    """How many values of a sample's features are held, out of `width`."""
    return DIRECTIONS if samples * width > WIDE_VALUES and width > DIRECTIONS else width


def chunks(samples: int, width: int) -> list[slice]:
    """All rows of so many values each, so many rows at a time that working on them takes little memory."""
    size = max(1, CHUNK // max(1, width))
    return [slice(start, min(start + size, samples)) for start in range(0, samples, size)]


def record(kept: int) -> np.dtype[np.void]:
    """A row of which `kept` shares are kept: the largest first, each with its class, and what each other class has."""
    return np.dtype([("kept", [("share", "f2"), ("class", "u2")], (kept,)), ("rest", "f4")])


class SparseRows:
    """Rows of which the largest shares are kept, read like a float32 array (N, C), some rows at a time.

    Args:
        records: (N,), see `record`.
        classes: C.

    Example:
        >>> records = np.array([([(0.5, 2), (0.25, 0)], 0.125)], dtype=record(2))
        >>> SparseRows(records, 4)[:1].tolist()
        [[0.25, 0.125, 0.5, 0.125]]
    """

    def __init__(self, records: NDArray[np.void], classes: int) -> None:
        self.records, self.classes = records, classes

    def __len__(self) -> int:
        return len(self.records)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.records), self.classes

    def __getitem__(self, rows: int | slice | NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.float32]:
        """Whole rows, (n, C), or (C,) of a single one."""
        chosen = self.records[rows]
        whole: NDArray[np.float32] = np.repeat(chosen["rest"][..., None], self.classes, -1)
        kept = chosen["kept"]
        np.put_along_axis(whole, kept["class"].astype(np.int64), kept["share"].astype(np.float32), -1)
        return whole

    def __setitem__(self, rows: slice, whole: NDArray[np.floating]) -> None:
        """Put whole rows (n, C) in: the largest shares of each, and what is left, evenly."""
        kept = self.records.dtype["kept"].shape[0]
        classes = np.argpartition(-whole, kept - 1, axis=1)[:, :kept]
        shares = np.take_along_axis(whole, classes, 1)
        order = np.argsort(-shares, axis=1, kind="stable")
        into = self.records[rows]
        into["kept"]["class"] = np.take_along_axis(classes, order, 1)
        into["kept"]["share"] = np.take_along_axis(shares, order, 1)
        into["rest"] = (1 - shares.sum(1)).clip(0) / max(1, self.classes - kept)

    def argmax(self, axis: int) -> NDArray[np.int64]:
        """The class of the largest share of each row, (N,); `axis` is 1, as that of an array would be."""
        if axis != 1:
            raise ValueError(f"axis is {axis}: rows alone are looked at")
        return self.records["kept"]["class"][:, 0].astype(np.int64)


Table = NDArray[np.float32] | SparseRows  # (N, C)


def empty_table(samples: int, classes: int) -> Table:
    """(N, C), whole or sparse, by its size; to be filled some rows at a time, as `table[rows] = whole`."""
    kept = kept_of(samples, classes)
    if kept is None:
        return np.zeros((samples, classes), np.float32)
    return SparseRows(np.zeros(samples, record(kept)), classes)


def stored(table: NDArray[Any] | SparseRows) -> NDArray[Any]:
    """As an array for a file: itself, or its records."""
    return table.records if isinstance(table, SparseRows) else table
