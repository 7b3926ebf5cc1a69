"""The K nearest neighbours of every sample in feature space. Must not know: methods, epochs, ranks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import compare_pairs
from mixnn.evidence.neighbors.cost_model import Backend, Choice, Task, quickest
from mixnn.evidence.neighbors.faiss_index import installed, require_faiss, search_index
from mixnn.evidence.neighbors.points import Points
from mixnn.evidence.neighbors.recall import count_found, sampled

__all__ = ["Backend", "Metric", "choose", "fast_bfloat16", "nearest_neighbors", "require_backend", "sampled_recall"]

Metric = Literal["l2", "cosine"]

SCORES = 2**27  # held at a time


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` is known to multiply bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def machine(device: torch.device) -> str:
    """What `cost_model.COSTS` calls it."""
    return f"{device.type}, bfloat16" if fast_bfloat16(device) else device.type


def require_backend(backend: Backend) -> None:
    """Raise InputError if what `backend` needs is not installed."""
    if backend in ("ivf", "hnsw"):
        require_faiss(backend)


def choose(backend: Backend, device: torch.device, n: int, width: int, k: int, rows: int) -> Choice:
    """What `backend` comes to: itself, or for "auto" what was measured to be quickest (`cost_model`).

    Args:
        device: where the features are.
        n, width: samples, and dimensions of their features.
        k: neighbours of each.
        rows: samples that they are asked of.
    """
    if backend != "auto":
        return Choice(backend)
    task = Task(n, width, k, rows)
    return quickest(task, machine(device), bf16=fast_bfloat16(device), index=installed())


@torch.no_grad()
def nearest_neighbors(
    features: Tensor,
    k: int,
    *,
    rows: slice = slice(None),
    metric: Metric = "l2",
    backend: Backend = "auto",
    reduce: int | None = None,
    chunk: int | None = None,
) -> Tensor:
    """The `k` nearest other samples, nearest first.

    All but "exact" in full width propose some candidates more than `k`, which float32 in full width ranks.

    Args:
        features: (N, D), floating point, compared as float32.
        k: 0 ≤ k < N.
        rows: the samples asked for (a rank asks for its share); all are searched.
        metric: "l2" (the paper's), or "cosine".
        backend: "exact" (all pairs, in float32); "bfloat16" (all pairs: on CIFAR-10 features recall 0.999, less where
            clusters are very tight); "ivf" (approximate: lists around centres, as many of them searched as a sample
            shows to be needed; needs the extra `ann`); "hnsw" (approximate, a graph, the paper's; likewise).
            "auto" compares all pairs up to 60 000 samples, in bfloat16 where the hardware multiplies it and that is
            quicker; above, what `choose` says.
        reduce: search by so many principal components, 1 to D; where None, all dimensions, or what "auto" chooses.
        chunk: rows searched at a time. Where None, 1024, or fewer for a very large N.

    Memory beside the features: a table of N × D × 4 bytes, of 2 with "bfloat16" and in an index (D: `reduce`); chunk
    × N × 4 of scores, of 2 with "bfloat16", where all pairs are compared; 0.2 GB of candidates.

    Returns:
        int64 (number of rows, k). A sample is never its own neighbour, also where others equal it.

    Raises:
        InputError: k is negative or not below N, `reduce` is out of its range, or the backend is not installed.
    """
    n, width = features.shape
    if not 0 <= k < n:
        raise InputError(f"{k} neighbours asked of {n} samples: use 0 to {n - 1}")
    if reduce is not None and not 1 <= reduce <= width:
        raise InputError(f"search by {reduce} principal components of {width} dimensions: use 1 to {width}")
    own = torch.arange(n, device=features.device)[rows]
    if k == 0:
        return own.new_empty(len(own), 0)
    choice = choose(backend, features.device, n, width, k, len(own))
    points = Points(features, metric)
    reduce = reduce or choice.reduce
    seen = None if reduce is None else points.reduced(reduce)
    chunk = chunk or max(64, min(1024, SCORES // n))
    if choice.backend in ("ivf", "hnsw"):
        return search_index(points, own, k, chunk, choice.backend, seen=seen)
    return compare_pairs(points, own, k, chunk, rounded=choice.backend == "bfloat16", seen=seen)


@torch.no_grad()
def sampled_recall(
    features: Tensor, found: Tensor, *, rows: slice = slice(None), metric: Metric = "l2"
) -> tuple[int, int]:
    """How many of the true neighbours were found, and how many there are, for a sample of about 200 of all N samples.

    A neighbour that is as near as a true one counts. Of the sample, those among `rows` are looked at, by float32: for
    all of them 200 × N × D products, and no table.

    Args:
        features: (N, D), as given to `nearest_neighbors`.
        found: what that returned for `rows` and `metric`, int64 (number of rows, K).
    """
    own = torch.arange(len(features), device=features.device)[rows]
    looked = torch.isin(own, sampled(len(features), own.device))
    few = found[looked]
    return count_found(Points(features, metric), own[looked], few), few.numel()
