"""The range of intensities of a data set, measured where an image needs it. Must not know: labels, torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.decoder import BadImage, image_span, no_warnings
from mixnn.data.images.encoded import EncodedImages
from mixnn.data.images.intensity import Range, Span, UnknownRangeError, parse_range, range_words, span_of, union
from mixnn.data.images.pool import Pool, stopping
from mixnn.utils.console import counter, say
from mixnn.utils.processes import default_workers, first_process

CHUNK = 64  # images that a process looks at in one go

Images = EncodedImages | NDArray[Any]
Result = TypeVar("Result")


def with_range(
    work: Callable[[Range | None], Result], images: Sequence[Images], option: str | None, workers: int | None
) -> Result:
    """`work`, and again with the range of all `images` where it meets pixels of more than 8 bits.

    Args:
        images: those of all parts, so that no selection has a scale of its own.
        option: a range that is given instead, as `0,4095`.
        workers: processes; one for each core where None.

    Raises:
        InputError: `option` is no range.
    """
    given = None if option is None else parse_range(option)
    try:
        return work(given)
    except UnknownRangeError:
        found = measured_range(images, default_workers() if workers is None else workers)
    if first_process():
        say(
            f"mixnn: images have more than 8 bits: {range_words(found)} becomes 0 to 255 in all of them; "
            "--data.intensity-range LOW,HIGH takes another range"
        )
    return work(found)


def measured_range(parts: Sequence[Images], workers: int) -> Range:
    """The lowest and the highest value of all images of more than 8 bits; (0, 255) where there are none."""
    spans = []
    for images in parts:
        if isinstance(images, np.ndarray):
            spans += [] if images.ndim == 2 or images.dtype == np.uint8 else [span_of(images)]
            continue
        pieces = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]
        tell, done = counter("measuring intensities") if first_process() else None, 0
        for piece, found in zip(
            pieces, Pool(partial(_spans, images), workers, "--data.workers").map(pieces), strict=True
        ):
            spans += found
            done += len(piece)
            if tell is not None:
                tell(done, len(images))
    return union(spans).range if spans else (0.0, 255.0)


def _spans(images: EncodedImages, rows: range) -> list[Span]:
    """Of those of `rows` that have more than 8 bits and can be read."""
    found = []
    with no_warnings():
        for row in rows:
            if stopping():
                break
            try:
                span = image_span(images.source(row))
            except BadImage:
                continue
            found += [] if span is None else [span]
    return found
