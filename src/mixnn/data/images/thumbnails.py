"""Small versions of all images, for noise that depends on them. Must not know: labels, torch."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mixnn.data.dataset import Samples
from mixnn.data.images.decoder import BadImage, decode, square

SIZE = 32
BLOCK = 256  # images a thread takes at a time


def thumbnails(samples: Samples, progress: Callable[[int, int], None] | None = None) -> NDArray[np.uint8]:
    """uint8 (N, 32, 32, 3): the middle of each image.

    Those that cannot be read are black; a line on standard error says how many.

    Args:
        samples: with images; embeddings have none.
        progress: told (done, in all) now and then.
    """
    images = samples.images
    if isinstance(images, np.ndarray) and images.shape[1:] == (SIZE, SIZE, 3):
        return images
    small = np.zeros((len(samples), SIZE, SIZE, 3), dtype=np.uint8)

    def fill(start: int) -> int:
        """Make the thumbnails of one block; how many images are bad."""
        bad = 0
        for row in range(start, min(start + BLOCK, len(small))):
            if isinstance(images, np.ndarray):
                small[row] = square(Image.fromarray(images[row]), SIZE)
                continue
            try:
                small[row] = decode(images.source(row), SIZE)
            except BadImage:
                bad += 1
        return bad

    bad = 0
    # Decoding quiets warnings, which is not made for threads; out here it is done for all of them.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for block, bad_here in enumerate(pool.map(fill, range(0, len(small), BLOCK)), start=1):
            bad += bad_here
            if progress is not None:
                progress(min(block * BLOCK, len(small)), len(small))
    if bad:
        print(f"mixnn: {bad:,} of {len(small):,} images cannot be read; noise takes them as black", file=sys.stderr)
    return small
