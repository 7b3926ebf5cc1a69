"""The K nearest neighbours of every sample in feature space. Must not know: methods, epochs, ranks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mixnn.errors import InputError

Backend = Literal["auto", "exact", "hnsw"]
Metric = Literal["l2", "cosine"]


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@torch.no_grad()
def nearest_neighbors(
    features: Tensor,
    k: int,
    *,
    rows: slice = slice(None),
    metric: Metric = "l2",
    backend: Backend = "auto",
    chunk: int = 1024,
) -> Tensor:
    """The `k` nearest other samples, nearest first.

    Args:
        features: (N, D), floating point.
        k: 0 ≤ k < N.
        rows: the samples asked for (a rank asks for its share); all are searched.
        metric: "l2" (the paper's), or "cosine".
        backend: "exact", or "hnsw" (approximate, the paper's; needs the extra `ann`). "auto" is
            "exact": on two CPU cores it takes seconds at N = 50 000.
        chunk: rows searched at a time; memory is chunk × N.

    Returns:
        int64 (number of rows, k). A sample is never its own neighbour, also where others equal it.

    Raises:
        InputError: k is negative or not below N, or the backend is not installed.
    """
    n = len(features)
    if not 0 <= k < n:
        raise InputError(f"{k} neighbours asked of {n} samples: use 0 to {n - 1}")
    points = features.float()
    points = torch.nn.functional.normalize(points) if metric == "cosine" else points - points.mean(0)
    own = torch.arange(n, device=features.device)[rows]
    if k == 0:
        return own.new_empty(len(own), 0)
    if backend == "hnsw":
        return _hnsw(points, own, k)
    return torch.cat([_exact(points, part, k) for part in own.split(chunk)])


def _exact(points: Tensor, own: Tensor, k: int) -> Tensor:
    """Brute force. bfloat16, where it is fast, only proposes candidates; float32 ranks them."""
    scores_of = points.bfloat16() if fast_bfloat16(points.device) else points
    # The nearest point has the greatest q·x - |x|²/2; the sample itself is left out by its index.
    scores = (scores_of[own] @ scores_of.T).float() - points.square().sum(1) / 2
    scores.scatter_(1, own[:, None], -torch.inf)
    if scores_of is points:
        return scores.topk(k, dim=1).indices
    candidates = scores.topk(min(k + 8, len(points) - 1), dim=1).indices  # (n, k + 8)
    distances = (points[candidates] - points[own][:, None]).square().sum(2)
    return candidates.gather(1, distances.topk(k, dim=1, largest=False).indices)


def _hnsw(points: Tensor, own: Tensor, k: int) -> Tensor:
    """Hierarchical navigable small world graph, by faiss."""
    try:
        import faiss  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise InputError("backend 'hnsw' needs faiss: pip install 'mixnn[ann]', or use 'exact'") from error
    array = points.cpu().numpy()
    index = faiss.IndexHNSWFlat(array.shape[1], 32)
    index.hnsw.efSearch = max(64, 4 * k)
    index.add(array)
    found = torch.from_numpy(index.search(array[own.cpu().numpy()], k + 1)[1]).to(own.device)
    # The sample is nearly always found, and nearly always first: push it to the end, then cut.
    is_self = (found == own[:, None]).to(torch.int8)
    nearest = found.gather(1, is_self.argsort(dim=1, stable=True))[:, :k]
    short = (nearest < 0).any(1)  # faiss fills up with -1 where the graph search found too few
    nearest[short] = _exact(points, own[short], k)
    return nearest
