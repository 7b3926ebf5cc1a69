"""Images decoded ahead of use, in processes of their own. Must not know: labels, epochs, augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.decoder import BadImage, decode, no_warnings
from mixnn.data.images.encoded import EncodedImages
from mixnn.data.images.intensity import Range
from mixnn.data.images.pool import Pool, stopping

CHUNK_BYTES = 2**22  # bytes of pixels that a process decodes in one go


class Decoded(NamedTuple):
    """Some images.

    Attributes:
        pixels: uint8 (n, S, S, 3); zeros where an image is bad.
        bad: place in `pixels` -> reason.
    """

    pixels: NDArray[np.uint8]
    bad: dict[int, str]


class Stream:
    """Decodes `images` at `size` pixels, batch by batch; the processes stay until the stream is dropped.

    Args:
        images: N, encoded.
        size: S, pixels.
        workers: processes; 0 decodes where the pixels are asked for.
        intensity: see `decode`.
    """

    def __init__(self, images: EncodedImages, size: int, workers: int, intensity: Range | None = None) -> None:
        self.images, self.size = images, size
        self.pool = Pool(partial(decode_rows, images, size, intensity), workers, "--data.workers")

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, plan: Sequence[NDArray[np.int64]]) -> Iterator[Decoded]:
        """The images of each entry of `plan`, rows int64 (n,), in order.

        Raises:
            LocalError: the system ended a decoding process.
            UnknownRangeError: an image has more than 8 bits, and no `intensity` is given.
        """
        images = max(1, CHUNK_BYTES // (3 * self.size**2))
        cuts = [range(0, max(1, len(rows)), images) for rows in plan]
        chunks = (rows[start : start + images] for rows, starts in zip(plan, cuts, strict=True) for start in starts)
        decoded = self.pool.map(chunks)
        for starts in cuts:
            done = [next(decoded) for _ in starts]
            bad = {start + at: why for start, part in zip(starts, done, strict=True) for at, why in part.bad.items()}
            yield Decoded(np.concatenate([part.pixels for part in done]) if len(done) > 1 else done[0].pixels, bad)


def decode_rows(images: EncodedImages, size: int, intensity: Range | None, rows: NDArray[np.int64]) -> Decoded:
    """The images of `rows` (n,)."""
    pixels, bad = np.zeros((len(rows), size, size, 3), np.uint8), {}
    with no_warnings():
        for place, row in enumerate(rows.tolist()):
            if stopping():
                break
            try:
                pixels[place] = decode(images.source(row), size, intensity)
            except BadImage as error:
                bad[place] = str(error)
    return Decoded(pixels, bad)
