"""Approximate search in a graph of faiss's. Must not know: which search is chosen, methods, ranks."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import SPARE, Progress, compare_pairs, ranked, silent
from mixnn.evidence.neighbors.points import Points
from mixnn.tables.topk_rows import chunks

FLOAT16 = 2.0**15  # what the largest value in the graph becomes; float16 holds up to twice that
LINKS = 32  # of a sample, and twice as many on the lowest level


def require_faiss() -> None:
    """Raise InputError where it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        raise InputError(
            "neighbor search 'hnsw' needs faiss: pip install 'mixnn[ann]', or use backend 'ivf', which needs nothing"
        )


class Graph:
    """A hierarchical navigable small world graph (Malkov and Yashunin, arXiv 1603.09320) of all samples, in float16.

    Raises:
        InputError: faiss is not installed.
    """

    def __init__(self, points: Points, k: int) -> None:
        require_faiss()
        faiss = importlib.import_module("faiss")
        self.points, self.k = points, k
        parts = chunks(*points.features.shape)
        self.scale = FLOAT16 / max(1e-12, *(points[part].abs().max().item() for part in parts))
        self.index = faiss.IndexHNSWSQ(points.width, faiss.ScalarQuantizer.QT_fp16, LINKS)
        self.index.hnsw.efSearch = max(64, 4 * k)
        _reserve(faiss.downcast_index(self.index.storage).codes, 2 * len(points) * points.width)
        _reserve(self.index.hnsw.neighbors, len(points) * (2 * LINKS + 2))
        for part in parts:
            self.index.add(self._values(part))

    def search(self, queries: Tensor, chunk: int, progress: Progress = silent) -> Tensor:
        """The graph proposes, and float32 ranks: int64 (n, k) of the rows `queries` (n,), nearest first."""
        n, k, nearest = len(self.points), self.k, queries.new_empty(len(queries), self.k)
        done = 0
        for into, rows in zip(nearest.split(chunk), queries.split(chunk), strict=True):
            found = self.index.search(self._values(rows), k + 1 + min(SPARE, n - 1 - k))[1]
            candidates = torch.from_numpy(found).to(queries.device)
            candidates = ranked(self.points, rows, candidates, candidates.shape[1])
            # The sample itself goes to the end and is cut off, as is -1, where the search found too few.
            wrong = (candidates < 0) | (candidates == rows[:, None])
            into.copy_(candidates.gather(1, wrong.to(torch.int8).argsort(dim=1, stable=True))[:, :k])
            done += len(rows)
            progress(done, len(queries))
        short = (nearest < 0).any(1)
        if short.any():
            nearest[short] = compare_pairs(self.points, queries[short], k, chunk)
        return nearest

    def _values(self, rows: slice | Tensor) -> Any:
        return (self.scale * self.points[rows]).nan_to_num(0, 0, 0).cpu().numpy()


def _reserve(vector: Any, size: int) -> None:
    """Let a vector of faiss grow up to `size` without moving, which would take its memory twice."""
    vector.resize(size)
    vector.resize(0)
