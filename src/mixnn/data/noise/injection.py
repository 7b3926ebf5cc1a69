"""Noise for a whole data set, and the record of it. Must not know: how images are decoded, torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Dataset, LabelArray, Samples
from mixnn.data.labels.files import read_label_file
from mixnn.data.noise.instance_dependent import corrupt_by_image
from mixnn.data.noise.transition import FROM_FILE, RATED, corrupt, parse_noise, parse_rate, transition_matrix
from mixnn.data.numpy_files import load_array
from mixnn.data.records.records import Records
from mixnn.data.split import check_counts
from mixnn.errors import InputError
from mixnn.utils.csv_files import csv_rows

ROUNDING = 1e-3  # how far the sum of a matrix row may be from one


def check_noise(noise: str) -> None:
    """Raise InputError for all that is wrong with `kind:value` whatever the data."""
    kind, value = parse_noise(noise)
    if kind in RATED:
        parse_rate(kind, value)
    elif kind == "matrix":
        read_matrix(value)
    elif not any(Path(path).is_file() for path in (value, value.rpartition(":")[0])):
        raise InputError(f"--noise {noise}: no such file; write it as file:FILE, or file:FILE:KEY")


def add_noise(
    dataset: Dataset,
    noise: str,
    seed: int,
    thumbnails: Callable[[Samples], NDArray[np.uint8]],
    *,
    in_order: bool = False,
) -> Dataset:
    """`dataset` with noisy labels in its training part, and those of before as `original`.

    Unlabeled samples stay so, and labels that are verified stay what they are. Same data, noise and seed, same
    labels on every machine; for `instance` noise on compressed images, where these decode to the same pixels.

    Args:
        noise: kind and value, such as asymmetric:0.4 or file:labels.csv; see `mixnn.data.noise.transition`.
        seed: in 0–2^32-1.
        thumbnails: gives uint8 (n, 32, 32, 3) for the images of n samples; asked for `instance` noise only.
        in_order: a person says that labels of a file without names are in the order of the data.

    Raises:
        InputError: the noise is not defined for these classes, or its file does not go with the data.
    """
    check_counts(dataset, "", least=0)
    kind, value = parse_noise(noise)
    labels, classes = dataset.train.labels, dataset.classes
    if kind == "file":
        noisy, array = labels_from_file(dataset, value, in_order=in_order)
        dataset = replace(dataset, label_arrays=(*dataset.label_arrays, *([array] if array else [])))
    elif kind == "matrix":
        noisy = corrupt(labels, read_matrix(value, classes), seed)
    elif kind == "instance":
        images = dataset.train.images
        if isinstance(images, Records):
            fix = "give it to `mixnn find` or `mixnn train`, which make features first"
            raise InputError(f"--noise {noise} depends on the sample, and these are {dataset.train.noun}s: {fix}")
        inputs = images if isinstance(images, np.ndarray) and images.ndim == 2 else thumbnails(dataset.train)
        noisy = corrupt_by_image(labels, inputs, rate=parse_rate(kind, value), classes=len(classes), seed=seed)
    else:
        noisy = corrupt(labels, transition_matrix(kind, parse_rate(kind, value), classes), seed)
    if dataset.train.verified is not None:
        noisy = np.where(dataset.train.verified, labels, noisy)  # after the draw: all others get what they had
    return replace(dataset, train=replace(dataset.train, labels=noisy), original=labels)


def labels_from_file(
    dataset: Dataset, spec: str, *, in_order: bool = False
) -> tuple[NDArray[np.int64], LabelArray | None]:
    """(N,), what a label file says of the training part; the unlabeled and the verified keep theirs."""
    labels, classes = dataset.train.labels, dataset.classes
    kept = labels < 0 if dataset.train.verified is None else (labels < 0) | dataset.train.verified
    # A file of `mixnn corrupt` has the words for "don't know" too.
    given, array = read_label_file(spec, dataset, "--noise file", in_order=in_order)
    lost = np.flatnonzero((given >= len(classes)) & ~kept)
    if len(lost):
        name, word = dataset.train.names[lost[0]], dataset.unlabeled[given[lost[0]] - len(classes)]
        raise InputError(f"--noise file:{spec}: {name} has a label in the data, but {word!r} in the file: give it one")
    return np.where(kept, labels, given), array


def read_matrix(path: str, classes: list[str] | None = None) -> NDArray[np.float64]:
    """A transition matrix (C, C) from a .npy, or a .csv without headings; row a is what class a is labeled.

    Rows may be off one by a thousandth, as rounded numbers are, and are then scaled to it.

    Args:
        classes: C names; where None, any C will do.

    Raises:
        InputError: the file cannot be read, or holds no such matrix.
    """
    where = f"--noise matrix:{path}"
    try:
        rows = load_array(Path(path)) if path.lower().endswith(".npy") else [row for _, row in csv_rows(path)]
        matrix = np.array(rows, dtype=np.float64)
    except InputError as error:
        raise InputError(f"--noise matrix: {error}") from error
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}): give a .csv or .npy") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{where} holds no matrix of numbers ({' '.join(str(error).split())}): correct it") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{where} has the shape {matrix.shape}: give a row and a column for each class")
    if classes is not None and len(matrix) != len(classes):
        raise InputError(f"{where} is for {len(matrix)} classes, the data has {len(classes)}: give another")
    for i, row in enumerate(matrix):
        of = f"row {i + 1}" + (f" ({classes[i]})" if classes else "")
        if not (row >= 0).all():  # not so for NaN either
            raise InputError(f"{where}: {of} holds {row[~(row >= 0)][0]:g}: probabilities are 0 or more")
        if not abs(row.sum() - 1) <= ROUNDING:
            raise InputError(f"{where}: {of} sums to {row.sum():g}: make it one")
    return np.asarray(matrix / matrix.sum(1, keepdims=True), dtype=np.float64)


def noise_record(dataset: Dataset, noise: str, seed: int) -> dict[str, Any]:
    """What noise.json holds, so that others can use or check the very same labels.

    `labels_sha256` is the SHA-256, in hexadecimal, of the noisy labels of all training samples in order, each as
    a little-endian 64-bit integer: its place, from 0, in `classes`; -1, -2 … for the unlabeled.

    Args:
        dataset: as `add_noise` gave it; `flipped` holds places in its training part.
        noise, seed: as given to `add_noise`.
    """
    kind, value = parse_noise(noise)
    labels, c = dataset.train.labels, len(dataset.classes)
    before = labels if dataset.original is None else dataset.original
    known, flipped = np.flatnonzero(before >= 0), np.flatnonzero(labels != before)
    definition: dict[str, Any] = {"noise": printable(noise), "kind": kind, "meaning": (RATED | FROM_FILE)[kind]}
    if kind in RATED:
        definition["rate"] = parse_rate(kind, value)
    if kind == "matrix":
        definition["matrix"] = read_matrix(value, dataset.classes).tolist()
    return {
        "definition": definition,
        "seed": seed,
        "classes": [printable(name) for name in dataset.classes],
        "samples": len(labels),
        "unlabeled": len(labels) - len(known),
        "flipped_share": len(flipped) / max(1, len(known)),
        "transition_counts": transition_counts(before[known], labels[known], c).tolist(),
        "flipped": flipped.tolist(),
        "labels_sha256": hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(),
    }


def transition_counts(before: NDArray[np.int64], after: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(C, C): [a, b] is how many samples of class a are labeled b, of n with labels (n,) each."""
    return np.bincount(before * classes + after, minlength=classes**2).reshape(classes, classes)


def printable(text: str) -> str:
    r"""`text` that any file and screen takes: bytes of a name that are no UTF-8 show as \xff."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
