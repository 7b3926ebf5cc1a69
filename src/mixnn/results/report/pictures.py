"""Small pictures as the bytes of image files, many in one array. Must not know: torch, training, HTML."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from mixnn.runs.directory import RunDirectory

SIDE = 96  # pixels at most
SMALL = 48  # below this side every pixel counts


def encode(image: NDArray[np.uint8]) -> bytes:
    """`image` (H, W, 3), not larger than SIDE, as WebP; as JPEG where Pillow knows no WebP."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    kind = "WEBP" if features.check("webp") else "JPEG"
    picture.save(file, kind, quality=90 if max(picture.size) < SMALL else 78)
    return file.getvalue()


def encoded_pictures(rows: NDArray[np.int64], images: Iterable[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Pictures of the samples `rows` (M,) as arrays: `small_rows` (M,), `small_ends` (M,), `small_bytes` uint8."""
    files = [encode(image) for image in images]
    return {
        "small_rows": rows,
        "small_ends": np.cumsum([len(file) for file in files], dtype=np.int64),
        "small_bytes": np.frombuffer(b"".join(files), dtype=np.uint8),
    }


def read_pictures(run: RunDirectory) -> dict[int, bytes]:
    """Image files by row of the training set; none where the data has no images.

    A run written before there were small ones has pictures of its first label issues.
    """
    if not run.thumbnails.exists():
        return {}
    return decoded_pictures(run.read_arrays(run.thumbnails))


def decoded_pictures(arrays: Mapping[str, NDArray[Any]]) -> dict[int, bytes]:
    """The reverse of `encoded_pictures`."""
    if "small_rows" not in arrays:
        return {int(row): encode(image) for row, image in zip(arrays["rows"], arrays["images"], strict=True)}
    ends = [0, *arrays["small_ends"].tolist()]
    content = arrays["small_bytes"].tobytes()
    return {int(row): content[ends[i] : ends[i + 1]] for i, row in enumerate(arrays["small_rows"])}
