"""Small photos that note who looks at them, and all that can be said of what a store keeps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mixnn.data.images.cache import Opened, checksums
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.encoded import ImageFiles

SIZE = 8
COUNT = 10
BYTES = SIZE * SIZE * 3  # of an image


class Counted(ImageFiles):
    """Files that note who is looked at, in a file, as several processes do it."""

    @property
    def log(self) -> Path:
        return Path(f"{self.root}.log")

    def source(self, row: int) -> str:
        with open(self.log, "a") as file:
            file.write(f"{row}\n")
        return super().source(row)

    def looked_at(self) -> list[int]:
        """Rows, sorted, since the last time."""
        rows = sorted(map(int, self.log.read_text().split())) if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return rows


class Seen(NamedTuple):
    """All that an Opened says."""

    pixels: np.ndarray
    kept: list[int]
    checksums: list[int]
    bad: dict[int, str]


def seen(opened: Opened) -> Seen:
    pixels = opened.pixels
    if isinstance(pixels, Stream):
        images = next(pixels.batches([opened.rows])).pixels
    else:
        images = pixels[torch.from_numpy(opened.rows)]
    assert opened.checksums.dtype == np.uint32
    assert np.array_equal(checksums(np.asarray(images)), opened.checksums)
    return Seen(np.asarray(images), opened.kept.tolist(), opened.checksums.tolist(), opened.bad)


def assert_same(some: Seen, other: Seen) -> None:
    assert np.array_equal(some.pixels, other.pixels)
    assert some[1:] == other[1:]
