"""Ordinary JPEGs faster, by the extra `jpeg`; the pixels are Pillow's. Must not know: anything of ours.

Both are libjpeg-turbo, but Pillow stores pixels twice and asks Python in between: without resizing, this takes
half to two thirds of the time; with it, nearly as much. Whatever is not quite ordinary is left to Pillow, so that
only the time depends on what is installed.
"""

from __future__ import annotations

import io
import math
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import features

try:
    import simplejpeg  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    simplejpeg = None
if not features.check("libjpeg_turbo"):  # this Pillow has another library, which may round differently
    simplejpeg = None

HEAD = 2**16  # bytes in which all notes and tables of an ordinary JPEG lie
LARGEST = 2**24  # pixels, well below Pillow's guard against decompression bombs
# Markers, each followed by the length of what it announces.
START, SCAN = b"\xff\xd8", 0xFFDA
FRAMES = {0xFFC0, 0xFFC1, 0xFFC2}  # baseline, extended, progressive
TABLES = {0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE}  # Huffman, quantization, restart interval; comments
NOTES = {(0xFFE0, 16), (0xFFEE, 14)}  # JFIF, and how Adobe stores colors, in the usual lengths


def decode_jpeg(source: str | bytes, size: int) -> NDArray[np.uint8] | None:
    """The whole image as uint8 (height, width, 3), where Pillow would give just that; else None.

    Args:
        source: a path, or the bytes of an image file.
        size: pixels wanted; a JPEG of four times as many is decoded smaller, by Pillow.

    Raises:
        OSError: the file cannot be read.
    """
    if simplejpeg is None:
        return None
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", buffering=0) as file:
        head = file.read(HEAD)
        shape = plain_shape(head)
        if shape is None or min(shape) >= 4 * size or math.prod(shape) > LARGEST:
            return None
        try:
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(head + file.read(), colorspace="RGB")
        except ValueError:  # damaged, if only a little: Pillow decides
            return None
    return pixels


def plain_shape(head: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG that is gray or of three colors, of 8 bits, without EXIF and the like; else None."""
    shape, at = None, 2
    try:
        while head[:2] == START:
            marker, length = struct.unpack_from(">HH", head, at)
            if marker == SCAN:
                return shape
            if marker in FRAMES and shape is None:
                bits, height, width, colors = struct.unpack_from(">BHHB", head, at + 4)
                if bits != 8 or colors not in (1, 3):
                    return None
                shape = height, width
            elif marker not in TABLES and (marker, length) not in NOTES:
                return None
            at += 2 + length
    except struct.error:  # it ends too early, or has tables without end
        pass
    return None
