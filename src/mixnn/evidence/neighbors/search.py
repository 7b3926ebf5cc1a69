"""The K nearest neighbors of every sample in feature space. Must not know: methods, epochs, ranks."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

import torch
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import Progress, compare_pairs, count_found, sampled, silent
from mixnn.evidence.neighbors.hnsw import Graph
from mixnn.evidence.neighbors.inverted_file import InvertedFile
from mixnn.evidence.neighbors.points import Points

Metric = Literal["l2", "cosine"]
Backend = Literal["auto", "exact", "bfloat16", "ivf", "hnsw"]

# What searches an inverted file for rows (n,) that a caller asks for; `mixnn.shards` has one for several machines.
Searcher = Callable[[InvertedFile, Tensor, Progress], Tensor]
SEARCHER: ContextVar[Searcher] = ContextVar("searcher", default=InvertedFile.search)

SCORES = 2**27  # held at a time
ALL_PAIRS = 60_000  # samples up to which all pairs are compared: seconds beside an epoch's training, and no misses
MIN_WIDTH, MIN_SAMPLES_PER_K = 256, 200  # dimensions, and samples for each of K, from which on 16 bits are quicker


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` is known to multiply bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def choose(backend: Backend, device: torch.device, n: int, width: int, k: int) -> Backend:
    """What `backend` comes to: itself, or for "auto" all pairs up to 60 000 samples, and an inverted file above.

    Args:
        device: where the features are.
        n, width: samples, and dimensions of their features.
        k: neighbors of each.
    """
    if backend != "auto":
        return backend
    if n > ALL_PAIRS:
        return "ivf"
    # In bfloat16 the products are three times as fast, but candidates have to be ranked afterwards.
    worth = width >= MIN_WIDTH and n >= MIN_SAMPLES_PER_K * k
    return "bfloat16" if worth and fast_bfloat16(device) else "exact"


@torch.no_grad()
def nearest_neighbors(
    features: Tensor,
    k: int,
    *,
    rows: slice = slice(None),
    metric: Metric = "l2",
    backend: Backend = "auto",
    chunk: int | None = None,
    progress: Progress = silent,
) -> Tensor:
    """The `k` nearest other samples, nearest first.

    All but "exact" propose some candidates more than `k`, which float32 ranks.

    Args:
        features: (N, D), floating point, compared as float32.
        k: 0 ≤ k < N.
        rows: the samples asked for (a rank asks for its share); all are searched.
        metric: "l2" (the paper's), or "cosine".
        backend: "exact" (all pairs, in float32); "bfloat16" (all pairs: on CIFAR-10 features recall 0.999, less where
            clusters are very tight); "ivf" (approximate, an inverted file: lists around centers, as many of them
            searched as a sample shows to be needed); "hnsw" (approximate, a graph, the paper's; needs the extra
            `ann`). For "auto" see `choose`.
        chunk: rows searched at a time. Where None, 1024, or fewer for a very large N.
        progress: is told how many samples are done, and of how many.

    Memory beside the features: a table of N × D × 4 bytes, of 2 in 16 bits; chunk × N × 4 of scores where all pairs
    are compared; 0.2 GB of candidates.

    Returns:
        int64 (number of rows, k). A sample is never its own neighbor, also where others equal it.

    Raises:
        InputError: k is negative or not below N, or the backend is not installed.

    Example:
        >>> nearest_neighbors(torch.tensor([[0.0], [1.0], [3.0]]), 1).tolist()
        [[1], [0], [1]]
    """
    n, width = features.shape
    if not 0 <= k < n:
        raise InputError(f"{k} neighbors asked of {n} samples: use 0 to {n - 1}")
    row_indices = torch.arange(n, device=features.device)[rows]
    if k == 0:
        return row_indices.new_empty(len(row_indices), 0)
    choice = choose(backend, features.device, n, width, k)
    points = Points(features, metric)
    if choice == "ivf":
        lists = InvertedFile(points, k, rounded=n > ALL_PAIRS and fast_bfloat16(features.device))
        lists.widen()
        return SEARCHER.get()(lists, row_indices, progress)
    chunk = chunk or max(64, min(1024, SCORES // n))
    if choice == "hnsw":
        return Graph(points, k).search(row_indices, chunk, progress)
    return compare_pairs(points, row_indices, k, chunk, rounded=choice == "bfloat16", progress=progress)


@torch.no_grad()
def sampled_recall(
    features: Tensor, found: Tensor, *, rows: slice = slice(None), metric: Metric = "l2"
) -> tuple[int, int]:
    """How many of the distinct neighbors were found, and how many there are, for about 200 of all N samples.

    For copies see `count_found`; a neighbor that is as near as a true one is right. Of these samples, those among
    `rows` are looked at, by float32: for all of them 200 × N × D products, and no table.

    Args:
        features: (N, D), as given to `nearest_neighbors`.
        found: what that returned for `rows` and `metric`, int64 (number of rows, K).
    """
    row_indices = torch.arange(len(features), device=features.device)[rows]
    is_sampled = torch.isin(row_indices, sampled(len(features), row_indices.device))
    return count_found(Points(features, metric), row_indices[is_sampled], found[is_sampled])
