"""Small versions of all images, for noise that depends on them. Must not know: labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mixnn.data.dataset import Samples
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.decoder import square
from mixnn.data.images.intensity import Range, as_uint8
from mixnn.utils.console import say
from mixnn.utils.processes import default_workers

SIZE = 32
BATCH = 256  # images


def thumbnails(
    samples: Samples, progress: Callable[[int, int], None] | None = None, intensity: Range | None = None
) -> NDArray[np.uint8]:
    """uint8 (N, 32, 32, 3): the middle of each image.

    Those that cannot be read are black; a line on standard error says how many.

    Args:
        samples: with images; embeddings have none.
        progress: told (done, in all) now and then.
        intensity: see `open_images`.

    Raises:
        UnknownRangeError: pixels have more than 8 bits, and no `intensity` is given.
    """
    images = samples.images
    if isinstance(images, np.ndarray):
        images = as_uint8(images, intensity)
        if images.shape[1:] == (SIZE, SIZE, 3):
            return images
        return np.stack([square(Image.fromarray(image), SIZE) for image in images])
    small, bad = np.zeros((len(samples), SIZE, SIZE, 3), dtype=np.uint8), 0
    plan = [np.arange(start, min(start + BATCH, len(small))) for start in range(0, len(small), BATCH)]
    for rows, decoded in zip(plan, Stream(images, SIZE, default_workers(), intensity).batches(plan), strict=True):
        small[rows] = decoded.pixels
        bad += len(decoded.bad)
        if progress is not None:
            progress(int(rows[-1]) + 1, len(small))
    if bad:
        say(f"mixnn: {bad:,} of {len(small):,} images cannot be read; noise takes them as black")
    return small
