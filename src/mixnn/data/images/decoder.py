"""One image, from whatever people call an image to an upright square of 8-bit colors.

Must not know: labels, layouts, torch.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from mixnn.data.images.formats import open_image
from mixnn.data.images.intensity import Range, Span, UnknownRangeError, eight_bits, span_of
from mixnn.errors import InputError, LocalError

try:
    import simplejpeg  # type: ignore[import-untyped,unused-ignore]  # it has no types, and may not be there
except ImportError:
    simplejpeg = None
if not features.check("libjpeg_turbo"):  # this Pillow has another library, which may round differently
    simplejpeg = None

ORIENTATION = 0x0112  # EXIF: how the camera was held
BITS, SAMPLE_FORMAT = 258, 339  # tags of a TIFF
UNSIGNED, SIGNED = 1, 2  # sample formats
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEPER = "pixels have more than 8 bits, and the run was trained on images of 8"
ROOM = 2**26  # bytes
# What Pillow makes of damaged files.
DAMAGE = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, struct.error),
    *(EOFError, MemoryError, OverflowError, RuntimeError, Image.DecompressionBombError),
)


class BadImage(Exception):
    """Why one image cannot be used, in a few words; never a reason to stop a run by itself."""


def decode(source: str | bytes, size: int, intensity: Range | None = None) -> NDArray[np.uint8]:
    """An image as uint8 (size, size, 3): turned upright, short side resized, center cut out.

    Args:
        source: a path, or the bytes of an image file.
        size: pixels.
        intensity: what becomes black and white of pixels of more than 8 bits.

    Raises:
        UnknownRangeError: it has more than 8 bits, and no `intensity` is given.
        BadImage: the file is missing, is no image, is too large (Pillow's guard against
            decompression bombs, 179 million pixels), or ends too early.
    """
    with opened(source) as (image, file):
        pixels = decode_jpeg(image, file, size)
        return to_square(image, size, intensity) if pixels is None else square(pixels, size)


def image_span(source: str | bytes) -> Span | None:
    """The lowest and highest value of an image; None for one of 8 bits, of which only the header is read.

    Raises:
        BadImage: see `decode`.
    """
    with opened(source) as (image, _):
        return span_of(deep_values(image)) if is_deep(image) else None


@contextmanager
def opened(source: str | bytes) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """An image and its file; what goes wrong inside is a BadImage."""
    try:
        if isinstance(source, str):
            refuse_pipe(source)
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file, open_image(file) as image:
            yield image, file
    except UnknownRangeError:
        raise
    except DAMAGE as error:
        if isinstance(error, MemoryError) and not has_room():  # else a damaged header asks for too much
            raise LocalError("memory is short for reading images: use fewer --data.workers, 0 for none") from error
        raise BadImage(reason(error)) from error


def has_room() -> bool:
    """Whether there is memory for another picture of some megapixels."""
    try:
        return bool(bytearray(ROOM))
    except MemoryError:
        return False


def decode_jpeg(image: Image.Image, file: BinaryIO, size: int) -> NDArray[np.uint8] | None:
    """All of an opened JPEG by the extra `jpeg`, uint8 (height, width, 3): without resizing, in a fifth of the time.

    None where that is not installed, or where Pillow may give other pixels: it turns pictures by their EXIF, decodes
    large ones smaller, and knows more kinds of colors.
    """
    ordinary = image.format == "JPEG" and image.mode in ("L", "RGB") and "exif" not in image.info
    if simplejpeg is None or not ordinary or min(image.size) >= 4 * size:
        return None
    file.seek(0)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(file.read(), colorspace="RGB")
    except ValueError:  # damaged, if only a little: Pillow decides
        return None
    return pixels


def refuse_pipe(path: str) -> None:
    """Raise one of `DAMAGE` where `path` is missing, or a pipe or device: reading these may wait forever."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError("is a pipe or a device, no file")


def to_square(image: Image.Image, size: int, intensity: Range | None) -> NDArray[np.uint8]:
    """`decode`, of an image that has just been opened."""
    if min(image.size) >= 4 * size:
        image.draft("RGB", (2 * size, 2 * size))  # lets a JPEG decode at a half, a quarter or an eighth of its size
    turn = orientation(image)
    image = as_rgb(image, intensity)
    return square(image if turn is None else image.transpose(turn), size)


def no_warnings() -> warnings.catch_warnings[None]:
    """For what decodes many images: odd EXIF, large pictures and the like decode all the same."""
    return warnings.catch_warnings(action="ignore")


def reason(error: Exception) -> str:
    """Why an image is bad, of an error out of `DAMAGE`."""
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def orientation(image: Image.Image) -> Image.Transpose | None:
    """How its EXIF note says to turn it; a note that cannot be understood says nothing."""
    if "exif" not in image.info and image.format in ("JPEG", "PNG", "GIF", "BMP", "PPM"):
        return None  # looking for a note that cannot be there costs time
    image.load()  # Pillow turns a TIFF by itself then, and takes the note away
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except DAMAGE:
        return None


def is_deep(image: Image.Image) -> bool:
    """Whether it is gray with more than 8 bits, or with a sign."""
    return (
        image.mode == "F"
        or image.mode.startswith("I")
        or (image.mode == "L" and tiff_tag(image, SAMPLE_FORMAT, UNSIGNED) == SIGNED)
    )


def deep_values(image: Image.Image) -> NDArray[Any]:
    """The pixels of such an image as numbers."""
    values = np.asarray(image)
    # Pillow takes signed 8 bits for unsigned ones, and unsigned 32 bits for signed ones.
    if values.dtype == np.uint8:
        return values.view(np.int8)
    unsigned = (
        values.dtype == np.int32
        and tiff_tag(image, BITS, 0) == 32
        and tiff_tag(image, SAMPLE_FORMAT, UNSIGNED) == UNSIGNED
    )
    return values.view(np.uint32) if unsigned else values


def tiff_tag(image: Image.Image, tag: int, default: int) -> int:
    """Its first value."""
    return int(getattr(image, "tag_v2", {}).get(tag, (default,))[0])


def as_rgb(image: Image.Image, intensity: Range | None) -> Image.Image:
    """Colors of 8 bits: what has more is scaled, transparent parts are on white.

    Raises:
        UnknownRangeError: it has more than 8 bits, and no `intensity` is given.
        ValueError: pixels are not finite.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image):
        return Image.fromarray(eight_bits(deep_values(image), intensity)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def square(image: Image.Image | NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle of an RGB image, as large as its short side: uint8 (size, size, 3)."""
    width, height = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if side == size:
        return np.asarray(image)[top : top + side, left : left + side]
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    # `reducing_gap` shrinks by whole factors first, where the image is much larger.
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))


def read_image(path: Path, size: int, intensity: Range | None = None) -> NDArray[np.uint8]:
    """`decode`, for a single file that the user named.

    Raises:
        InputError: it is missing, is no image, ends too early, or has more than 8 bits and no `intensity` is given.
    """
    try:
        with no_warnings():
            return decode(str(path), size, intensity)
    except UnknownRangeError as error:
        raise InputError(f"image {path}: {DEEPER}: save it with 8 bits") from error
    except BadImage as error:
        raise InputError(f"image {path} cannot be read ({error}): repair it, or leave it away") from error
