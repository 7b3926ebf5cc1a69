"""Every image opened once: content, size, mode, or why it cannot be read. Must not know: labels, torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.check.findings import as_keys, content_digest
from mixnn.data.images.decoder import (
    DAMAGE,
    BadImage,
    deep_values,
    is_deep,
    no_warnings,
    opened,
    reason,
    refuse_pipe,
    square,
    to_square,
)
from mixnn.data.images.encoded import EncodedImages
from mixnn.data.images.intensity import Span, as_uint8, span_of
from mixnn.data.images.pool import Pool, stopping
from mixnn.data.records.records import Records

SIDE = 16  # pixels of thumbnails
CHUNK = 64  # images that a process looks at in one go
WORTH_A_PROCESS = 500  # images: fewer are done before it has started

Progress = Callable[[int, int], None]
Source = str | bytes | NDArray[Any]  # path, content, pixels or embedding


@dataclass
class Contents:
    """What N images hold.

    Attributes:
        keys: uint64 (N, 2), equal where the contents are; where an image cannot be read, as they came in.
        sizes: int32 (N, 2), width and height as stored; 0 where there are none.
        modes: how many images of each of Pillow's modes.
        unreadable: row -> reason.
        spans: of each image of more than 8 bits.
        thumbnails: uint8 (N, 16, 16, 3), each by its own range of values; black where there is none.
    """

    keys: NDArray[np.uint64]
    sizes: NDArray[np.int32]
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: dict[int, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    thumbnails: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, SIDE, SIDE, 3), np.uint8))


class ImageInfo(NamedTuple):
    """One image; with a reason where it cannot be read."""

    digest: bytes = b""
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""
    span: Span | None = None  # of one with more than 8 bits
    thumbnail: NDArray[np.uint8] | None = None  # (16, 16, 3)


def read_contents(
    parts: Sequence[EncodedImages | NDArray[Any]], keys: NDArray[np.uint64], *, workers: int, progress: Progress
) -> Contents:
    """Look at all images of all parts.

    Args:
        parts: images of any kind, N in all.
        keys: (N, 2), for those that cannot be read.
        workers: processes; below 2, this one alone.
        progress: told how many are done, of how many.

    Raises:
        LocalError: the system ended a process.
    """
    contents = Contents(keys.copy(), np.zeros((len(keys), 2), dtype=np.int32))
    contents.thumbnails = np.zeros((len(keys), SIDE, SIDE, 3), np.uint8)
    pieces = [
        (part, range(start, min(start + CHUNK, len(images))))
        for part, images in enumerate(parts)
        for start in range(0, len(images), CHUNK)
    ]
    workers = min(workers, len(keys) // WORTH_A_PROCESS)
    pool = Pool(partial(look_at_piece, parts), workers if workers > 1 else 0, "--workers")
    start = 0
    for infos in pool.map(pieces):
        for row, info in enumerate(infos, start):
            if info.reason:
                contents.unreadable[row] = info.reason
            else:
                contents.sizes[row] = info.width, info.height
                contents.modes[info.mode] += 1
                contents.keys[row] = as_keys([info.digest])[0]
                contents.spans += [] if info.span is None else [info.span]
                if info.thumbnail is not None:
                    contents.thumbnails[row] = info.thumbnail
        start += len(infos)
        progress(start, len(keys))
    return contents


def look_at_piece(parts: Sequence[EncodedImages | NDArray[Any]], piece: tuple[int, range]) -> list[ImageInfo]:
    """Some rows of one of the parts."""
    part, rows = piece
    infos, images = [], parts[part]
    with no_warnings():
        for row in rows:
            if stopping():
                break
            try:
                if isinstance(images, Records):
                    infos.append(ImageInfo(content_digest(images.source(row)), mode=images.kind))
                    continue
                infos.append(inspect_image(images[row] if isinstance(images, np.ndarray) else images.source(row)))
            except BadImage as error:
                infos.append(ImageInfo(reason=str(error)))
    return infos


def inspect_image(source: Source) -> ImageInfo:
    """One image; a file is decoded to the end, by the steps of `mixnn.data.images.decoder.decode`."""
    if isinstance(source, np.ndarray):
        return _inspect_array(source)
    try:
        if isinstance(source, str):
            refuse_pipe(source)
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        with opened(content) as (image, _):
            (width, height), mode = image.size, image.mode
            span = span_of(deep_values(image)) if is_deep(image) else None
            # So small that a large JPEG decodes at an eighth of its size.
            thumbnail = to_square(image, SIDE, None if span is None else span.range)
    except (BadImage, *DAMAGE) as error:
        return ImageInfo(reason=reason(error))
    return ImageInfo(content_digest(content), width, height, mode, span=span, thumbnail=thumbnail)


def _inspect_array(image: NDArray[Any]) -> ImageInfo:
    """(H, W, 3), or an embedding (D,)."""
    if image.ndim > 1:
        span, mode = (None, "RGB") if image.dtype == np.uint8 else (span_of(image), str(image.dtype))
        small = square(as_uint8(image[None], None if span is None else span.range)[0], SIDE)
        digest = content_digest(image.tobytes())
        return ImageInfo(digest, image.shape[1], image.shape[0], mode, span=span, thumbnail=small)
    if not np.isfinite(image).all():
        return ImageInfo(reason="holds numbers that are not finite")
    return ImageInfo(content_digest(image.tobytes()), mode=f"embedding of {len(image)}")
