"""Labeled images, in parts. Must not know: file formats, torch, methods."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.encoded import EncodedImages, Rows, pick
from mixnn.data.labels.missing import missing_words, tell_missing
from mixnn.errors import InputError
from mixnn.utils.console import say
from mixnn.utils.processes import first_process

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
        unlabeled: words that mean "don't know", or that there is no label; `unlabeled[i]` is label -1 - i.
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
    source: Source,
    *,
    unlabeled: str | None = None,
    missing: Literal["unlabeled", "keep"] = "unlabeled",
    heldout: str | None = None,
    relabeled: bool = False,
) -> Dataset:
    """A source with its labels as numbers. Labels that are missing, and parts without any, are told.

    Args:
        unlabeled: words that mean "don't know", with commas between them (a CSV line).
        missing: what labels such as NaN are, see `missing_words`; keep: classes, but for an empty one.
        relabeled: other labels will take the place of these, so that a word of `unlabeled` need not occur yet.
        heldout: the part that accuracy is measured on; "test", or else "val", where not said. "train": none of the
            parts, so that some of the training part is held out.

    Raises:
        InputError: there is no part of that name, or it has no label, a word of `unlabeled` does not occur, or a
            number is no place in the list of classes.
    """
    unknown = split_words(unlabeled)
    words = set(source.classes or ()).union(*map(_words, source.parts.values()))
    for word in unknown:
        if word not in words and not relabeled:
            some = ", ".join(map(repr, sort_words(words)[:20]))
            raise InputError(f"--data.unlabeled: no label is {word!r}: correct it; the labels are {some}")
    lost = [word for word in sort_words(missing_words(words)) if word not in unknown]
    lost = [word for word in lost if missing == "unlabeled" or word == ""]
    unknown += lost
    kept = [word for word in source.classes or sort_words(words - set(unknown)) if word not in unknown]
    code = {word: i for i, word in enumerate(kept)} | {word: -1 - i for i, word in enumerate(unknown)}
    parts = {name: _coded(name, part, code, source.classes or []) for name, part in source.parts.items()}
    given = [part.labels for name, part in parts.items() if name != "train" or not relabeled]
    tell_missing(
        {word: sum(int((labels == code[word]).sum()) for labels in given) for word in lost},
        kept if missing == "unlabeled" else (),
    )
    train = parts.pop("train")
    if heldout not in (None, "train", *parts):
        others = f"one of {', '.join(parts)}" if parts else "none, as there is no other"
        raise InputError(f"--data.heldout {heldout!r} is no part of the data to measure on: name {others}")
    _tell_unlabeled({name: part for name, part in parts.items() if name in (heldout, *HELDOUT)})
    if heldout in parts and not (parts[heldout].labels >= 0).any():
        raise InputError(f"--data.heldout {heldout}: no sample of that part has a label: leave it away")
    labeled = [name for name in HELDOUT if name in parts and (parts[name].labels >= 0).any()]
    measured = heldout or next(iter(labeled), "train")
    if measured == "train":
        return Dataset(kept, train, unlabeled=unknown, others=parts)
    known = parts.pop(measured)
    known = known[np.flatnonzero(known.labels >= 0)] if (known.labels < 0).any() else known
    return Dataset(kept, train, known, measured, unlabeled=unknown, others=parts)


def _tell_unlabeled(parts: Mapping[str, Samples]) -> None:
    """Say of parts to measure on how many of their samples have no label."""
    for name, part in parts.items():
        count, whole = int((part.labels < 0).sum()), len(part)
        if count and first_process():
            rest = "accuracy is not measured on it" if count == whole else "these do not count for accuracy"
            what = f"{count:,} of {whole:,} samples of part {name!r} have no label"
            say(f"mixnn: {what}: {rest}; `mixnn predict` labels them")


def _words(part: Part) -> set[str]:
    """Labels that occur; of places in a list of classes -1 alone, which is no place."""
    if isinstance(part.labels, np.ndarray):
        return {"-1"} if (part.labels == -1).any() else set()
    return set(part.labels)


def sort_words(words: set[str]) -> list[str]:
    """Words in order; numbers by their value."""
    numbers = all(word.isascii() and word.isdigit() for word in words)
    return sorted(words, key=lambda word: (int(word), word)) if numbers else sorted(words)


def split_words(line: str | None) -> list[str]:
    """`a,"b, c"` as a, `b, c`; an empty line is one empty word, and None is none."""
    if line is None:
        return []
    return list(dict.fromkeys(word.strip() for word in next(csv.reader([line], skipinitialspace=True)) or [""]))


def _coded(name: str, part: Part, code: dict[str, int], classes: Sequence[str]) -> Samples:
    if not isinstance(part.labels, np.ndarray):
        try:
            labels = np.array([code[word] for word in part.labels], dtype=np.int64)
        except KeyError as error:
            raise InputError(f"label {error.args[0]!r} of part {name!r} is no class of this data: correct it") from None
        return Samples(part.images, labels, part.names)
    places, words = part.labels, [*classes, *(["-1"] if code.get("-1", 0) < 0 else [])]  # the last is place -1
    bad = places[(places < len(classes) - len(words)) | (places >= len(classes))]
    if len(bad):
        raise InputError(f"part {name!r} has label {bad[0]}, but {len(classes)} classes: correct the labels")
    return Samples(part.images, np.array([code[word] for word in words], dtype=np.int64)[places], part.names)
