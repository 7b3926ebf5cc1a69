"""Approximate search in an inverted file: samples lie in the list of their nearest center; near lists are searched.

All samples of a list are asked together, so that the search is a product of two small matrices, list by list (an
inverted file as in Jégou et al., "Product quantization for nearest neighbor search", 2011, for all samples at once).
Must not know: which search is chosen, methods, ranks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mixnn.evidence.neighbors.brute_force import (
    BLOCK,
    SPARE,
    Progress,
    compare_pairs,
    count_found,
    greatest,
    ranked,
    sampled,
    silent,
)
from mixnn.evidence.neighbors.points import Points
from mixnn.tables.topk_rows import VALUES, chunks

LIST = 512  # samples in a list, in the mean; twice as many at most
SAMPLES_PER_CENTER, ROUNDS = 32, 5  # samples for each list by which k-means places the centers, and its rounds
COMPONENTS, WIDE = 64, 4  # principal components that are searched by, of features so many times as wide
PROBES = 16  # lists that are searched, to begin with
MAX_PROBES = 128  # lists that are searched, at most
TARGET_RECALL, MIN_RECALL_GAIN = 0.95, 0.01  # recall on a sample, and what twice as many lists must bring to it
QUERY_CHUNK = 1024  # samples that are asked for at once


class InvertedFile:
    """Lists of samples around centers.

    Args:
        points: N samples.
        k: neighbors that will be asked of each.
        rounded: distances are in bfloat16, from the center of the list that is asked for: samples that lie close
            together differ by little of their values, but by much of what is left of these.

    Distances propose candidates, by 64 principal components where there are 256 dimensions or more; float32 in full
    width ranks them.
    """

    def __init__(self, points: Points, k: int, *, rounded: bool) -> None:
        n, device = len(points), points.center.device
        wide = points.width >= WIDE * COMPONENTS
        seen = points.pca_project(COMPONENTS) if wide else points
        self.points, self.k, self.probes = points, k, PROBES
        self.spare = SPARE + k if wide else SPARE
        self.dtype = torch.bfloat16 if rounded else torch.float32
        centers = kmeans_centers(seen, max(1, n // LIST), self.dtype)
        nearest = torch.empty(n, dtype=torch.int64, device=device)
        for part in chunks(*points.features.shape):
            nearest[part] = nearest_center(seen[part], centers, self.dtype)
        self.order = nearest.argsort(stable=True)  # (N,), samples list by list
        sizes = nearest.bincount(minlength=len(centers))
        splits = (sizes + 2 * LIST - 1) // (2 * LIST)  # long lists are cut
        which = torch.arange(len(centers), device=device).repeat_interleave(splits)
        place = torch.arange(len(which), device=device) - (splits.cumsum(0) - splits)[which]
        start = (sizes.cumsum(0) - sizes)[which]
        self.starts = [*(start + place * sizes[which] // splits[which]).tolist(), n]
        self.centers = centers[which]
        self.list_of = torch.empty_like(nearest)
        lengths = torch.tensor(self.starts, device=device).diff()
        self.list_of[self.order] = torch.arange(len(which), device=device).repeat_interleave(lengths)
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(n, device=device)
        self.table: Tensor | None = None  # (N, M) in that order; very many are read where they are
        self.scores = torch.empty(0, dtype=self.dtype, device=device)
        if wide or points.features.numel() <= VALUES:
            self.table = torch.empty(n, seen.width, device=device)
            for part in chunks(*points.features.shape):
                self.table[part] = seen[self.order[part]]

    def widen(self) -> None:
        """Search twice as many lists as long as a sample finds too few of its neighbors, and gains by it."""
        rows, before = sampled(len(self.points), self.order.device), 0.0
        while True:
            found, expected = count_found(self.points, rows, self.search(rows))
            recall = found / max(1, expected)
            if (
                found >= TARGET_RECALL * expected
                or recall < before + MIN_RECALL_GAIN
                or self.probes >= min(MAX_PROBES, len(self.centers))
            ):
                return
            before, self.probes = recall, 2 * self.probes

    def search(self, rows: Tensor, progress: Progress = silent) -> Tensor:
        """The k nearest others of `rows` (n,), nearest first: int64 (n, k)."""
        nearest, done = rows.new_full((len(rows), self.k), -1), 0
        for queries, lists in self._queries_by_list(rows):
            found = self._search_lists(rows[queries], lists)
            if found is not None:
                nearest[queries] = found
            done += len(queries)
            progress(done, len(rows))
        short = nearest[:, -1] < 0  # whose lists hold fewer
        if short.any():
            nearest[short] = compare_pairs(self.points, rows[short], self.k, QUERY_CHUNK)
        return nearest

    def _queries_by_list(self, rows: Tensor) -> Iterator[tuple[Tensor, list[int]]]:
        """Which of `rows` are asked together, and in which lists they are looked for, their own first."""
        by_list = self.list_of[rows].argsort(stable=True)
        lists, counts = self.list_of[rows].unique(return_counts=True)
        lengths = self.centers.square().sum(1) / 2
        for list_index, queries in zip(lists.tolist(), by_list.split(counts.tolist()), strict=True):
            distance = lengths - self.centers @ self.centers[list_index]
            distance[list_index] = -torch.inf
            probed = distance.topk(min(self.probes, len(distance)), largest=False).indices.tolist()
            yield from ((some, probed) for some in queries.split(QUERY_CHUNK))

    def _search_lists(self, rows: Tensor, probed: list[int]) -> Tensor | None:
        """The k nearest of `rows` in the lists `probed`, the first of which is theirs; None where these are too few."""
        spans = [slice(self.starts[i], self.starts[i + 1]) for i in probed]
        candidates = torch.cat([self.order[span] for span in spans])
        if len(candidates) <= self.k:
            return None
        table = self.points[candidates] if self.table is None else torch.cat([self.table[span] for span in spans])
        table -= self.centers[probed[0]]
        offset, table = (-table.square().sum(1) / 2).to(self.dtype), table.to(self.dtype)
        filled = len(table) + -len(table) % BLOCK  # up to whole blocks, with places that are never near
        if self.scores.numel() < len(rows) * filled:  # the same memory each time: new pages cost as much as a product
            self.scores = table.new_empty(len(rows) * filled)
        scores = self.scores[: len(rows) * filled].view(len(rows), filled)
        own = self.place[rows] - spans[0].start
        torch.addmm(offset, table[own], table.T, out=scores[:, : len(table)])
        scores[:, len(table) :] = -torch.inf
        scores[torch.arange(len(rows)), own] = -torch.inf
        found = greatest(scores, min(self.k + self.spare, len(table) - 1))
        return ranked(self.points, rows, candidates[found.clamp_(max=len(table) - 1)], self.k)


def kmeans_centers(points: Points, count: int, dtype: torch.dtype) -> Tensor:
    """Centers (count, D) by k-means on an even sample."""
    n, device = len(points), points.center.device
    x = points[torch.arange(0, n, max(1, n // (SAMPLES_PER_CENTER * count)), device=device)]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(device)
    centers = x[order[:count]].clone()
    for _ in range(ROUNDS):
        nearest = nearest_center(x, centers, dtype)
        sizes = nearest.bincount(minlength=count).float()
        sums = torch.zeros_like(centers).index_add_(0, nearest, x)
        centers = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp_min(1), centers)
    return centers


def nearest_center(x: Tensor, centers: Tensor, dtype: torch.dtype) -> Tensor:
    """int64 (n,) of (n, D)."""
    offset, table = (-centers.square().sum(1) / 2).to(dtype), centers.to(dtype).T
    found = [torch.addmm(offset, part.to(dtype), table).argmax(1) for part in x.split(QUERY_CHUNK)]
    return torch.cat(found) if found else x.new_empty(0, dtype=torch.int64)
