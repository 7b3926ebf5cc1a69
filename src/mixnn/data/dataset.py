"""Labeled images, in parts. Must not know: file formats, torch, methods."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.encoded import EncodedImages, Rows, pick
from mixnn.errors import InputError

HELDOUT = ("test", "val")  # parts that accuracy can be measured on, the better first


class Part(NamedTuple):
    """One part of a source, as a reader gives it.

    Attributes:
        images: files, or uint8 (N, H, W, 3), or float32 (N, D) embeddings.
        labels: N words, or int64 (N,) places in the source's list of classes.
        names: N file names, relative to the data, or stand-ins such as `train/00017`.
    """

    images: EncodedImages | NDArray[Any]
    labels: Sequence[str] | NDArray[np.int64]
    names: list[str]


class Source(NamedTuple):
    """All that a reader gives.

    Attributes:
        parts: by name; "train" has to be among them, "test" and "val" are what they say, others are kept apart.
        classes: C names, for labels that are numbers, or to fix an order; None makes them of the words, sorted.
        notes: lines for the user: which of two ways was taken, and what is passed over.
    """

    parts: Mapping[str, Part]
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Samples:
    """Images with labels.

    Attributes:
        images: uint8 (N, H, W, 3), or float32 (N, D) embeddings, or still encoded.
        labels: int64 (N,), places in the list of classes; below 0 where nobody knows, see `Dataset.unlabeled`.
        names: N file names, relative to the data, or a stand-in such as `train/00017`.
        verified: bool (N,), labels that a person has reviewed; None where none was.
        features: float32 (N, D), made of the images elsewhere; None where there are none.
    """

    images: EncodedImages | NDArray[Any]
    labels: NDArray[np.int64]
    names: list[str]
    verified: NDArray[np.bool_] | None = None
    features: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Rows) -> Samples:
        verified = None if self.verified is None else self.verified[rows]
        features = None if self.features is None else self.features[rows]
        return Samples(self.images[rows], self.labels[rows], pick(self.names, rows), verified, features)


@dataclass(frozen=True)
class Dataset:
    """What a run uses.

    Attributes:
        classes: C names.
        train: the samples to train on.
        heldout: samples kept apart for accuracy; None where the source has none and none were drawn.
        heldout_name: what to call them, e.g. "test" or "holdout".
        original: int64 (N,), the labels of `train` before noise was added; None where none was.
        unlabeled: words that mean "don't know"; `unlabeled[i]` is label -1 - i.
        others: parts of the source that the run does not use.
        dropped: int64 (D,), rows of `train` that a person has thrown out; noise is drawn before they go, so that
            what the others are given stays the same.
    """

    classes: list[str]
    train: Samples
    heldout: Samples | None = None
    heldout_name: str = "none"
    original: NDArray[np.int64] | None = None
    unlabeled: list[str] = field(default_factory=list)
    others: dict[str, Samples] = field(default_factory=dict)
    dropped: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def label_words(self, labels: NDArray[np.int64]) -> list[str]:
        """Labels (n,) as the data writes them."""
        words = [*self.classes, *reversed(self.unlabeled)]  # words[-1 - i] is unlabeled[i]
        return [words[label] for label in labels.tolist()]


def build_dataset(
    source: Source, *, unlabeled: str | None = None, heldout: str | None = None, relabeled: bool = False
) -> Dataset:
    """A source with its labels as numbers.

    Args:
        unlabeled: words that mean "don't know", with commas between them (a CSV line).
        relabeled: other labels will take the place of these, so that a word of `unlabeled` need not occur yet.
        heldout: the part that accuracy is measured on; "test", or else "val", where not said. "train": none of the
            parts, so that some of the training part is held out.

    Raises:
        InputError: there is no part of that name, a word of `unlabeled` does not occur, a
            label is empty and no such word, or a number is no place in the list of classes.
    """
    unknown = [] if unlabeled is None else _split_words(unlabeled)
    words: set[str] = set() if source.classes is None else set(source.classes)
    for part in source.parts.values():
        if not isinstance(part.labels, np.ndarray):
            words.update(part.labels)
    for word in unknown:
        if word not in words and not relabeled:
            some = ", ".join(map(repr, sort_words(words)[:20]))
            raise InputError(f"--data.unlabeled: no label is {word!r}: correct it; the labels are {some}")
    if "" in words and "" not in unknown:
        _refuse_empty(source)
    kept = [word for word in source.classes or sort_words(words - set(unknown)) if word not in unknown]
    code = {word: i for i, word in enumerate(kept)} | {word: -1 - i for i, word in enumerate(unknown)}
    code_of_place = np.array([code[word] for word in source.classes or []], dtype=np.int64)
    parts = {name: _coded(name, part, code, code_of_place) for name, part in source.parts.items()}
    train = parts.pop("train")
    if heldout not in (None, "train", *parts):
        others = f"one of {', '.join(parts)}" if parts else "none, as there is no other"
        raise InputError(f"--data.heldout {heldout!r} is no part of the data to measure on: name {others}")
    measured = heldout or next((name for name in HELDOUT if name in parts), "train")
    if measured == "train":
        return Dataset(kept, train, unlabeled=unknown, others=parts)
    known = parts.pop(measured)
    known = known[np.flatnonzero(known.labels >= 0)] if (known.labels < 0).any() else known
    return Dataset(kept, train, known, measured, unlabeled=unknown, others=parts)


def sort_words(words: set[str]) -> list[str]:
    """Words in order; numbers by their value."""
    numbers = all(word.isascii() and word.isdigit() for word in words)
    return sorted(words, key=lambda word: (int(word), word)) if numbers else sorted(words)


def _refuse_empty(source: Source) -> None:
    parts = source.parts.values()
    empty = [name for part in parts for name, word in zip(part.names, part.labels, strict=True) if word == ""]
    if empty:
        found = f"{len(empty)} samples have" if len(empty) > 1 else "1 sample has"
        fix = 'fill them in, or --data.unlabeled "" to have labels suggested'
        raise InputError(f"{found} an empty label (the first: {empty[0]}): {fix}")


def _split_words(line: str) -> list[str]:
    """`a,"b, c"` as a, `b, c`; an empty line is one empty word."""
    return list(dict.fromkeys(word.strip() for word in next(csv.reader([line], skipinitialspace=True)) or [""]))


def _coded(name: str, part: Part, code: dict[str, int], code_of_place: NDArray[np.int64]) -> Samples:
    if not isinstance(part.labels, np.ndarray):
        try:
            labels = np.array([code[word] for word in part.labels], dtype=np.int64)
        except KeyError as error:
            raise InputError(f"label {error.args[0]!r} of part {name!r} is no class of this data: correct it") from None
        return Samples(part.images, labels, part.names)
    places = part.labels
    if len(places) and not 0 <= places.min() <= places.max() < len(code_of_place):
        bad = int(places[(places < 0) | (places >= len(code_of_place))][0])
        raise InputError(f"part {name!r} has label {bad}, but {len(code_of_place)} classes: correct the labels")
    return Samples(part.images, code_of_place[places], part.names)
