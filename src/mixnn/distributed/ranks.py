"""Ranks, and tables that are the same on all of them. On one process everything here is a no-op.

Must not know: methods, data sets, files. `torchrun` and `accelerate launch` both set the variables read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from mixnn.distributed.shutdown import LOST, STOPPED, said_once, saying_when_stopped
from mixnn.errors import InputError, LostError, ToldError

MEETING = timedelta(minutes=10)  # until all processes have started
# How long a rank waits for another. A dead one is noticed at once: its connections close, or the launcher ends the
# others. This is for one that hangs, and has to be longer than what one rank does alone: reading every image, where
# another machine has them in its cache already, or writing the report of a large data set. The defaults, 10 minutes
# with NCCL and 30 with gloo, end healthy runs there.
PATIENCE = timedelta(hours=3)


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def world_size() -> int:
    return dist.get_world_size() if active() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes of this launch, if there are any, and leave them at the end.

    Raises:
        InputError: the launch does not say where the others are.
        ToldError: an InputError of one of them; standard error has it already, once on each machine.
        LostError: another process is gone, likewise.
    """
    if active() or int(os.environ.get("WORLD_SIZE", "1")) == 1:  # Ray Train, for one, has joined them
        yield
        barrier()
        return
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise InputError(
            f"WORLD_SIZE is set, but {' and '.join(missing)} not: start with torchrun, or unset WORLD_SIZE"
        )
    store, rank, world_size = next(rendezvous("env://", timeout=MEETING))
    store.set_timeout(PATIENCE)
    # torchrun keeps one store when it starts the processes again: without this they would find addresses of the dead.
    attempt = f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    store = dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]  # public, says torch's documentation
    say = said_once(store)
    with saying_when_stopped(lambda: say(STOPPED)):
        try:
            backend = "nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=PATIENCE)
            yield
            dist.barrier()  # a rank that leaves while another still works may abort
        except InputError as error:
            say(str(error))
            raise ToldError(str(error)) from error
        except RuntimeError as error:
            if not is_connection_loss(error):
                raise
            say(LOST)
            raise LostError(LOST) from error
    # Only where all went well: NCCL may wait here for a rank that is gone, and nobody would see this one end.
    dist.destroy_process_group()


def is_connection_loss(error: RuntimeError) -> bool:
    """Whether another process caused `error`: gloo, alone among them, has no class of error for it."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def shard(n: int) -> slice:
    """The contiguous part of `n` rows that this rank works on; parts differ by one row at most."""
    size, rest = divmod(n, world_size())
    start = rank() * size + min(rank(), rest)
    return slice(start, start + size + (rank() < rest))


def rank_places(size: int) -> Tensor:
    """Which places of a batch are this rank's; the first come twice where ranks do not divide it evenly."""
    ranks = world_size()
    places = torch.arange(-(-size // ranks) * ranks) % size
    return places[rank() :: ranks]


def gather_rows(rows: Tensor) -> Tensor:
    """All ranks' rows, in rank order: (n_rank, …) -> (Σ n_rank, …), the same on every rank.

    One table is all the memory this takes: what each rank sends is received where it belongs.
    """
    if not active():
        return rows
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(world_size())]
    dist.all_gather(counts, count)
    sizes = [int(c) for c in counts]
    table = rows.new_empty(sum(sizes), *rows.shape[1:])
    for sender, part in enumerate(table.split(sizes)):
        if sender == rank():
            part.copy_(rows)
        if len(part):
            dist.broadcast(part, sender)
    return table


def all_reduce_sum(x: Tensor) -> Tensor:
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
            buffer.copy_(all_reduce_sum(buffer.clone()) / world_size())


def broadcast_from_rank0(x: Tensor) -> Tensor:
    """`x`, filled with what rank 0 has: machines may have worked out different ones."""
    if active():
        dist.broadcast(x, 0)
    return x


def barrier() -> None:
    """Wait until every rank is here."""
    if active():
        dist.barrier()
