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


def count_found(points: Points, rows: Tensor, found: Tensor) -> tuple[int, int]:
    """How many of the distinct neighbors of `rows` (n,) are in `found` int64 (n, k), and how many there are.

    Of neighbors at one distance, such as copies of each other, one counts, and what is a copy of the sample itself does
    not: any search finds these. A neighbor as near as the k-th one is right.
    """
    k = found.shape[1]
    if found.numel() == 0:
        return 0, 0
    true, near = (squared_distances(points, rows, some) for some in (true_nearest(points, rows, k), found))
    farthest = true.amax(1, keepdim=True)
    expected, counted = distinct(true).sum(1), (distinct(near) & (near.sort(1).values <= farthest)).sum(1)
    return int(counted.minimum(expected).sum()), int(expected.sum())


def distinct(distances: Tensor) -> Tensor:
    """bool (n, k), of each row in ascending order: neither 0 nor what stands before it."""
    ordered = distances.sort(1).values
    return torch.cat([ordered[:, :1] != 0, ordered[:, 1:] != ordered[:, :-1]], 1)


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
