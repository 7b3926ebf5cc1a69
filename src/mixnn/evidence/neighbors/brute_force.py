"""Search by comparing all pairs, and how much of the truth another search found. Must not know: methods, ranks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mixnn.evidence.neighbors.points import Points
from mixnn.tables.topk_rows import chunks

BLOCK = 64  # scores read at once by a maximum
SPARE = 4  # candidates beyond k that 16 bits propose: recall 0.999 and more on CIFAR-10 features
RANKED = 32  # candidates of 16 bits that float32 puts in order: farther ones differ by less than counts
Progress = Callable[[int, int], None]  # is told how many samples are done, and of how many
SAMPLE = 200  # samples, evenly spread, whose neighbors are searched exactly
GATHERED, ON_CPU = 2**26, 2**20  # values of candidates that are held at a time; on a CPU, what stays near it


def silent(done: int, total: int) -> None:
    """Where nobody wants to be told."""


def compare_pairs(
    points: Points, queries: Tensor, k: int, chunk: int, *, rounded: bool = False, progress: Progress = silent
) -> Tensor:
    """All distances, `chunk` rows at a time: int64 (n, k) of the rows `queries` (n,).

    With `rounded`, distances in bfloat16 propose a few candidates more than k, and float32 ranks them.
    """
    n = len(points)
    spare = min(SPARE, n - 1 - k) if rounded else 0
    filled = n + -n % BLOCK  # up to whole blocks, with points that are never near
    table = points.features.new_zeros(filled, points.width, dtype=torch.bfloat16 if rounded else torch.float32)
    offset = table.new_full((filled,), -torch.inf)
    for part in chunks(*points.features.shape):
        x = points[part]
        table[part], offset[part] = x, -x.square().sum(1) / 2
    nearest = queries.new_empty(len(queries), k)  # what is kept in a loop breaks up the memory that it frees
    done = 0
    for into, rows in zip(nearest.split(chunk), queries.split(chunk), strict=True):
        # The nearest point has the greatest q·x - |x|²/2; the sample itself is left out by its index.
        scores = torch.addmm(offset, table[rows], table.T)
        scores[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        # Where a network diverged all scores are NaN, and what only fills up blocks may be among them.
        candidates = greatest(scores, k + spare).clamp_(max=n - 1)
        into.copy_(ranked(points, rows, candidates, k, RANKED) if rounded else candidates)
        done += len(rows)
        progress(done, len(queries))
    return nearest


def ranked(points: Points, rows: Tensor, candidates: Tensor, k: int, first: int | None = None) -> Tensor:
    """The `k` of `candidates` (n, M) that are nearest to `rows` (n,) by float32, nearest first.

    Args:
        first: only so many are put in order, the others follow as they were proposed.
    """
    if first is None or first >= candidates.shape[1]:
        distances = squared_distances(points, rows, candidates)
        return candidates.gather(1, distances.topk(k, dim=1, largest=False).indices)
    order = squared_distances(points, rows, candidates[:, :first]).argsort(1)
    return torch.cat([candidates.gather(1, order), candidates[:, first:]], 1)[:, :k]


def squared_distances(points: Points, rows: Tensor, candidates: Tensor) -> Tensor:
    """Of each of `rows` (n,) to its `candidates` (n, M): float32 (n, M)."""
    held = ON_CPU if rows.device.type == "cpu" else GATHERED
    size = max(1, held // max(1, candidates.shape[1] * points.width))
    chunks = zip(rows.split(size), candidates.split(size), strict=True)
    return torch.cat([(points[others] - points[queries][:, None]).square().sum(2) for queries, others in chunks])


def greatest(scores: Tensor, k: int) -> Tensor:
    """Places of the k greatest in each row of (n, N), N a multiple of BLOCK, greatest first: int64 (n, k).

    The k greatest lie in the k blocks with the greatest maxima, so most of a row is only read once,
    by a maximum, which is several times faster than `topk`.
    """
    if k * BLOCK >= scores.shape[1]:
        return scores.topk(k, dim=1).indices
    blocks = scores.unflatten(1, (-1, BLOCK))
    best = blocks.amax(2).topk(k, dim=1).indices  # (n, k) blocks
    rows = torch.arange(len(blocks), device=blocks.device)[:, None] * blocks.shape[1]
    values = scores.view(-1, BLOCK).index_select(0, (rows + best).flatten()).view(len(blocks), -1)
    place = values.topk(k, dim=1).indices
    places: Tensor = best.gather(1, place // BLOCK) * BLOCK + place % BLOCK
    return places


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
