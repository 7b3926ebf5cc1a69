"""Images decoded ahead of use, in processes of their own. Must not know: labels, epochs, augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mixnn.data.images.decoder import BadImage, decode, no_warnings
from mixnn.data.images.encoded import EncodedImages
from mixnn.errors import InputError, LocalError
from mixnn.utils.memory import keep_freed_memory

PIECE = 2**22  # bytes of pixels that a process decodes in one go
AHEAD = 3  # pieces that each process decodes before they are asked for


class Decoded(NamedTuple):
    """Some images.

    Attributes:
        pixels: uint8 (n, S, S, 3); zeros where an image is bad.
        bad: place in `pixels` -> reason.
    """

    pixels: Tensor
    bad: dict[int, str]


class Stream:
    """Decodes `images` at `size` pixels, batch by batch; the processes stay until the stream is dropped.

    They write into memory that all share and that is used again and again: to be given new memory
    costs a good part of what decoding a small photo does.

    Args:
        images: N, encoded.
        size: S, pixels.
        workers: processes; 0 decodes where the pixels are asked for.

    Raises:
        InputError: there is too little shared memory for so many processes.
    """

    def __init__(self, images: EncodedImages, size: int, workers: int) -> None:
        self.images, self.size = images, size
        self.piece = max(1, PIECE // (3 * size * size))  # images
        # A process has AHEAD pieces done or under way, and one more is being read.
        self.ring = shared_memory(workers, AHEAD + 1, self.piece, size, size, 3)
        self.buffer = torch.empty(0, size, size, 3, dtype=torch.uint8)
        self.plan = _Plan()
        self.loader: DataLoader[_Done] = DataLoader(
            _Decoding(images, self.ring),
            sampler=self.plan,  # whole pieces of rows, which torch passes on as they are
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=AHEAD if workers else None,
            worker_init_fn=_begin,
        )

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, plan: Sequence[NDArray[np.int64]]) -> Iterator[Decoded]:
        """The images of each entry of `plan`, rows int64 (n,), in order.

        The next batch takes the memory of this one: copy what is to be kept.

        Raises:
            LocalError: a decoding process ended by itself.
        """
        if not plan:  # no processes for nothing
            return
        if len(self.buffer) < (largest := max(map(len, plan))):
            self.buffer = self.buffer.new_empty(largest, *self.buffer.shape[1:])
        if len(self.ring) == 0:
            yield from (self._decoded_here(rows) for rows in plan)
            return
        pieces = [rows[start : start + self.piece] for rows in plan for start in range(0, len(rows), self.piece)]
        self.plan.pieces = pieces
        with watching_decoders():
            yield from self._joined([len(rows) for rows in plan], iter(self.loader))

    def _joined(self, lengths: list[int], done: Iterator[_Done]) -> Iterator[Decoded]:
        """Batches of these lengths, put together of pieces; one that is a single piece stays where it is."""
        pieces = self.plan.pieces
        for length in lengths:
            if 0 < length <= self.piece:
                worker, slot, _, bad = self._next(done, pieces)
                yield Decoded(self.ring[worker, slot, :length], bad)
                continue
            pixels, filled, bad = self.buffer[:length], 0, {}
            while filled < length:
                worker, slot, count, reasons = self._next(done, pieces)
                pixels[filled : filled + count] = self.ring[worker, slot, :count]
                bad |= {filled + place: reason for place, reason in reasons.items()}
                filled += count
            yield Decoded(pixels, bad)

    def _next(self, done: Iterator[_Done], pieces: Sequence[NDArray[np.int64]]) -> _Done:
        piece = next(done, None)
        # The processes follow one plan at a time, and torch would mix up two without a word.
        if piece is None or self.plan.pieces is not pieces:
            raise AssertionError("a stream was asked for others before it gave all")
        return piece

    def _decoded_here(self, rows: NDArray[np.int64]) -> Decoded:
        pixels = self.buffer[: len(rows)]
        return Decoded(pixels, decode_into(pixels.numpy(), self.images, rows))


@contextmanager
def watching_decoders() -> Iterator[None]:
    """Raises LocalError where a decoding process ends by itself: torch interrupts this one then, wherever it is."""
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in ("exited unexpectedly", "killed by signal")):
            raise
        raise LocalError(
            f"a process that decodes images ended ({' '.join(str(error).split())}): memory may be short; use fewer "
            "--data.workers, 0 for none"
        ) from error


def shared_memory(workers: int, *shape: int) -> Tensor:
    """uint8 (workers, *shape) that other processes see too; raises InputError where the system has too little."""
    ring = torch.empty(workers, *shape, dtype=torch.uint8)
    try:
        ring.share_memory_()
    except RuntimeError as error:
        raise InputError(
            f"--data.workers: shared memory (/dev/shm) has no {ring.nbytes / 2**20:,.0f} MiB for {workers} processes: "
            "use fewer, 0 for none, or allow more, as by docker run --shm-size"
        ) from error
    return ring


def decode_into(pixels: NDArray[np.uint8], images: EncodedImages, rows: NDArray[np.int64]) -> dict[int, str]:
    """Fill `pixels` (n, S, S, 3) with the images of `rows` (n,); what is bad, by place."""
    bad = {}
    with no_warnings():
        for place, row in enumerate(rows.tolist()):
            try:
                pixels[place] = decode(images.source(row), pixels.shape[1])
            except BadImage as error:
                pixels[place], bad[place] = 0, str(error)
    return bad


class _Done(NamedTuple):
    """A piece that lies in `ring[worker, slot, :images]`."""

    worker: int
    slot: int
    images: int
    bad: dict[int, str]


class _Plan:
    """Says what to decode next; set anew before each use of a loader."""

    pieces: Sequence[NDArray[np.int64]] = ()

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)


class _Decoding(Dataset[_Done]):
    """What a process does with a piece; each has a copy of this."""

    def __init__(self, images: EncodedImages, ring: Tensor) -> None:
        self.images, self.ring, self.turn = images, ring, 0

    def __getitem__(self, rows: Any) -> _Done:
        worker = torch.utils.data.get_worker_info().id  # type: ignore[union-attr]  # only called in one
        slot = self.turn = (self.turn + 1) % self.ring.shape[1]
        bad = decode_into(self.ring[worker, slot, : len(rows)].numpy(), self.images, rows)
        return _Done(worker, slot, len(rows), bad)


def _begin(worker: int) -> None:
    keep_freed_memory()


def _unchanged(done: Any) -> Any:
    return done
