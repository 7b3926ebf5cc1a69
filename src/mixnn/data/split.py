"""From what a source holds to what a run trains on: noise, hold-out, limit. Must not know: file formats, torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Dataset, Samples
from mixnn.errors import InputError


def prepare(
    dataset: Dataset, *, holdout: float = 0.1, imbalance: float = 1.0, limit: int | None = None, seed: int = 0
) -> Dataset:
    """Leave out what was thrown out, draw a hold-out where the source has no test part, thin classes out, keep
    `limit`, check.

    Held-out samples have the labels of before any noise was added.

    Args:
        holdout: share of each class, in 0–1; at least one sample a class unless 0. Unlabeled ones stay.
        imbalance: see `long_tail`; 1 leaves nothing out.
        limit: so many of these training samples are used: the first, or where they come class by class, a
            `stratified_part`.
        seed: of the hold-out.

    Raises:
        InputError: an argument is out of range, or a class has too few images.
    """
    if not 0 <= holdout < 1:
        raise InputError(f"--data.holdout is {holdout:g}: use a share from 0 up to, not including, 1")
    if limit is not None and limit < 2:
        raise InputError(f"--limit is {limit}: use at least 2")
    dataset = without_dropped(dataset)
    check_counts(dataset, "")
    if dataset.heldout is None and holdout > 0:
        clean = dataset.train.labels if dataset.original is None else dataset.original
        held = draw_stratified(clean, holdout, seed)
        heldout = replace(dataset.train, labels=clean)[np.flatnonzero(held)]
        dataset = replace(keep_train(dataset, np.flatnonzero(~held)), heldout=heldout, heldout_name="holdout")
    if imbalance > 1:
        clean = dataset.train.labels if dataset.original is None else dataset.original
        dataset = keep_train(dataset, long_tail(clean, len(dataset.classes), imbalance))
    if limit is not None and limit < len(dataset.train):
        clean = dataset.train.labels if dataset.original is None else dataset.original
        dataset = keep_train(dataset, stratified_part(clean, limit) if dataset.by_class else np.arange(limit))
        check_counts(dataset, f" among {'' if dataset.by_class else 'the first '}{limit} (--limit)", least=1)
    return dataset


def keep_train(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """`dataset` with these rows of its training part only."""
    original = None if dataset.original is None else dataset.original[rows]
    return replace(dataset, train=dataset.train[rows], original=original)


def without_dropped(dataset: Dataset) -> Dataset:
    """`dataset` without the training samples that a person has thrown out."""
    rows = np.delete(np.arange(len(dataset.train)), dataset.dropped)
    return replace(keep_train(dataset, rows), dropped=dataset.dropped[:0]) if len(dataset.dropped) else dataset


def draw_stratified(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """A mask (N,) with `fraction` of every class, rounded, at least one and never all; none below 0."""
    random = np.random.RandomState(seed)
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        mask[random.permutation(rows)[:count]] = True
    return mask


def stratified_part(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows (count,) in ascending order: of each label its share, at least one where `count` allows it.

    They are the same whatever the seed, and among those of a larger `count`, as the first rows would be.
    """
    shuffled, place = np.random.RandomState(0).permutation(len(labels)), np.empty(len(labels))
    for label in np.unique(labels):
        rows = shuffled[labels[shuffled] == label]
        place[rows] = np.arange(len(rows)) / len(rows)
    return np.sort(np.argsort(place, kind="stable")[:count])


def long_tail(labels: NDArray[np.int64], num_classes: int, factor: float) -> NDArray[np.int64]:
    """Rows that make the classes a long tail: class c keeps n F^(-c / (C - 1)) of its first samples.

    Cui, Jia, Lin, Song & Belongie, "Class-Balanced Loss Based on Effective Number of Samples", arXiv 1901.05555.

    Args:
        labels: (N,), the right ones; samples below 0 stay.
        num_classes: C.
        factor: F ≥ 1, how many times the last class is rarer than the first.

    Returns:
        Rows in ascending order; n is the size of the smallest class, so that the tail is as steep as said.
    """
    size = np.bincount(labels[labels >= 0], minlength=num_classes).min()
    keep = labels < 0
    for label in range(num_classes):
        share = factor ** (-label / max(1, num_classes - 1))
        count = max(1, int(size * share + 1e-9))  # cut off, as published code does
        keep[np.flatnonzero(labels == label)[:count]] = True
    return np.flatnonzero(keep)


def fingerprint(samples: Samples, checksums: NDArray[np.uint32], classes: Sequence[str]) -> str:
    """A hash of everything a checkpoint depends on: images, labels, names, classes, which labels are verified.

    Args:
        checksums: (N,), of each image's pixels, see `mixnn.data.images.cache`.
    """
    digest = hashlib.sha256(checksums.tobytes())
    digest.update(samples.labels.tobytes())
    digest.update("\0".join([*samples.names, *classes]).encode("utf-8", "surrogateescape"))
    if samples.verified is not None:
        digest.update(samples.verified.tobytes())
    return digest.hexdigest()


def check_counts(dataset: Dataset, where: str, least: int = 2) -> None:
    """Raise InputError unless there are two classes, each with `least` training samples."""
    if len(dataset.classes) < 2:
        if not dataset.classes:
            raise InputError("the data has no class, all labels are unlabeled ones: correct --data.unlabeled")
        found = ", ".join(dataset.classes)
        raise InputError(f"the data has one class only ({found}): give a folder, or a label, for each class")
    labels = dataset.train.labels if dataset.original is None else dataset.original
    counts = np.bincount(labels[labels >= 0], minlength=len(dataset.classes))
    for name, count in zip(dataset.classes, counts, strict=True):
        if count < least:
            images = "one image" if count == 1 else "no image"
            fix = "use a larger --limit" if "--limit" in where else "add images of it, or move them to another class"
            raise InputError(f"class {name!r} has {images}{where}, at least {least} are needed: {fix}")
