"""The labels of several annotators, as a user gives them. Must not know: the rule, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.labels.missing import is_missing
from mixnn.errors import InputError
from mixnn.evidence.inputs import coded_labels
from mixnn.label_quality.votes import Votes, sorted_votes
from mixnn.utils.console import note

ITEM = ("item", "task", "file_name", "filename", "image", "sample", "item_id", "task_id", "example", "id")
ANNOTATOR = ("annotator", "worker", "user", "labeler", "labeller", "rater", "annotator_id", "worker_id", "user_id")
LABEL = ("label", "annotation", "answer", "class", "category", "vote")
SHOWN = 5  # names in a message


class Labels(NamedTuple):
    """The labels as places, and what these stand for."""

    votes: Votes
    items: list[Any]
    annotators: list[Any]
    classes: list[Any]


def read_votes(labels: Any, items: Any = None, annotators: Any = None, all_items: Any = None) -> Labels:
    """A table (N, M), or a row for each label, as numbers.

    Args:
        labels: see `find_consensus`.
        items: N or V names.
        annotators: M or V names.
        all_items: N names in their order, where there is a row for each label.

    Raises:
        InputError: a shape does not fit, a column is missing, or a name is.
    """
    columns = {str(name).strip().lower(): name for name in getattr(labels, "columns", ())}
    found = [next((columns[word] for word in words if word in columns), None) for words in (ITEM, ANNOTATOR, LABEL)]
    if None not in found and items is None and annotators is None:
        items, annotators, labels = (labels[name] for name in found)
    elif columns:
        annotators = list(labels.columns) if annotators is None else annotators
        index = getattr(labels, "index", None)
        items = index if items is None and index is not None else items
        labels = np.stack([as_array(labels[name]).astype(object) for name in labels.columns], 1)
    array = as_array(labels)
    if array.ndim == 1 and items is not None and annotators is not None:
        return long_table(array, as_array(items), as_array(annotators), all_items)
    if array.ndim == 1:
        array = array[:, None]  # one annotator
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"labels have the shape {array.shape}: give (N, M), a column for each annotator; or (V,) with items and "
            "annotators (V,)"
        )
    if all_items is not None:
        raise InputError("feature_items is for a row for each label, and labels have a row for each item: leave it out")
    n, m = array.shape
    places, given, classes = coded(array.ravel())
    item_names = list(range(n)) if items is None else unique_names(items, n, "items", "row")
    who = list(range(m)) if annotators is None else unique_names(annotators, m, "annotators", "column")
    votes = sorted_votes(places // m, places % m, given, (n, m, len(classes)))
    return Labels(votes, item_names, who, classes)


def long_table(labels: NDArray[Any], items: NDArray[Any], annotators: NDArray[Any], all_items: Any) -> Labels:
    """A row for each label: whole numbers as items are in their order, names in the order in which they come."""
    for what, names in (("items", items), ("annotators", annotators)):
        if names.shape != labels.shape:
            raise InputError(f"{what} have the shape {names.shape}: give one for each of {len(labels):,} labels")
        gone = np.array([is_missing(name) for name in names.tolist()], dtype=bool)
        if gone.any():
            raise InputError(f"{what}: row {int(gone.argmax())} has none ({int(gone.sum()):,} rows): fill it in")
    rows, given, classes = coded(labels)
    item_names, item = numbered(items.tolist(), None if all_items is None else list(as_array(all_items).tolist()))
    who, annotator = numbered(annotators.tolist(), None)
    shape = (len(item_names), len(who), len(classes))
    votes = sorted_votes(item[rows], annotator[rows], given, shape)
    shared = int((votes.weight < 1).sum())
    if shared:
        note(f"{shared:,} labels are of annotators who gave an item several: together they count as one")
    return Labels(votes, item_names, who, classes)


def numbered(names: list[Any], order: list[Any] | None) -> tuple[list[Any], NDArray[np.int64]]:
    """The names, each once, and the place of each; in `order` where it is given.

    Raises:
        InputError: `order` has a name twice, or lacks one.
    """
    distinct = list(dict.fromkeys(names))
    if order is None:
        numbers = all(isinstance(name, int) for name in distinct)
        order = sorted(distinct) if numbers else distinct
    place = {name: i for i, name in enumerate(order)}
    if len(place) < len(order):
        twice = next(name for i, name in enumerate(order) if place[name] != i)
        raise InputError(f"feature_items has {twice!r} twice: give each item once")
    unknown = [name for name in distinct if name not in place]
    if unknown:
        raise InputError(f"feature_items lacks {unknown[0]!r} ({len(unknown):,} items): add it, with its features")
    return order, np.array([place[name] for name in names], dtype=np.int64)


def coded(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Any]]:
    """Which labels are there (V,), their places among the classes (V,), and the classes."""
    if labels.dtype.kind == "f":
        rows = np.flatnonzero(~np.isnan(labels))
        values, inverse = np.unique(labels[rows], return_inverse=True)
    elif labels.dtype.kind in "iub":
        rows = np.arange(len(labels))
        values, inverse = np.unique(labels, return_inverse=True)
    else:
        rows = np.array([i for i, label in enumerate(labels.tolist()) if not is_missing(label)], dtype=np.int64)
        code: dict[Any, int] = {}
        inverse = np.array([code.setdefault(label, len(code)) for label in labels[rows].tolist()], dtype=np.int64)
        values = np.empty(len(code), dtype=object)
        values[:] = list(code)
    classes, given, lost = coded_labels(values)
    counts = np.bincount(inverse, minlength=len(values))
    words = {str(values[i]): int(counts[i]) for i in np.flatnonzero(lost).tolist()}
    if words:
        shown = ", ".join(f"{word!r} {count:,}" for word, count in words.items())
        note(f"labels that say that there is none: {shown}; give them other names to have classes")
    labeled = given[inverse] >= 0
    return rows[labeled], given[inverse[labeled]], classes


def as_array(values: Any) -> NDArray[Any]:
    """Raises InputError where these are no rows of the same length; text beside None or NaN stays what it is."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "U" and isinstance(values, (list, tuple)):
            array = np.asarray(values, dtype=object)
    except ValueError as error:
        raise InputError(
            f"labels are no table ({error}): give each item as many cells, None where there is none"
        ) from None
    return array


def unique_names(names: Any, count: int, what: str, part: str) -> list[Any]:
    """Raises InputError unless there is one for each row or column, and none twice."""
    found: list[Any] = as_array(names).tolist()
    if len(found) != count or len(set(found)) != count:
        held = f"{len(found):,} names, {len(set(found)):,} of them different"
        raise InputError(f"{what} has {held}: give one for each of {count:,} {part}s")
    return found


def feature_rows(features: Any, items: Sequence[Any]) -> Any:
    """The rows of a pandas table in the order of `items`, where its index names them; other features as they are.

    Raises:
        InputError: the index lacks an item.
    """
    index = getattr(features, "index", None)
    if index is None or callable(index) or list(index) == list(range(len(index))):
        return features
    place = {name: i for i, name in enumerate(index.tolist())}
    lacking = [item for item in items if item not in place]
    if lacking:
        raise InputError(f"features have no row {lacking[0]!r} ({len(lacking):,} items): add it to their index")
    return features.to_numpy()[[place[item] for item in items]]
