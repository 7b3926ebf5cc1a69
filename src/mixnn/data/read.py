"""From DATA to names and labels, as the options say. Must not know: images, torch, methods."""

from __future__ import annotations

from typing import Any

from mixnn.config import DataOptions
from mixnn.data.dataset import Dataset, Source, build_dataset
from mixnn.data.labels.override import with_corrections, with_label_file
from mixnn.data.readers import Columns, read_source


def columns_of(data: DataOptions) -> Columns:
    """What the options say of columns and folders."""
    return Columns(
        data.image_column,
        data.label_column,
        data.split_column,
        data.root,
        data.layout,
        data.text_column,
        data.columns,
        data.id_column,
    )


def read(source: str | Source, data: DataOptions) -> Dataset:
    """Names and labels, as the options say; what is to be left out is still there.

    Args:
        source: DATA, or what is in memory.

    Raises:
        InputError: the source or an option is wrong.
    """
    columns = columns_of(data)
    how: dict[str, Any] = {
        "unlabeled": data.unlabeled,
        "missing": data.missing_labels,
        "heldout": data.heldout,
        "relabeled": data.labels is not None,
        "class_order": data.class_order,
        "merge_similar": data.merge_similar_labels,
    }
    if isinstance(source, Source):
        columns.refuse("is about files, and the data is in memory")
        columns.refuse("is about files, and the data is in memory", ("layout",))
        dataset = build_dataset(source, **how)
    else:
        dataset = read_source(source, columns=columns, cache_dir=data.cache_dir, **how)
    if data.labels is not None:
        dataset = with_label_file(
            dataset,
            data.labels,
            unlabeled=data.unlabeled,
            missing=data.missing_labels,
            in_order=data.labels_order == "given",
        )
    if data.corrections is not None:
        dataset = with_corrections(dataset, data.corrections)
    return dataset
