"""The one loop. Must not know: any concrete method, files, the screen."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Sequence
from operator import length_hint
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mixnn.data.batches import TrainData
from mixnn.data.seeds import derived_seed
from mixnn.distributed.ranks import active, all_reduce_sum, rank
from mixnn.errors import InputError
from mixnn.methods.base import Method
from mixnn.training.schedule import LinearToZero

STEPS = 2  # purpose of a derived seed: dropout, random partners

# Tables and batch-norm statistics agree once an epoch, in `Method.end_epoch`; sending them at every step would be
# a waste. The option has a new name since torch 2.13.
NEW_NAME = "forward_sync_buffers" in inspect.signature(DistributedDataParallel.__init__).parameters
NO_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if NEW_NAME else "broadcast_buffers": False}


class Observer(Protocol):
    """Watches training; nothing it does flows back."""

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None: ...

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None: ...


def seed_epoch(seed: int, epoch: int) -> None:
    """Start the global random numbers of an epoch, other ones on each rank."""
    torch.manual_seed(derived_seed(seed, epoch, rank(), STEPS))


def fit(
    method: Method,
    data: TrainData,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    *,
    epochs: int,
    start: int = 0,
    seed: int = 0,
    observers: Sequence[Observer] = (),
) -> None:
    """Train `method` from epoch `start` up to, not including, `epochs`.

    The lines without observers and clocks are all there is to it; `examples/own_loop.py` has them bare.

    Raises:
        InputError: the loss is no longer finite; the observers have not seen that epoch.
    """
    for epoch in range(start, epochs):
        # Anew each epoch: after its first step DDP sums in another order, which a resumed run would not.
        step: nn.Module = DistributedDataParallel(method, **NO_BUFFERS) if active() else method
        began = time.perf_counter()
        seed_epoch(seed, epoch)
        method.train()
        method.begin_epoch(epoch, data)
        prepared = time.perf_counter()
        losses, seen = torch.zeros((), device=data.labels.device), 0  # Σ loss · samples, Σ samples
        batches = method.batches(epoch, data)
        steps = length_hint(batches)  # of a generator: 0
        for batch in batches:
            if steps and isinstance(scheduler, LinearToZero):
                scheduler.within_epoch(1 - (length_hint(batches) + 1) / steps)
            loss = step(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            samples = len(batch.index)
            losses += loss.detach() * samples
            seen += samples
            for observer in observers:
                observer.step_done(epoch, loss.detach(), samples)
            del batch  # so that the next one takes its memory, which is still near the processor
        method.end_epoch()
        scheduler.step()
        mean_loss = (all_reduce_sum(losses) / all_reduce_sum(torch.full_like(losses, seen))).item()
        if not math.isfinite(mean_loss):  # before a checkpoint takes it in
            raise InputError(f"training diverged in epoch {epoch + 1} (loss {mean_loss}): use a lower --lr")
        seconds = {"begin": prepared - began, "train": time.perf_counter() - prepared}
        for observer in observers:
            observer.epoch_done(epoch, mean_loss, seconds | method.seconds)
