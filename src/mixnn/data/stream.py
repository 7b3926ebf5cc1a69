"""Images decoded ahead of use, in processes of their own. Must not know: labels, epochs, augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mixnn.data.decode import BadImage, decode
from mixnn.data.files import EncodedImages
from mixnn.errors import InputError

AHEAD = 3  # batches that each process decodes before they are asked for


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

    Args:
        images: N, encoded.
        size: S, pixels.
        workers: processes; 0 decodes where the pixels are asked for.
    """

    def __init__(self, images: EncodedImages, size: int, workers: int) -> None:
        self.images, self.size = images, size
        self.plan = _Plan()
        self.loader: DataLoader[Decoded] = DataLoader(
            _Decoding(images, size),
            sampler=self.plan,  # whole batches of rows, which torch passes on as they are
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=AHEAD if workers else None,
        )

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, plan: Sequence[NDArray[np.int64]]) -> Iterator[Decoded]:
        """The images of each entry of `plan`, rows int64 (n,), in order.

        Raises:
            InputError: a decoding process ended by itself.
        """
        if not plan:  # no processes for nothing
            return
        self.plan.batches = plan
        try:
            for decoded in self.loader:
                self._check_not_overtaken(plan)
                yield decoded
            self._check_not_overtaken(plan)
        except RuntimeError as error:
            if not any(sign in str(error) for sign in ("exited unexpectedly", "killed by signal")):
                raise
            raise InputError(
                f"a process that decodes images ended ({' '.join(str(error).split())}): memory may be short; use fewer "
                "--data.workers, 0 for none"
            ) from error

    def _check_not_overtaken(self, plan: Sequence[NDArray[np.int64]]) -> None:
        # The processes follow one plan at a time, and torch would mix up two without a word.
        assert self.plan.batches is plan, "a stream was asked for other batches before it gave all"


class _Plan:
    """Says what to decode next; set anew before each use of a loader."""

    batches: Sequence[NDArray[np.int64]] = ()

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Decoding(Dataset[Decoded]):
    def __init__(self, images: EncodedImages, size: int) -> None:
        self.images, self.size = images, size

    def __getitem__(self, rows: Any) -> Decoded:
        pixels = torch.empty(len(rows), self.size, self.size, 3, dtype=torch.uint8)
        if torch.utils.data.get_worker_info() is not None:
            pixels.share_memory_()  # before anything is in it: sending it then costs no copy
        into, bad = pixels.numpy(), {}
        for place, row in enumerate(rows.tolist()):
            try:
                into[place] = decode(self.images.source(row), self.size)
            except BadImage as error:
                into[place], bad[place] = 0, str(error)
        return Decoded(pixels, bad)


def _unchanged(decoded: Any) -> Any:
    return decoded
