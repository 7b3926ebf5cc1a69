"""Labeled images, in parts. Must not know: file formats, torch, methods."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.encoded import EncodedImages, Rows, pick
from mixnn.data.labels.missing import missing_words, tell_missing
from mixnn.data.records.records import RecordEncoder, Records
from mixnn.data.words import similar_words, sort_words
from mixnn.errors import InputError
from mixnn.utils.console import say
from mixnn.utils.processes import first_process

ClassOrder = Literal["text", "value"]
HELDOUT = ("test", "val")  # parts that accuracy can be measured on, the better first
SHOWN = 20  # classes in a line


class Part(NamedTuple):
    """One part of a source, as a reader gives it.

    Attributes:
        images: files, or an array (N, H, W, 3) of any type, or float32 (N, D) embeddings, or texts or rows of a table.
        labels: N words, or int64 (N,) places in the source's list of classes.
        names: N file names, relative to the data, or stand-ins such as `train/00017`.
        unreadable: (file name, reason) of files among them that are no images, and of empty texts.
    """

    images: EncodedImages | NDArray[Any]
    labels: Sequence[str] | NDArray[np.int64]
    names: list[str]
    unreadable: Sequence[tuple[str, str]] = ()


class Source(NamedTuple):
    """All that a reader gives.

    Attributes:
        parts: by name; "train" has to be among them, "test" and "val" are what they say, others are kept apart.
        classes: C names, for labels that are numbers, or to fix an order; None makes them of the words, sorted.
        numbers: what 0, 1 … are called; None is `classes`, or where these are None either, for a person to say.
        notes: lines for the user: which of two ways was taken, and what is passed over.
    """

    parts: Mapping[str, Part]
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()
    numbers: Sequence[str] | None = None


class LabelArray(NamedTuple):
    """An array of labels without names, and how it went with the labels that the data had.

    Attributes:
        option: with the file, as given.
        numbers: what 0, 1 … in it were taken for; empty where it holds words.
        agree, compared: how many labels are those of the data, and of how many.
    """

    option: str
    numbers: list[str]
    agree: int
    compared: int

    def __str__(self) -> str:
        text = f"{self.option} agrees with {self.agree:,} of {self.compared:,} labels of the data"
        some = ", ".join(f"{number} is {word!r}" for number, word in enumerate(self.numbers[:SHOWN]))
        more = " …" if len(self.numbers) > SHOWN else ""
        return f"{text}; {some}{more}" if some else text


@dataclass(frozen=True)
class Samples:
    """Images with labels.

    Attributes:
        images: an array (N, H, W, 3), scaled to uint8 when it is used, or float32 (N, D) embeddings, or still encoded;
            texts and rows of a table, until they have become embeddings.
        labels: int64 (N,), places in the list of classes; below 0 where nobody knows, see `Dataset.unlabeled`.
        names: N file names, relative to the data, or a stand-in such as `train/00017`.
        verified: bool (N,), labels that a person has reviewed; None where none was.
        features: float32 (N, D), made of the images elsewhere; None where there are none.
        records: N texts or rows that `images` were made of; None where there are none.
    """

    images: EncodedImages | NDArray[Any]
    labels: NDArray[np.int64]
    names: list[str]
    verified: NDArray[np.bool_] | None = None
    features: NDArray[np.float32] | None = None
    records: Records | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Rows) -> Samples:
        verified = None if self.verified is None else self.verified[rows]
        features = None if self.features is None else self.features[rows]
        records = None if self.records is None else self.records[rows]
        return Samples(self.images[rows], self.labels[rows], pick(self.names, rows), verified, features, records)

    @property
    def noun(self) -> str:
        """What one of them is called: image, text or row; embeddings are images that nobody has seen."""
        records = self.images if isinstance(self.images, Records) else self.records
        return "image" if records is None else records.noun


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
        by_class: whether the training samples come class by class, so that the first of them are no fair part.
        number_orders: what 0, 1 … in a file of labels may stand for: one list, or two where nobody says which; none
            is the classes, and then `unlabeled`.
        label_arrays: those that were read.
        unreadable: (part, file name, reason) of files among the images that are none, and of empty texts.
        encoder: what made features of texts, or of rows of a table; None of everything else.
    """

    classes: list[str]
    train: Samples
    heldout: Samples | None = None
    heldout_name: str = "none"
    original: NDArray[np.int64] | None = None
    unlabeled: list[str] = field(default_factory=list)
    others: dict[str, Samples] = field(default_factory=dict)
    dropped: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    by_class: bool = False
    number_orders: list[list[str]] = field(default_factory=list)
    label_arrays: tuple[LabelArray, ...] = ()
    unreadable: list[tuple[str, str, str]] = field(default_factory=list)
    encoder: RecordEncoder | None = None

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
    class_order: ClassOrder | None = None,
    merge_similar: bool = False,
) -> Dataset:
    """A source with its labels as numbers. Labels that are missing, and parts without any, are told.

    Args:
        unlabeled: words that mean "don't know", with commas between them (a CSV line).
        missing: what labels such as NaN are, see `missing_words`; keep: classes, but for an empty one.
        relabeled: other labels will take the place of these, so that a word of `unlabeled` need not occur yet.
        heldout: the part that accuracy is measured on; "test", or else "val", where not said. "train": none of the
            parts, so that some of the training part is held out.
        class_order: that of classes which are numbers, where the source does not say it.
        merge_similar: labels that `mixnn.data.words.bare` makes one are one class, in their most frequent spelling.

    Raises:
        InputError: there is no part of that name, or it has no label, a word of `unlabeled` does not occur, or a
            number is no place in the list of classes.
    """
    asked = split_words(unlabeled)
    words = set(source.classes or ()).union(*map(_words, source.parts.values()))
    for word in asked:
        if word not in words and not relabeled:
            some = ", ".join(map(repr, sort_words(words)[:20]))
            raise InputError(f"--data.unlabeled: no label is {word!r}: correct it; the labels are {some}")
    lost = [word for word in sort_words(missing_words(words)) if word not in asked]
    lost = [word for word in lost if missing == "unlabeled" or word == ""]
    unknown = [*asked, *lost]
    kept = [word for word in source.classes or sort_words(words - set(unknown)) if word not in unknown]
    if class_order is not None and (source.classes or source.numbers) is not None:
        raise InputError(f"--data.class-order {class_order}: this data says the order of its classes: leave it away")
    kept = sorted(kept) if class_order == "text" else kept
    orders = _number_orders(source, [*kept, *asked], class_order)
    merged = similar_words(_counts(source, kept)) if merge_similar else {}
    kept = [word for word in kept if word not in merged]
    orders = [[merged.get(word, word) for word in order] for order in orders]
    code = {word: i for i, word in enumerate(kept)} | {word: -1 - i for i, word in enumerate(unknown)}
    code |= {word: code[usual] for word, usual in merged.items()}
    parts = {name: _coded(name, part, code, source.classes or []) for name, part in source.parts.items()}
    given = [part.labels for name, part in parts.items() if name != "train" or not relabeled]
    tell_missing(
        {word: sum(int((labels == code[word]).sum()) for labels in given) for word in lost},
        kept if missing == "unlabeled" else (),
    )
    unreadable = [(name, *found) for name, part in source.parts.items() for found in part.unreadable]
    train = parts.pop("train")
    by_class = comes_by_class(train.labels)
    dataset = Dataset(kept, train, unlabeled=unknown, by_class=by_class, number_orders=orders, unreadable=unreadable)
    if heldout not in (None, "train", *parts):
        others = f"one of {', '.join(parts)}" if parts else "none, as there is no other"
        raise InputError(f"--data.heldout {heldout!r} is no part of the data to measure on: name {others}")
    _tell_unlabeled({name: part for name, part in parts.items() if name in (heldout, *HELDOUT)})
    if heldout in parts and not (parts[heldout].labels >= 0).any():
        raise InputError(f"--data.heldout {heldout}: no sample of that part has a label: leave it away")
    labeled = [name for name in HELDOUT if name in parts and (parts[name].labels >= 0).any()]
    measured = heldout or next(iter(labeled), "train")
    if measured == "train":
        return replace(dataset, others=parts)
    known = parts.pop(measured)
    known = known[np.flatnonzero(known.labels >= 0)] if (known.labels < 0).any() else known
    return replace(dataset, heldout=known, heldout_name=measured, others=parts)


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


