"""What can be wrong with labeled images, told from labels and keys. Must not know: how to open a file, torch."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import HELDOUT, Dataset, Samples
from mixnn.data.images.decoder import BadImage
from mixnn.data.images.encoded import EncodedImages
from mixnn.data.records.records import Records
from mixnn.data.words import similar_words

MIN_TO_SPLIT, SMALL_CLASS = 2, 10  # training samples of a class: fewer cannot be split, fewer are hardly learned
WRONG, NOTE = "wrong", "note"

# finding -> severity, and what to say of it; in the order they are told
KINDS = {
    "conflicting labels": (WRONG, "the same image under another label"),
    "leak": (WRONG, "the same image in a part to train on and in one to measure on, or in two of these"),
    "unreadable": (WRONG, "images that cannot be read"),
    "similar labels": (
        WRONG,
        "labels that differ only by case, spaces, or how Unicode or a number is written; "
        "--data.merge-similar-labels true makes them one",
    ),
    "near conflict": (WRONG, "nearly the same image under another label"),
    "near leak": (WRONG, "nearly the same image in a part to train on and in one to measure on, or in two of these"),
    "class too small": (WRONG, f"classes with fewer than {MIN_TO_SPLIT} training samples, which cannot be split"),
    "one class": (WRONG, "there is nothing to tell apart"),
    "duplicate": (NOTE, "the same image again, under the same label or where one is unlabeled"),
    "near duplicate": (NOTE, "nearly the same image again: re-encoded, cropped, mirrored, or the next of a series"),
    "outlier": (NOTE, "samples unlike all others"),
    "in two parts": (NOTE, "the same image in two parts of which none is measured on"),
    "small class": (NOTE, f"classes with fewer than {SMALL_CLASS} training samples"),
    "class not measured": (NOTE, "classes without samples in the part that accuracy is measured on"),
    "unlabeled": (NOTE, "samples whose label says that nobody knows"),
}


class Finding(NamedTuple):
    """One thing to look at. What does not apply is empty.

    Attributes:
        kind: one of `KINDS`.
        part, file_name, label: the sample it is about; the label alone where it is about a class.
        other_part, other_file_name, other_label: what it is compared with.
        detail: reason or count.
        row: place of the sample in its part; -1 where it is about a class.
    """

    kind: str
    part: str = ""
    file_name: str = ""
    label: str = ""
    other_part: str = ""
    other_file_name: str = ""
    other_label: str = ""
    detail: str = ""
    row: int = -1

    @property
    def severity(self) -> str:
        return KINDS[self.kind][0]


def label_findings(dataset: Dataset) -> list[Finding]:
    """All that shows without opening a file: classes, spellings, and files that are listed twice.

    Without "one class", which stops a run with a line of its own.
    """
    findings = [*class_findings(dataset), *repeat_findings(dataset, path_keys(dataset))]
    return [finding for finding in findings if finding.kind != "one class"]


def parts_of(dataset: Dataset) -> dict[str, Samples]:
    """All parts by name: train, what is measured on, the others."""
    heldout = {} if dataset.heldout is None else {dataset.heldout_name: dataset.heldout}
    return {"train": dataset.train, **heldout, **dataset.others}


def class_findings(dataset: Dataset) -> Iterator[Finding]:
    """About each label: how many samples it has, how it is spelled."""
    counts = {name: label_counts(samples, dataset) for name, samples in parts_of(dataset).items()}
    yield from _similar_labels(sum(counts.values(), Counter()))  # which leaves out labels that nothing has
    train, heldout = counts["train"], counts.get(dataset.heldout_name)
    if len(dataset.classes) < 2:
        yield Finding("one class", label="".join(dataset.classes))
    for word in dataset.classes:
        if train[word] < SMALL_CLASS:
            yield Finding(
                "class too small" if train[word] < MIN_TO_SPLIT else "small class",
                "train",
                label=word,
                detail=str(train[word]),
            )
        if heldout is not None and not heldout[word]:
            yield Finding("class not measured", dataset.heldout_name, label=word)
    for name, count in counts.items():
        for word in dataset.unlabeled:
            if count[word]:
                yield Finding("unlabeled", name, label=word, detail=str(count[word]))


def label_counts(samples: Samples, dataset: Dataset) -> Counter[str]:
    """Samples of each class and each word for "don't know"; 0 is said too."""
    labels, words = samples.labels, [*dataset.classes, *reversed(dataset.unlabeled)]
    counts = np.bincount(np.where(labels < 0, labels + len(words), labels), minlength=len(words))
    return Counter(dict(zip(words, counts.tolist(), strict=True)))


def _similar_labels(counts: Counter[str]) -> Iterator[Finding]:
    """Each spelling but the most frequent of its kind."""
    for word, usual in similar_words(counts).items():
        yield Finding(
            "similar labels", label=word, other_label=usual, detail=f"{counts[word]} beside {counts[usual]} samples"
        )


def repeat_findings(dataset: Dataset, keys: NDArray[np.uint64]) -> Iterator[Finding]:
    """Samples with the same key. Each is compared with one of its group, the first that has a label.

    Args:
        keys: (N, 2), over all parts in order; equal where two samples are the same image.
    """
    measured = {*HELDOUT, dataset.heldout_name}
    unknown = np.concatenate([samples.labels < 0 for samples in parts_of(dataset).values()])
    sample = locator(dataset)
    for row, first in _repeated(keys, unknown):
        (part, name, label, part_row), (other_part, other_name, other_label, _) = sample(row), sample(first)
        conflict = label != other_label and not unknown[row] and not unknown[first]
        kinds = ["conflicting labels"] if conflict else []
        if part != other_part:
            kinds.append("leak" if measured & {part, other_part} else "in two parts")
        elif not conflict:
            kinds.append("duplicate")
        detail = "listed twice" if name == other_name else "the same content"
        for kind in kinds:
            yield Finding(kind, part, name, label, other_part, other_name, other_label, detail, part_row)


def near_duplicate_findings(dataset: Dataset, pairs: NDArray[np.int64], keys: NDArray[np.uint64]) -> Iterator[Finding]:
    """Each sample beside the nearest that comes before it; copies are told by `repeat_findings`.

    Args:
        pairs: int64 (M, 2), rows counted over all parts, the smaller first, the nearest pair first.
        keys: (N, 2), equal where two samples are the same image.
    """
    measured = {*HELDOUT, dataset.heldout_name}
    sample = locator(dataset)
    unknown = np.concatenate([samples.labels < 0 for samples in parts_of(dataset).values()])
    pairs = pairs[(keys[pairs[:, 0]] != keys[pairs[:, 1]]).any(1)]
    _, first = np.unique(pairs[:, 1], return_index=True)
    for one, row in pairs[np.sort(first)].tolist():
        (part, name, label, part_row), (other_part, other_name, other_label, _) = sample(row), sample(one)
        kinds = ["near conflict"] if label != other_label and not unknown[row] and not unknown[one] else []
        if part != other_part and measured & {part, other_part}:
            kinds.append("near leak")
        for kind in kinds or ["near duplicate"]:
            yield Finding(kind, part, name, label, other_part, other_name, other_label, "nearly the same", part_row)


def outlier_findings(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[Finding]:
    """`rows`, counted over all parts, the farthest out first."""
    sample = locator(dataset)
    for row in rows.tolist():
        part, name, label, part_row = sample(row)
        yield Finding("outlier", part, name, label, row=part_row)


def locator(dataset: Dataset) -> Callable[[int], tuple[str, str, str, int]]:
    """A function from a row, counted over all parts, to part, file name, label and row in that part."""
    parts = parts_of(dataset)
    starts = np.cumsum([0, *(len(samples) for samples in parts.values())])

    def sample(row: int) -> tuple[str, str, str, int]:
        place = int(np.searchsorted(starts, row, side="right")) - 1
        (part, samples), part_row = list(parts.items())[place], row - int(starts[place])
        return part, samples.names[part_row], dataset.label_words(samples.labels[part_row : part_row + 1])[0], part_row

    return sample


def unreadable_findings(dataset: Dataset, reasons: Mapping[int, str]) -> Iterator[Finding]:
    """`reasons` by row, counted over all parts."""
    sample = locator(dataset)
    for row in sorted(reasons):
        part, name, label, part_row = sample(row)
        yield Finding("unreadable", part, name, label, detail=reasons[row], row=part_row)


def _repeated(keys: NDArray[np.uint64], last: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Each row whose key an earlier one has, beside the first such; rows of `last` count as late."""
    order = np.lexsort((last, keys[:, 0], keys[:, 1]))  # stable: ties in the order of rows
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(1)
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    rows = np.flatnonzero(first != np.arange(len(keys)))
    return zip(rows.tolist(), first[rows].tolist(), strict=True)


