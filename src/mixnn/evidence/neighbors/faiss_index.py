"""Approximate search, by an index of faiss's. Must not know: which search is chosen, methods, ranks."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

import torch
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import compare_pairs, ranked, spare_candidates
from mixnn.evidence.neighbors.points import Points
from mixnn.evidence.neighbors.recall import count_found, sampled

Kind = Literal["ivf", "hnsw"]

FLOAT16 = 2.0**15  # what the largest value in an index becomes; float16 holds up to twice that
LINKS = 32  # of a sample in a graph, and twice as many on the lowest level
TAUGHT, ROUNDS = 64, 5  # samples per list by which k-means places the lists, and its rounds
PROBES = 8  # lists that are searched, to begin with
MOST, FEW = 4, 32  # one list in so many is searched at most: all pairs would cost no more; where there are few, so many
ENOUGH, GAIN = 0.95, 0.01  # recall on a sample, and what twice as many lists must bring to it


def installed() -> bool:
    return importlib.util.find_spec("faiss") is not None


def search_index(points: Points, own: Tensor, k: int, chunk: int, kind: Kind, *, seen: Points | None = None) -> Tensor:
    """An index of `seen`, the points or the same with fewer dimensions, proposes, and float32 in full width ranks.

    Returns:
        int64 (n, k) of the rows `own` (n,).

    Raises:
        InputError: faiss is not installed.
    """
    index = Index(kind, points, seen, k)
    if kind == "ivf":
        index.widen()
    return index.search(own, chunk)


def require_faiss(kind: str) -> None:
    """Raise InputError where it is not installed."""
    if not installed():
        raise InputError(f"neighbour search '{kind}' needs faiss: pip install 'mixnn[ann]', or use backend 'exact'")


class Index:
    """All samples in float16, in an order that lets a search leave most of them out.

    "hnsw" is a hierarchical navigable small world graph. "ivf" is an inverted file: 2 √N lists, each of the samples
    nearest to its centre; the lists of the nearest centres are searched.
    """

    def __init__(self, kind: Kind, points: Points, seen: Points | None, k: int) -> None:
        require_faiss(kind)
        self.points, self.fewer, self.seen, self.k = points, seen, seen or points, k
        self.spare = spare_candidates(len(points), k, reduced=seen is not None)
        parts = points.parts()
        self.scale = FLOAT16 / max(1e-12, *(self.seen[part].abs().max().item() for part in parts))
        self.index = self._lists() if kind == "ivf" else self._graph()
        for part in parts:
            self.index.add(self._values(part))

    def _graph(self) -> Any:
        faiss = importlib.import_module("faiss")
        n, width = len(self.points), self.seen.width
        index = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_fp16, LINKS)
        index.hnsw.efSearch = max(64, 4 * self.k)
        _reserve(faiss.downcast_index(index.storage).codes, 2 * n * width)
        _reserve(index.hnsw.neighbors, n * (2 * LINKS + 2))
        return index

    def _lists(self) -> Any:
        faiss = importlib.import_module("faiss")
        n, width = len(self.points), self.seen.width
        lists = max(1, min(round(2 * n**0.5), n // TAUGHT))
        index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(width), width, lists, faiss.ScalarQuantizer.QT_fp16)
        index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = ROUNDS, TAUGHT, 1
        index.train(self._values(torch.arange(0, n, max(1, n // (TAUGHT * lists)), device=self.points.centre.device)))
        index.nprobe = min(PROBES, lists)
        return index

    def widen(self) -> None:
        """Search twice as many lists as long as a sample finds too few of its neighbours, and gains by it."""
        rows, before = sampled(len(self.points), self.points.centre.device), 0.0
        while True:
            found = self.search(rows, len(rows))
            recall = count_found(self.points, rows, found) / found.numel()
            most = max(FEW, self.index.nlist // MOST)
            if recall >= ENOUGH or recall < before + GAIN or 2 * self.index.nprobe > most:
                return
            before, self.index.nprobe = recall, 2 * self.index.nprobe

    def search(self, own: Tensor, chunk: int) -> Tensor:
        k, nearest = self.k, own.new_empty(len(own), self.k)
        for into, rows in zip(nearest.split(chunk), own.split(chunk), strict=True):
            found = torch.from_numpy(self.index.search(self._values(rows), k + 1 + self.spare)[1]).to(own.device)
            found = ranked(self.points, rows, found, found.shape[1])
            # The sample itself goes to the end and is cut off, as is -1, where the search found too few.
            wrong = (found < 0) | (found == rows[:, None])
            found = found.gather(1, wrong.to(torch.int8).argsort(dim=1, stable=True))[:, :k]
            into.copy_(found)
        short = (nearest < 0).any(1)
        if short.any():
            nearest[short] = compare_pairs(self.points, own[short], k, chunk, seen=self.fewer)
        return nearest

    def _values(self, rows: slice | Tensor) -> Any:
        return (self.scale * self.seen[rows]).nan_to_num(0, 0, 0).cpu().numpy()


def _reserve(vector: Any, size: int) -> None:
    """Let a vector of faiss grow up to `size` without moving, which would take its memory twice."""
    vector.resize(size)
    vector.resize(0)
