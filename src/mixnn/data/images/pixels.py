"""Pixels by row, wherever they are, on the device that trains. Must not know: labels, epochs, files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mixnn.data.augment.crop import pick
from mixnn.data.augment.policies import Augmentation, augment, augment_rows
from mixnn.data.images.decode_pool import Stream
from mixnn.errors import LocalError

STEPS = 64  # whose numbers are copied to a device at a time


class Wanted(NamedTuple):
    """Samples for one step.

    Attributes:
        rows: int64 (B,), on the CPU.
        draws: float32 (B, number of draws), on the CPU, for augmentation; None for none.
    """

    rows: Tensor
    draws: Tensor | None = None


class Pixels(Protocol):
    """N images, or embeddings."""

    def __len__(self) -> int: ...

    def get(self, plan: Sequence[Wanted], policy: Augmentation) -> Iterator[Tensor]:
        """Each entry of `plan` in turn, augmented: uint8 (B, 3, size, size), or float32 (B, D)."""


class TensorPixels:
    """Pixels of a tensor: on the device, in memory, or in a file that is mapped into memory.

    Args:
        tensor: uint8 (M, 3, S, S), channels last in memory; or float32 (M, D), which is never augmented.
        device: where they are wanted.
        size: pixels wanted of the S.
        rows: int64 (N,), which of the tensor; all where None.
    """

    def __init__(self, tensor: Tensor, device: torch.device, size: int, rows: Tensor | None = None) -> None:
        self.tensor, self.device, self.size = tensor, device, size
        self.rows = torch.arange(len(tensor)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, plan: Sequence[Wanted], policy: Augmentation) -> Iterator[Tensor]:
        places = at_once((self.rows[wanted.rows] for wanted in plan), self.tensor.device)
        if self.tensor.dim() == 2:
            yield from (moved(self.tensor[place], self.device) for place in places)
            return
        for place, draws in zip(places, draws_at_once(plan, self.device), strict=True):
            if self.tensor.device == self.device:
                yield augment_rows(policy, self.tensor, place, draws, self.size)
            else:
                yield augment(policy, moved(pick(self.tensor, place), self.device), draws, self.size)


class StreamPixels:
    """Pixels decoded at each use.

    Args:
        stream: decodes.
        device: where they are wanted.
        size: pixels wanted of what the stream gives.
        rows: int64 (N,), which of the stream.
        names: N, for messages.
    """

    def __init__(self, stream: Stream, device: torch.device, size: int, rows: Tensor, names: Sequence[str]) -> None:
        self.stream, self.device, self.size, self.rows, self.names = stream, device, size, rows, names

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, plan: Sequence[Wanted], policy: Augmentation) -> Iterator[Tensor]:
        """See `Pixels`.

        Raises:
            LocalError: an image that could be read before training now cannot.
        """
        decoded = self.stream.batches([self.rows[rows].numpy() for rows, _ in plan])
        for (rows, _), draws, (pixels, bad) in zip(plan, draws_at_once(plan, self.device), decoded, strict=True):
            for place, reason in bad.items():
                name = self.names[int(rows[place])]
                raise LocalError(f"image {name} could be read before, and now {reason}: restore it, then --resume")
            images = moved(torch.from_numpy(pixels), self.device).permute(0, 3, 1, 2)
            yield augment(policy, images, draws, self.size)


def at_once(parts: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """`parts`, a step's each and on the CPU, on `device`: many by one copy."""
    if device.type == "cpu":
        yield from parts
        return
    parts = iter(parts)
    while some := list(islice(parts, STEPS)):
        yield from moved(torch.cat(some), device).split([len(part) for part in some])


def draws_at_once(plan: Sequence[Wanted], device: torch.device) -> Iterable[Tensor | None]:
    """The draws of each step on `device`."""
    draws = [wanted.draws for wanted in plan if wanted.draws is not None]
    return at_once(draws, device) if draws else [None] * len(plan)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; a GPU fetches it from pinned memory, and the program goes on meanwhile."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