def _number_orders(source: Source, words: list[str], class_order: ClassOrder | None) -> list[list[str]]:
    """The list, or both lists, that numbers in a file of labels may be places in, of classes and unlabeled words."""
    told = source.numbers or source.classes
    if told is not None:
        return [[*told, *(word for word in words if word not in told)]]
    ours = [word for word in words if word]
    orders = {"value": ours, "text": sorted(ours)}
    return [orders[class_order]] if class_order else [ours, *([orders["text"]] if orders["text"] != ours else [])]


def _counts(source: Source, words: Sequence[str]) -> Counter[str]:
    """How often each of `words` is a label."""
    counts = Counter(dict.fromkeys(words, 0))
    for part in source.parts.values():
        labels = (
            part.labels
            if source.classes is None or not isinstance(part.labels, np.ndarray)
            else [source.classes[place] for place in part.labels.tolist() if 0 <= place < len(source.classes)]
        )
        counts.update(word for word in labels if word in counts)
    return counts


def comes_by_class(labels: NDArray[np.int64]) -> bool:
    """Whether the order is nearer to one class after the other than to chance, by how often the label changes."""
    counts = np.unique(labels, return_counts=True)[1]
    changes, fewest = int((labels[1:] != labels[:-1]).sum()), len(counts) - 1
    by_chance = len(labels) - float(np.square(counts).sum()) / max(1, len(labels))
    return changes - fewest < (by_chance - fewest) / 2


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
