"""Tables of N samples: a probability for each of C classes, and features. Must not know: torch, runs, files.

A small table is held whole, in float32. Of a row of a large one the k largest are kept, in 16 bits, and what is
left is spread evenly over the other classes, never dropped: that is what the vote of a few neighbors among many
classes is, exactly; no class is ever impossible, whose logarithm or power would then decide; and rows sum to one.

Features are held in float32, very many of them in 16 bits: which samples are near in their direction stays as it was.
Of still more, wide ones, the directions in which they differ most are kept: nearly the same samples are near then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**27  # probabilities of a table that is held whole: half a gigabyte, and a run holds several
TOPK = 32  # probabilities of a row of a larger one: more than the neighbors that vote among so many samples
VALUES = 2**29  # of features that are held in float32: two gigabytes
WIDE_VALUES = 2**31  # of features that are held in full width: four gigabytes, in 16 bits
DIRECTIONS = 1024  # that wider ones are held along: of 1 280 ImageNet features recall@10 is 0.97 then
MAX_CLASSES = 2**16  # classes, by their number in 16 bits; how so many are labeled as each other takes 34 GB alone
CHUNK = 2**22  # values that are worked on at a time: 32 MB in float64, of which there are then several


def topk_size(samples: int, classes: int) -> int | None:
    """How many classes of each row are kept, k; None where the table is held whole."""
    return TOPK if samples * classes > LIMIT and TOPK + 1 < classes <= MAX_CLASSES else None


def row_bytes(samples: int, classes: int) -> int:
    """What a row takes."""
    k = topk_size(samples, classes)
    return 4 * classes if k is None else topk_dtype(k).itemsize


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


def topk_dtype(k: int) -> np.dtype[np.void]:
    """A row of its `k` largest probabilities, largest first, each with its class, and of what each other class has."""
    return np.dtype([("topk", [("prob", "f2"), ("class", "u2")], (k,)), ("tail_prob", "f4")])


class TopkTable:
    """Rows of their k largest probabilities, read like a float32 array (N, C), some rows at a time.

    Args:
        records: (N,), see `topk_dtype`.
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
        whole: NDArray[np.float32] = np.repeat(chosen["tail_prob"][..., None], self.classes, -1)
        topk = chosen["topk"]
        np.put_along_axis(whole, topk["class"].astype(np.int64), topk["prob"].astype(np.float32), -1)
        return whole

    def __setitem__(self, rows: slice, whole: NDArray[np.floating]) -> None:
        """Put whole rows (n, C) in: the k largest of each, and what is left, evenly."""
        k = self.records.dtype["topk"].shape[0]
        classes = np.argpartition(-whole, k - 1, axis=1)[:, :k]
        probs = np.take_along_axis(whole, classes, 1)
        order = np.argsort(-probs, axis=1, kind="stable")
        into = self.records[rows]
        into["topk"]["class"] = np.take_along_axis(classes, order, 1)
        into["topk"]["prob"] = np.take_along_axis(probs, order, 1)
        into["tail_prob"] = (1 - probs.sum(1)).clip(0) / max(1, self.classes - k)

    def prob_of(self, rows: slice, classes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Of one class in each of `rows`, (n,)."""
        some = self.records[rows]
        here = some["topk"]["class"] == classes[:, None]
        kept = np.where(here, some["topk"]["prob"], 0).sum(1, dtype=np.float32)
        return np.where(here.any(1), kept, some["tail_prob"])

    def largest_two(self, rows: slice) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """The two likeliest classes of each of `rows`, (n, 2), and their probabilities."""
        some = self.records[rows]
        classes, probs = some["topk"]["class"][:, :2].copy(), some["topk"]["prob"][:, :2].astype(np.float32)
        even = np.flatnonzero(some["tail_prob"] > probs[:, 1])  # the others are as likely, but for rounding
        for part in chunks(len(even), self.classes):
            whole = TopkTable(some[even[part]], self.classes)[:]
            classes[even[part]] = np.argsort(-whole, axis=1, kind="stable")[:, :2]
            probs[even[part]] = np.take_along_axis(whole, classes[even[part]].astype(np.int64), 1)
        return classes, probs

    def argmax(self, axis: int) -> NDArray[np.int64]:
        """The likeliest class of each row, (N,); `axis` is 1, as that of an array would be."""
        if axis != 1:
            raise ValueError(f"axis is {axis}: rows alone are looked at")
        return self.records["topk"]["class"][:, 0].astype(np.int64)


Table = NDArray[np.float32] | TopkTable  # (N, C)


def empty_table(samples: int, classes: int) -> Table:
    """(N, C), whole or sparse, by its size; to be filled some rows at a time, as `table[rows] = whole`."""
    k = topk_size(samples, classes)
    if k is None:
        return np.zeros((samples, classes), np.float32)
    return TopkTable(np.zeros(samples, topk_dtype(k)), classes)


def stored(table: NDArray[Any] | TopkTable) -> NDArray[Any]:
    """As an array for a file: itself, or its records."""
    return table.records if isinstance(table, TopkTable) else table
