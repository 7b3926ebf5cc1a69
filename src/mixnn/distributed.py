"""Ranks, and tables that are the same on all of them. On one process everything here is a no-op.

Must not know: methods, data sets, files. `torchrun` and `accelerate launch` both set the variables read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mixnn.errors import InputError


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def world_size() -> int:
    return dist.get_world_size() if active() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes of this launch, if there are any, and leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if "RANK" not in os.environ:
        raise InputError("WORLD_SIZE is set, but RANK is not: start with torchrun, or unset WORLD_SIZE")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
        dist.barrier()  # a rank that leaves while another still works may abort
    finally:
        dist.destroy_process_group()


def shard(n: int) -> slice:
    """The contiguous part of `n` rows that this rank works on; parts differ by one row at most."""
    size, rest = divmod(n, world_size())
    start = rank() * size + min(rank(), rest)
    return slice(start, start + size + (rank() < rest))


def gather_rows(rows: Tensor) -> Tensor:
    """All ranks' rows, in rank order: (n_rank, …) -> (Σ n_rank, …), the same on every rank."""
    if not active():
        return rows
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(world_size())]
    dist.all_gather(counts, count)
    sizes = [int(c) for c in counts]
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])  # all_gather wants equal shapes
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def total(x: Tensor) -> Tensor:
    """The sum of `x` over all ranks."""
    if active():
        dist.all_reduce(x)
    return x


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Make the floating-point buffers (batch-norm statistics) the mean over ranks.

    Each rank sees its own half of every batch, so their statistics drift apart; predictions that
    feed tables must not.
    """
    if not active():
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.copy_(total(buffer.clone()) / world_size())


def barrier() -> None:
    """Wait until every rank is here."""
    if active():
        dist.barrier()
