"""The K nearest neighbours of every sample in feature space. Must not know: methods, epochs, ranks."""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from mixnn.errors import InputError

Backend = Literal["auto", "exact", "bfloat16", "hnsw"]
Metric = Literal["l2", "cosine"]

LARGE = 200_000  # samples from which on a CPU is better off with a graph
SCORES = 2**27  # held at a time
BLOCK = 64  # scores read at once by a maximum
SPARE = 4  # candidates beyond k that bfloat16 proposes: recall 0.999 and more on CIFAR-10 features


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def require_backend(backend: Backend) -> None:
    """Raise InputError if what `backend` needs is not installed."""
    if backend == "hnsw" and importlib.util.find_spec("faiss") is None:
        raise InputError("neighbour search 'hnsw' needs faiss: pip install 'mixnn[ann]', or use backend 'exact'")


@torch.no_grad()
def nearest_neighbors(
    features: Tensor,
    k: int,
    *,
    rows: slice = slice(None),
    metric: Metric = "l2",
    backend: Backend = "auto",
    chunk: int | None = None,
) -> Tensor:
    """The `k` nearest other samples, nearest first.

    Args:
        features: (N, D), floating point.
        k: 0 ≤ k < N.
        rows: the samples asked for (a rank asks for its share); all are searched.
        metric: "l2" (the paper's), or "cosine".
        backend: "exact" (brute force in float32); "bfloat16" (brute force proposes candidates in
            bfloat16, float32 ranks them: on CIFAR-10 features recall 0.999, less where clusters are
            very tight); "hnsw" (approximate, the paper's; needs the extra `ann`). "auto" is "hnsw" for
            more than 200 000 samples on a CPU, where it is installed; else "bfloat16" where the
            hardware multiplies it; else "exact".
        chunk: rows searched at a time; memory is chunk × N. Where None, 1024, or fewer for a very large N.

    Returns:
        int64 (number of rows, k). A sample is never its own neighbour, also where others equal it.

    Raises:
        InputError: k is negative or not below N, or the backend is not installed.
    """
    n = len(features)
    if not 0 <= k < n:
        raise InputError(f"{k} neighbours asked of {n} samples: use 0 to {n - 1}")
    own = torch.arange(n, device=features.device)[rows]
    if k == 0:
        return own.new_empty(len(own), 0)
    points = normalize(features.float()) if metric == "cosine" else features.float()
    if backend == "auto":
        backend = _best_backend(n, points.device)
    if backend == "hnsw":
        return _hnsw(points, own, k)
    # Distances do not change with the origin, and rounding is least around the mean.
    chunk = chunk or max(64, min(1024, SCORES // n))
    return _brute_force(points - points.mean(0), own, k, chunk, rounded=backend == "bfloat16")


def _best_backend(n: int, device: torch.device) -> Backend:
    if device.type == "cpu" and n > LARGE and importlib.util.find_spec("faiss") is not None:
        return "hnsw"
    return "bfloat16" if fast_bfloat16(device) else "exact"


def _brute_force(points: Tensor, own: Tensor, k: int, chunk: int, rounded: bool) -> Tensor:
    """All distances, `chunk` rows at a time; with `rounded`, bfloat16 proposes candidates and float32 ranks them."""
    n = len(points)
    dtype = torch.bfloat16 if rounded else torch.float32
    spare = min(SPARE, n - 1 - k) if rounded else 0
    rest = (0, -n % BLOCK)  # filled up to whole blocks with points that are never near
    table = pad(points.to(dtype), (0, 0, *rest))
    offset = pad(-points.square().sum(1) / 2, rest, value=-torch.inf).to(dtype)
    nearest = []
    for part in own.split(chunk):
        # The nearest point has the greatest q·x - |x|²/2; the sample itself is left out by its index.
        scores = torch.addmm(offset, table[part], table.T)
        scores.scatter_(1, part[:, None], -torch.inf)
        candidates = _largest(scores, k + spare)
        if rounded:
            distances = (points[candidates] - points[part][:, None]).square().sum(2)
            candidates = candidates.gather(1, distances.topk(k, dim=1, largest=False).indices)
        nearest.append(candidates)
    return torch.cat(nearest)


def _largest(scores: Tensor, k: int) -> Tensor:
    """Places of the k greatest in each row of (n, N), N a multiple of BLOCK, greatest first: int64 (n, k).

    The k greatest lie in the k blocks with the greatest maxima, so most of a row is only read once,
    by a maximum, which is several times faster than `topk`.
    """
    if k * BLOCK >= scores.shape[1]:
        return scores.topk(k, dim=1).indices
    blocks = scores.unflatten(1, (-1, BLOCK))
    best = blocks.amax(2).topk(k, dim=1).indices  # (n, k) blocks
    values = blocks.gather(1, best[:, :, None].expand(-1, -1, BLOCK)).flatten(1)
    place = values.topk(k, dim=1).indices
    places: Tensor = best.gather(1, place // BLOCK) * BLOCK + place % BLOCK
    return places


def _hnsw(points: Tensor, own: Tensor, k: int) -> Tensor:
    """Hierarchical navigable small world graph, by faiss."""
    require_backend("hnsw")
    import faiss  # type: ignore[import-untyped,unused-ignore]

    array = points.cpu().numpy()
    index = faiss.IndexHNSWFlat(array.shape[1], 32)
    index.hnsw.efSearch = max(64, 4 * k)
    index.add(array)
    found = torch.from_numpy(index.search(array[own.cpu().numpy()], k + 1)[1]).to(own.device)
    # The sample is nearly always found, and nearly always first: push it to the end, then cut.
    is_self = (found == own[:, None]).to(torch.int8)
    nearest = found.gather(1, is_self.argsort(dim=1, stable=True))[:, :k]
    short = (nearest < 0).any(1)  # faiss fills up with -1 where the graph search found too few
    if short.any():
        nearest[short] = _brute_force(points, own[short], k, max(1, SCORES // len(points)), rounded=False)
    return nearest
