"""Reviewed labels as a list beside the data, for --data.labels. Must not know: file formats of data, torch."""

from __future__ import annotations

from pathlib import Path

from mixnn.data.dataset import Dataset
from mixnn.errors import InputError
from mixnn.results.apply.changes import ORIGINAL, Changes
from mixnn.utils.csv_files import write_csv


def clean_label_list(dataset: Dataset, changes: Changes, out: Path) -> None:
    """`file_name,label,original_label` of every training sample, in order; the label of one that goes is empty.

    Raises:
        InputError: a label is no class of the data, or an empty one would mean "don't know".
    """
    words, names = dataset.label_words(dataset.train.labels), dataset.train.names
    original, now = changes.of(names, words)
    known = {*dataset.classes, *dataset.unlabeled}
    for name, label in zip(names, now, strict=True):
        if label is None and "" in known:
            raise InputError(f"{name} cannot be dropped here: an empty label means an unlabeled one in this data")
        if label is not None and label not in known:
            raise InputError(
                f"{name} is {label!r}, but the classes of this data cannot become more: choose one of them"
            )
    write_csv(out, ["file_name", "label", ORIGINAL], zip(names, now, original, strict=True))
