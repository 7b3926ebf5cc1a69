"""Other labels than the data's own for its training part: from a file, or from a person. Must not know: torch, runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from mixnn.data.dataset import Dataset, split_words
from mixnn.data.labels.corrections import check_corrections, read_corrections
from mixnn.data.labels.files import read_label_file
from mixnn.data.labels.missing import WORDS, missing_words, tell_missing
from mixnn.errors import InputError


def with_label_file(
    dataset: Dataset,
    spec: str,
    *,
    unlabeled: str | None = None,
    missing: Literal["unlabeled", "keep"] = "unlabeled",
    in_order: bool = False,
) -> Dataset:
    """`dataset` with the labels of a file; a sample whose label is empty is left out (what `mixnn apply` drops).

    Args:
        unlabeled, missing: see `build_dataset`.
        in_order: see `read_label_file`.

    Raises:
        InputError: the file is not about these samples and classes, or a word of `unlabeled` does not occur in it.
    """
    known, classes = [*dataset.classes, *dataset.unlabeled], len(dataset.classes)
    lost = sorted(missing_words([*WORDS, *dataset.classes, "-1"])) if missing == "unlabeled" else [""]
    others = [word for word in lost if word not in known]
    labels, array = read_label_file(spec, dataset, "--data.labels", others=others, in_order=in_order)
    others = [*dataset.unlabeled, *others]
    counts = dict(zip(others, np.bincount(labels, minlength=classes + len(others))[classes:].tolist(), strict=True))
    for word in split_words(unlabeled):
        if not counts[word]:
            raise InputError(f"--data.unlabeled: no label of {spec} is {word!r}: correct it")
    dropped = np.flatnonzero(labels == classes + others.index("")) if "" not in known else np.zeros(0, np.int64)
    lost = [word for word in lost if counts.get(word) and (word or "" in known)]
    tell_missing({word: counts[word] for word in lost}, where=f" in {spec}")
    unknown = [*dataset.unlabeled, *(word for word in lost if word not in known)]
    code = np.array([*range(classes), *(-1 - unknown.index(word) if word in unknown else 0 for word in others)])
    labels = code[labels]
    labels[dropped] = dataset.train.labels[dropped]
    arrays = dataset.label_arrays if array is None else (*dataset.label_arrays, array)
    train = replace(dataset.train, labels=labels)
    return replace(dataset, train=train, dropped=dropped, unlabeled=unknown, label_arrays=arrays)


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
