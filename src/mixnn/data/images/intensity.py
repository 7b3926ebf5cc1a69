"""Pixels of more than 8 bits: one scale for a whole data set. Must not know: files, labels, torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

Range = tuple[float, float]  # what becomes 0, and what becomes 255


class UnknownRangeError(InputError):
    """An image has more than 8 bits, and no range was given or measured: each for itself would not compare."""

    def __init__(self) -> None:
        super().__init__("pixels have more than 8 bits, and the range of their values is not known")

    def __reduce__(self) -> tuple[type[UnknownRangeError], tuple[()]]:
        return UnknownRangeError, ()  # it travels between processes


class Span(NamedTuple):
    """The lowest and highest value of some pixels, and whether they are integers."""

    low: float
    high: float
    whole: bool

    @property
    def range(self) -> Range:
        """Integers of 8 bits in a wider type stay what they are."""
        return (0.0, 255.0) if self.whole and self.low >= 0 and self.high <= 255 else (self.low, self.high)


def span_of(values: NDArray[Any]) -> Span:
    """Of pixels of any shape.

    Raises:
        ValueError: some are not finite.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("holds NaN or infinity")
    return Span(low, high, values.dtype.kind != "f")


def union(spans: Iterable[Span]) -> Span:
    """One that holds all of them."""
    lows, highs, wholes = zip(*spans, strict=True)
    return Span(min(lows), max(highs), all(wholes))


def parse_range(text: str) -> Range:
    """`0,4095` as (0, 4095).

    Raises:
        InputError: it is not two numbers, the lower one first.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"--data.intensity-range is {text!r}: give two numbers, the lower one first, as 0,4095")
    return low, high


def range_words(intensity: Range) -> str:
    return " to ".join(f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.6g}" for value in intensity)


def eight_bits(values: NDArray[Any], intensity: Range | None) -> NDArray[np.uint8]:
    """Pixels of any shape as uint8, by one scale; what lies outside the range is black or white.

    Raises:
        UnknownRangeError: no range is given.
        ValueError: some are not finite.
    """
    span_of(values)
    if intensity is None:
        raise UnknownRangeError
    low, high = intensity
    scaled = np.clip(values.astype(np.float64), low, high) - low
    return np.rint(scaled * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def as_uint8(images: NDArray[Any], intensity: Range | None) -> NDArray[Any]:
    """An array of images (N, H, W, 3) of any type as uint8; embeddings (N, D) as they are.

    Raises:
        UnknownRangeError: it has more than 8 bits, and no range is given.
    """
    if images.dtype == np.uint8 or images.ndim == 2:
        return images
    scaled = np.empty(images.shape, np.uint8)
    for place, image in zip(scaled, images, strict=True):  # one after the other, for the sake of memory
        place[:] = eight_bits(image, intensity)
    return scaled
