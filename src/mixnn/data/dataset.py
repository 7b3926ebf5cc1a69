"""Labelled images in memory, split and limited. Must not know: file formats, torch, methods."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mixnn.data.noise import corrupt, parse_noise, transition_matrix
from mixnn.errors import InputError


@dataclass(frozen=True)
class Samples:
    """Images with labels.

    Attributes:
        images: uint8 (N, H, W, 3).
        labels: int64 (N,), places in the list of classes.
        names: N file names, relative to the data, or a stand-in such as `train/00017`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Samples:
        return Samples(self.images[rows], self.labels[rows], np.asarray(self.names, dtype=object)[rows].tolist())


@dataclass(frozen=True)
class Dataset:
    """What a reader gives, and what a run uses.

    Attributes:
        classes: C names.
        train: the samples to train on.
        heldout: samples kept apart for accuracy; None where the source has none and none were drawn.
        heldout_name: what to call them, e.g. "test" or "holdout".
        original: int64 (N,), the labels of `train` before noise was added; None where none was.
    """

    classes: list[str]
    train: Samples
    heldout: Samples | None = None
    heldout_name: str = "none"
    original: NDArray[np.int64] | None = None


def prepare(
    dataset: Dataset, *, holdout: float = 0.1, limit: int | None = None, noise: str | None = None, seed: int = 0
) -> Dataset:
    """Draw a hold-out where the source has no test part, keep the first `limit`, add noise, check.

    Args:
        holdout: share of each class, in 0–1; at least one sample a class unless 0.
        limit: the first so many training samples are used.
        noise: `kind:rate`, added to the training part only; None adds none.
        seed: of the hold-out and of the noise.

    Raises:
        InputError: an argument is out of range, or a class has too few images.
    """
    if not 0 <= holdout < 1:
        raise InputError(f"--data.holdout is {holdout:g}: use a share from 0 up to, not including, 1")
    if limit is not None and limit < 2:
        raise InputError(f"--limit is {limit}: use at least 2")
    _check_counts(dataset, "")
    if dataset.heldout is None and holdout > 0:
        held = draw_stratified(dataset.train.labels, holdout, seed)
        dataset = replace(
            dataset,
            train=dataset.train[np.flatnonzero(~held)],
            heldout=dataset.train[np.flatnonzero(held)],
            heldout_name="holdout",
        )
    if limit is not None:
        dataset = replace(dataset, train=dataset.train[slice(limit)])
        _check_counts(dataset, f" among the first {limit} (--limit)", least=1)
    if noise is not None:
        transition = transition_matrix(*parse_noise(noise), dataset.classes)
        labels = corrupt(dataset.train.labels, transition, seed)
        dataset = replace(dataset, train=replace(dataset.train, labels=labels), original=dataset.train.labels)
    return dataset


def draw_stratified(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """A mask (N,) with `share` of every class, rounded, at least one and never all."""
    random = np.random.RandomState(seed)
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        mask[random.permutation(rows)[:count]] = True
    return mask


def fingerprint(samples: Samples, classes: Sequence[str]) -> str:
    """A hash of everything a checkpoint depends on: images, labels, names, classes."""
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(samples.images).data)
    digest.update(samples.labels.tobytes())
    digest.update("\0".join([*samples.names, *classes]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _check_counts(dataset: Dataset, where: str, least: int = 2) -> None:
    if len(dataset.classes) < 2:
        found = ", ".join(dataset.classes)
        raise InputError(f"the data has one class only ({found}): give a folder, or a label, for each class")
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    for name, count in zip(dataset.classes, counts, strict=True):
        if count < least:
            images = "one image" if count == 1 else "no image"
            fix = "use a larger --limit" if where else "add images, or remove the class"
            raise InputError(f"class {name!r} has {images}{where}, at least {least} are needed: {fix}")
