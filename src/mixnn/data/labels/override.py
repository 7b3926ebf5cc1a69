"""Other labels than the data's own for its training part: from a file, or from a person. Must not know: torch, runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixnn.data.dataset import Dataset
from mixnn.data.labels.corrections import check_corrections, read_corrections
from mixnn.data.labels.files import read_label_file
from mixnn.errors import InputError


def with_label_file(dataset: Dataset, spec: str, *, in_order: bool = False) -> Dataset:
    """`dataset` with the labels of a file; a sample whose label is empty is left out (what `mixnn apply` drops).

    Args:
        in_order: see `read_label_file`.

    Raises:
        InputError: the file is not about these samples and classes, or a word of `unlabeled` does not occur in it.
    """
    empty, classes = None if "" in dataset.unlabeled else "", len(dataset.classes)
    labels, array = read_label_file(spec, dataset, "--data.labels", dropped=empty, in_order=in_order)
    dropped = np.flatnonzero(labels == classes + len(dataset.unlabeled))
    labels = np.where(labels < classes, labels, classes - 1 - labels)  # place C + i is unlabeled[i]
    labels[dropped] = dataset.train.labels[dropped]
    for i, word in enumerate(dataset.unlabeled):
        if not (labels == -1 - i).any():
            raise InputError(f"--data.unlabeled: no label of {spec} is {word!r}: correct it")
    arrays = dataset.label_arrays if array is None else (*dataset.label_arrays, array)
    return replace(dataset, train=replace(dataset.train, labels=labels), dropped=dropped, label_arrays=arrays)


def with_corrections(dataset: Dataset, path: str) -> Dataset:
    """`dataset` with what a person decided: labels that are verified, and samples to leave out.

    What is kept without a label, as nobody knows one, is not verified.

    Raises:
        InputError: the file is none of corrections, or not about these samples and classes.
    """
    words, train = [*dataset.classes, *dataset.unlabeled], dataset.train
    corrections = read_corrections(path, words)
    check_corrections(corrections, path, train.names, words)
    place = {word: i if i < len(dataset.classes) else len(dataset.classes) - 1 - i for i, word in enumerate(words)}
    labels, verified = train.labels.copy(), np.zeros(len(train), dtype=bool)
    dropped: list[int] = dataset.dropped.tolist()
    for row, name in enumerate(train.names):
        found = corrections.get(name)
        if found is None:
            continue
        if found.label is None:
            dropped.append(row)
        else:
            labels[row] = place[found.label]
            verified[row] = labels[row] >= 0
    return replace(
        dataset, train=replace(train, labels=labels, verified=verified), dropped=np.unique(np.array(dropped, np.int64))
    )
