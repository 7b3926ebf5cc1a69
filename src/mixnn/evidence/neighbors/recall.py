"""How much of the truth a search found, on a sample. Must not know: how it searched, methods, ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from mixnn.evidence.neighbors.brute_force import squared_distances
from mixnn.evidence.neighbors.points import Points
from mixnn.tables.topk_rows import chunks

SAMPLE = 200  # samples, evenly spread, whose neighbors are searched exactly


def sampled(n: int, device: torch.device) -> Tensor:
    """Which samples are looked at, of `n`: int64, ascending."""
    return torch.arange(0, n, -(-n // SAMPLE), device=device)


def count_found(points: Points, rows: Tensor, found: Tensor) -> int:
    """How many of `found` int64 (n, k) are among the k nearest of `rows` (n,); one as near as the k-th of these is."""
    k = found.shape[1]
    if found.numel() == 0:
        return 0
    farthest = squared_distances(points, rows, true_nearest(points, rows, k)).amax(1, keepdim=True)
    return int((squared_distances(points, rows, found) <= farthest).sum())


def true_nearest(points: Points, rows: Tensor, k: int) -> Tensor:
    """The `k` nearest others of a few `rows` (n,), by float32, without a table of all: int64 (n, k)."""
    x = points[rows]
    best, nearest = x.new_empty(len(rows), 0), rows.new_empty(len(rows), 0)
    for part in chunks(*points.features.shape):
        y, candidates = points[part], torch.arange(part.start, part.stop, device=rows.device)
        scores = torch.addmm(-y.square().sum(1) / 2, x, y.T)  # see `compare_pairs`
        scores.masked_fill_(rows[:, None] == candidates, -torch.inf)
        best, nearest = torch.cat([best, scores], 1), torch.cat([nearest, candidates.expand(len(rows), -1)], 1)
        best, place = best.topk(min(k, best.shape[1]), dim=1)
        nearest = nearest.gather(1, place)
    return nearest