def path_keys(dataset: Dataset) -> NDArray[np.uint64]:
    """(N, 2), over all parts in order: equal where two samples name the same file. No file is opened.

    What is no file has a key of its own, as the names of arrays and of bytes in a table may mean nothing.
    """
    total = sum(len(samples) for samples in parts_of(dataset).values())
    keys = np.stack([np.zeros(total, dtype=np.uint64), np.arange(total, dtype=np.uint64)], axis=1)
    start = 0
    for samples in parts_of(dataset).values():
        images = samples.images if samples.records is None else samples.records
        if isinstance(images, Records):
            keys[start : start + len(samples)] = as_keys([content_digest(images.source(i)) for i in range(len(images))])
        elif not isinstance(images, np.ndarray) and are_files(images):
            paths = (_path(images, row, name) for row, name in enumerate(samples.names))
            keys[start : start + len(samples)] = as_keys(map(text_digest, paths))
        start += len(samples)
    return keys


def are_files(images: EncodedImages) -> bool:
    """Whether these are paths, which the first says that is anything."""
    for row in range(len(images)):
        try:
            return isinstance(images.source(row), str)
        except BadImage:
            continue
    return False


def _path(images: EncodedImages, row: int, name: str) -> str:
    try:
        source = images.source(row)
    except BadImage:
        return name
    return os.path.normpath(source) if isinstance(source, str) else f"{row}\0"


def text_digest(text: str) -> bytes:
    return content_digest(text.encode("utf-8", "surrogatepass"))


def content_digest(content: bytes) -> bytes:
    """16 bytes that no two different contents share."""
    return hashlib.blake2b(content, digest_size=16).digest()


def as_keys(digests: Iterable[bytes]) -> NDArray[np.uint64]:
    """Digests as (n, 2)."""
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)
