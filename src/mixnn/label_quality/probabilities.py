"""Rows of probabilities. Must not know: what they are of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixnn.tables.topk_rows import TOPK, Table, TopkTable, chunks

FloatArray = NDArray[np.floating]
TINY = float(np.finfo(np.float64).tiny)


def normalized(rows: FloatArray) -> FloatArray:
    """Each row divided by its sum."""
    probs: FloatArray = rows / rows.sum(1, keepdims=True)
    return probs


def probability_of(table: Table, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of one label a row, (N,)."""
    found = np.zeros(len(labels))
    if isinstance(table, TopkTable):
        for rows in chunks(len(table), TOPK):
            found[rows] = table.prob_of(rows, labels[rows])
        return found
    for rows in chunks(*table.shape):
        found[rows] = np.take_along_axis(table[rows], labels[rows, None], 1)[:, 0]
    return found


def largest_two(
    table: Table,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """The largest and the second largest of each row: places (N,) and values (N,) of both."""
    if isinstance(table, TopkTable):
        pairs = [table.largest_two(rows) for rows in chunks(len(table), TOPK)]
        places = np.concatenate([classes for classes, _ in pairs]).astype(np.int64)
        values = np.concatenate([probs for _, probs in pairs]).astype(np.float64)
        return places[:, 0], values[:, 0], places[:, 1], values[:, 1]
    found = []
    for part in chunks(*table.shape):
        p = table[part].copy()
        rows = np.arange(len(p))
        first = p.argmax(1)
        value = p[rows, first]
        p[rows, first] = -1
        second = p.argmax(1)
        found.append((first, value.astype(np.float64), second, p[rows, second].clip(0).astype(np.float64)))
    first, value, second, next_value = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, value, second, next_value
