"""Seconds, memory and recall of the search for the nearest neighbors of every sample.

    python benchmarks/speed/neighbors.py [--sizes 1000000] [--width 128] [--k 10] [--backends auto] [--queries 1000]

Features are drawn in clusters, by a fixed seed: CLUSTERS centers of independent normal numbers, and around each of
them samples in INTRINSIC directions of its own, normal in each, with a little noise in all: as features of a trained
network, they fill few of their dimensions. Each size and backend has a process of its own, so that its peak of memory
is its own; a small search before it loads what is loaded on first use. Recall is the share of the true K nearest that
are found, by float32 search of all samples for some queries, which is outside of clock and peak.
"""

from __future__ import annotations

from typing import Any

import torch
from measuring import SEED, Parser, count, ended_well, in_own_process, result_file, save, say, seconds_of, wait
from torch import Tensor

from mixnn.data.seeds import generator
from mixnn.errors import InputError
from mixnn.evidence.neighbors.hnsw import require_faiss
from mixnn.evidence.neighbors.search import Backend, choose, nearest_neighbors
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import peak_memory

CLUSTERS, INTRINSIC, NOISE = 100, 16, 0.1
PART = 8192  # samples drawn at a time
FEW = 2000  # samples of the search before


def clustered(n: int, width: int, device: torch.device) -> Tensor:
    """Features as described above: float32 (n, width)."""
    random = generator(SEED, n, width)
    centers = torch.randn(CLUSTERS, width, generator=random)
    directions = torch.randn(CLUSTERS, INTRINSIC, width, generator=random) / INTRINSIC**0.5
    features = torch.empty(n, width, device=device)
    for part in features.split(PART):
        own = torch.randint(CLUSTERS, (len(part),), generator=random)
        inside = torch.randn(len(part), INTRINSIC, generator=random)
        noise = NOISE * torch.randn(len(part), width, generator=random)
        for cluster in own.unique():
            there = own == cluster
            noise[there] += centers[cluster] + inside[there] @ directions[cluster]
        part.copy_(noise)
    return features


def held(device: torch.device) -> int:
    """The most bytes that this process ever held, of the device's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory() or 0


def recall(found: Tensor, true: Tensor) -> float:
    """Share of `true` (Q, K) that is among `found` (Q, K)."""
    return (found[:, :, None] == true[:, None, :]).any(1).float().mean().item()


def measure(n: int, width: int, k: int, backend: Backend, queries: int, device: torch.device) -> dict[str, Any]:
    """One search, in a process of its own."""
    nearest_neighbors(clustered(FEW, width, device), 1, backend=backend)
    features = clustered(n, width, device)
    wait(device)
    before, found = held(device), torch.empty(0)

    def search() -> None:
        nonlocal found
        found = nearest_neighbors(features, k, backend=backend)

    seconds = seconds_of(search, device)
    peak = held(device)
    rows = slice(None, None, max(1, n // queries))
    true = nearest_neighbors(features, k, rows=rows, backend="exact")
    return {
        "samples": n,
        "width": width,
        "k": k,
        "backend": backend,
        "used": choose(backend, device, n, width, k),
        "seconds": seconds,
        "peak_gb": peak / 1e9,
        "above_before_gb": (peak - before) / 1e9,
        "features_gb": features.nbytes / 1e9,
        "recall": recall(found[rows], true),
        "queries": len(true),
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=count, nargs="+", default=[1_000_000])
    parser.add_argument("--width", type=count, default=128)
    parser.add_argument("--k", type=count, default=10)
    parser.add_argument("--backends", nargs="+", choices=("auto", "exact", "bfloat16", "ivf", "hnsw"), default=["auto"])
    parser.add_argument("--queries", type=count, default=1000)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if min(given.sizes) <= given.k:
        raise InputError(f"--sizes has {min(given.sizes)}: use more than the {given.k} neighbors of --k")
    if "hnsw" in given.backends:
        require_faiss()
    device = pick_device(given.device)
    out = result_file(given.out, f"neighbors_{device.type}")
    searches = []
    for n in given.sizes:
        for backend in given.backends:
            say(f"{n} samples, {backend} …")
            searches.append(in_own_process("search", measure, n, given.width, given.k, backend, given.queries, device))
            say(f"{searches[-1]['seconds']:.1f} s, recall {searches[-1]['recall']:.4f}")
    features = {"clusters": CLUSTERS, "intrinsic": INTRINSIC, "noise": NOISE}
    save(out, {"features": features, "searches": searches}, device, "features in float32")


if __name__ == "__main__":
    ended_well(main)
