"""The K nearest neighbours of every sample in feature space. Must not know: methods, epochs, ranks."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

import torch
from torch import Tensor

from mixnn.errors import InputError

Backend = Literal["auto", "exact", "bfloat16", "hnsw"]
Metric = Literal["l2", "cosine"]

LARGE = 200_000  # samples from which on a CPU is better off with a graph
SCORES = 2**27  # held at a time
BLOCK = 64  # scores read at once by a maximum
SPARE = 4  # candidates beyond k that 16 bits propose: recall 0.999 and more on CIFAR-10 features
PART = 2**21  # values put into a table at a time
LINKS = 32  # of a sample in a graph, and twice as many on the lowest level
FLOAT16 = 2.0**15  # what the largest value in a graph becomes; float16 holds up to twice that


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

    Beside `features` there is one table of its size, in float32, or half of it: in 16 bits.

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
    points = _Points(features, metric)
    chunk = chunk or max(64, min(1024, SCORES // n))
    if backend == "auto":
        backend = best_backend(n, features.device)
    if backend == "hnsw":
        return _hnsw(points, own, k, chunk)
    return _brute_force(points, own, k, chunk, rounded=backend == "bfloat16")


class _Points:
    """Features as they are compared, worked out for the rows that are asked for: no second table of them all.

    They are float32, of length 1 for "cosine", and around their mean: distances do not change with the
    origin, and rounding is least there.
    """

    def __init__(self, features: Tensor, metric: Metric) -> None:
        self.features = features
        self.lengths: Tensor | None = None  # (N,)
        self.centre: Tensor = features.mean(0, dtype=torch.float32)  # (D,)
        if metric == "cosine":
            self.lengths = torch.linalg.vector_norm(features, dim=1, dtype=torch.float32).clamp_min(1e-12)
            self.centre = self.lengths.reciprocal() @ features.float() / len(features)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        x = self.features[rows].float()
        if self.lengths is not None:
            x = x / self.lengths[rows][..., None]
        return x - self.centre

    def parts(self) -> list[slice]:
        """All rows, so many at a time that little memory is needed."""
        n, width = self.features.shape
        size = max(1, PART // max(1, width))
        return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def best_backend(n: int, device: torch.device) -> Backend:
    if device.type == "cpu" and n > LARGE and importlib.util.find_spec("faiss") is not None:
        return "hnsw"
    return "bfloat16" if fast_bfloat16(device) else "exact"


def _brute_force(points: _Points, own: Tensor, k: int, chunk: int, rounded: bool) -> Tensor:
    """All distances, `chunk` rows at a time; with `rounded`, bfloat16 proposes candidates and float32 ranks them."""
    n = len(points)
    dtype = torch.bfloat16 if rounded else torch.float32
    spare = min(SPARE, n - 1 - k) if rounded else 0
    filled = n + -n % BLOCK  # up to whole blocks, with points that are never near
    table = points.features.new_zeros(filled, points.features.shape[1], dtype=dtype)
    offset = table.new_full((filled,), -torch.inf)
    for part in points.parts():
        x = points[part]
        table[part], offset[part] = x, -x.square().sum(1) / 2
    nearest = own.new_empty(len(own), k)  # what is kept in a loop breaks up the memory that it frees
    for into, rows in zip(nearest.split(chunk), own.split(chunk), strict=True):
        # The nearest point has the greatest q·x - |x|²/2; the sample itself is left out by its index.
        scores = torch.addmm(offset, table[rows], table.T)
        scores.scatter_(1, rows[:, None], -torch.inf)
        candidates = _largest(scores, k + spare)
        into.copy_(_ranked(points, rows, candidates, k) if rounded else candidates)
    return nearest


def _ranked(points: _Points, rows: Tensor, candidates: Tensor, k: int) -> Tensor:
    """The `k` of `candidates` (n, M) that are nearest to `rows` (n,) by float32, nearest first."""
    distances = (points[candidates] - points[rows][:, None]).square().sum(2)
    return candidates.gather(1, distances.topk(k, dim=1, largest=False).indices)


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


def _hnsw(points: _Points, own: Tensor, k: int, chunk: int) -> Tensor:
    """Hierarchical navigable small world graph of float16, by faiss, proposes candidates and float32 ranks them."""
    require_backend("hnsw")
    faiss = importlib.import_module("faiss")
    n, width = points.features.shape
    parts, spare = points.parts(), min(SPARE, n - 1 - k)
    scale = FLOAT16 / max(1e-12, *(points[part].abs().max().item() for part in parts))
    index = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_fp16, LINKS)
    index.hnsw.efSearch = max(64, 4 * k)
    _reserve(faiss.downcast_index(index.storage).codes, 2 * n * width)
    _reserve(index.hnsw.neighbors, n * (2 * LINKS + 2))
    for part in parts:
        index.add((scale * points[part]).cpu().numpy())
    nearest = own.new_empty(len(own), k)
    for into, rows in zip(nearest.split(chunk), own.split(chunk), strict=True):
        found = torch.from_numpy(index.search((scale * points[rows]).cpu().numpy(), k + 1 + spare)[1]).to(own.device)
        found = _ranked(points, rows, found, found.shape[1])
        # The sample itself goes to the end and is cut off, as is -1, where the search found too few.
        wrong = (found < 0) | (found == rows[:, None])
        found = found.gather(1, wrong.to(torch.int8).argsort(dim=1, stable=True))[:, :k]
        short = (found < 0).any(1)
        if short.any():
            found[short] = _brute_force(points, rows[short], k, chunk, rounded=False)
        into.copy_(found)
    return nearest


def _reserve(vector: Any, size: int) -> None:
    """Let a vector of faiss grow up to `size` without moving, which would take its memory twice."""
    vector.resize(size)
    vector.resize(0)
