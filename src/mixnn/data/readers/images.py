"""Image files as arrays. Must not know: labels, layouts, torch."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mixnn.errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
ORIENTATION = 0x0112  # EXIF: how the camera was held
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Progress = Callable[[int, int], None]  # images done, images in all


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as uint8 (size, size, 3): turned upright, short side resized, centre cut out.

    Raises:
        InputError: the file is missing, is no image, or ends too early.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))  # lets a JPEG decode at a fraction of its size
            turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
            upright = as_rgb(image if turn is None else image.transpose(turn))
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC))
    except FileNotFoundError:
        raise InputError(f"image {path} does not exist: correct the name, or remove it from the list") from None
    except (OSError, ValueError, SyntaxError, TypeError, struct.error, Image.DecompressionBombError) as error:
        # Pillow repeats the path in some messages.
        reason = str(error).replace(f" {str(path)!r}", "")
        raise InputError(f"image {path} cannot be read ({reason}): repair it, or remove it from the data") from error


def as_rgb(image: Image.Image) -> Image.Image:
    """Colours of 8 bits: 16-bit grey scaled down, transparent parts on white.

    Raises:
        ValueError: the pixels are floating-point numbers, whose range nobody knows.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        return Image.fromarray((grey >> 8 if grey.max() > 255 else grey).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def read_images(paths: Sequence[Path], size: int, progress: Progress | None = None) -> NDArray[np.uint8]:
    """All images as uint8 (N, size, size, 3), decoded on several threads.

    Raises:
        InputError: see `read_image`; the first bad one in order is named.
    """
    images = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:
        try:
            for i, image in enumerate(pool.map(lambda path: read_image(path, size), paths)):
                images[i] = image
                if progress is not None:
                    progress(i + 1, len(paths))
        except InputError:
            pool.shutdown(cancel_futures=True)
            raise
    return images
