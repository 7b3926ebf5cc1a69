"""Labels in a file beside the data: published noise, or a corrected list. Must not know: images.

torch is imported only to open one of its files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Dataset, LabelArray
from mixnn.data.labels.agreement import agreement
from mixnn.data.labels.agreement import in_order as agrees
from mixnn.data.labels.missing import is_missing
from mixnn.data.numpy_files import list_arrays, load_array
from mixnn.data.readers.columns import Places
from mixnn.data.readers.table import read_content
from mixnn.data.words import in_spelling_of
from mixnn.errors import InputError, printable

FORMS = "a .csv with the columns file_name,label, an .npy, an .npz or .pt as FILE:KEY, or a .json list"
MAX = 2**53  # up to which floats are exact


def read_label_file(
    spec: str, dataset: Dataset, option: str, *, others: Sequence[str] = (), in_order: bool = False
) -> tuple[NDArray[np.int64], LabelArray | None]:
    """Labels of the N training samples, and for a file without names, how well they agree with those they have.

    A `.csv` with the columns file_name and label is matched by name, where rows of other files do not matter; or
    row by row if it has just these names in this order, for data that has a file twice. All others hold N labels in
    the order of the samples, integers from 0 or words.

    Args:
        spec: the file, or FILE:KEY for one of several arrays in an `.npz` or `.pt`.
        option: where the user gave `spec`, for messages.
        others: further words that a label may be; a number may be -1 where "-1" is one of them, or is unlabeled.
        in_order: a person says that labels without names are in the order of the data.

    Returns:
        int64 (N,), places in the classes, then in `unlabeled`, then in `others`.

    Raises:
        InputError: the file is missing, damaged, a program in disguise, or not about these samples and classes.
    """
    words = [*dataset.classes, *dataset.unlabeled, *others]
    names, place = dataset.train.names, {word: i for i, word in enumerate(words)}
    try:
        path, key = _split(spec)
        if path.suffix.lower() == ".csv":
            return _places(_match(*_read_csv(path), names), place), None
        given = _checked(_load(path, key, len(names)), len(names))
        if not isinstance(given, np.ndarray):
            labels, numbers = _places(given, place), []
        else:
            none = (given == -1) & (place.get("-1", 0) >= len(dataset.classes))
            given = np.where(none, 0, given)
            numbers = _number_order(given, dataset, place)
            labels = np.where(none, place.get("-1", 0), np.array([place.get(word, -1) for word in numbers])[given])
            if (labels < 0).any():
                row = int(labels.argmin())
                raise InputError(f"label {given[row]} (sample {row}) is {numbers[given[row]]!r}, which no sample has")
        known = np.where(labels < len(dataset.classes), labels, -1)
        found = agreement(dataset.train.labels, known)
        if not in_order and not agrees(dataset.train.labels, known):
            raise InputError(
                f"it agrees with {found.agree:,} of {found.compared:,} labels of the data, no more than by chance "
                f"({found.by_chance:,.0f}): give a .csv with the columns file_name,label; or, if the order is that of "
                f"the data, from {names[0]!r} to {names[-1]!r}, add --data.labels-order given"
            )
        return labels, LabelArray(printable(f"{option} {spec}"), numbers, found.agree, found.compared)
    except InputError as error:
        raise InputError(f"{option} {spec}: {error}") from error


def _split(spec: str) -> tuple[Path, str | None]:
    path, colon, key = spec.rpartition(":")
    if not colon or Path(spec).exists():
        path, key = spec, ""
    if not Path(path).is_file():
        raise InputError(f"no file {path}: give {FORMS}")
    return Path(path), key or None


def _read_csv(path: Path) -> tuple[list[str], list[str]]:
    """File names, and a label for each."""
    content = read_content(str(path), "csv", _columns)
    return content.names, content.labels


def _columns(header: Sequence[str]) -> Places:
    missing = [name for name in ("file_name", "label") if name not in header]
    if missing:
        raise InputError(f"no column {' or '.join(missing)}: put file_name,label into the first line")
    return Places(header.index("file_name"), header.index("label"), None)


def _match(listed: list[str], labels: list[str], names: Sequence[str]) -> list[str]:
    """The labels of `names`."""
    if listed == list(names):
        return labels
    label_of: dict[str, str] = {}
    for name, label in zip(listed, labels, strict=True):
        if label_of.setdefault(name, label) != label:
            raise InputError(f"two labels for {name!r}, {label_of[name]!r} and {label!r}: keep one")
    missing = [name for name in names if name not in label_of]
    if missing:
        count = f"{len(missing)} of {len(names)}"
        raise InputError(f"no row for {count} training samples, first {missing[0]!r}: add file_name,label for each")
    return [label_of[name] for name in names]


def _load(path: Path, key: str | None, count: int) -> NDArray[Any]:
    """The array of a file; among several the one named `key`, or else the only one that can be labels."""
    kind = path.suffix.lower()
    if kind in (".npy", ".json"):
        if key is not None:
            raise InputError(f"{kind} files have no keys: leave :{key} away")
        return load_array(path) if kind == ".npy" else _read_json(path)
    if kind == ".npz":
        members = list_arrays(path)
        arrays = {name: load_array(path, name) for name in members if key in (None, name)}
    elif kind == ".pt":
        arrays = _read_pt(path)
        members = list(arrays)
    else:
        raise InputError(f"files ending in {kind!r} are unknown: give {FORMS}")
    if key is None:
        fitting = [name for name, array in arrays.items() if array.shape == (count,) and array.dtype.kind in "iuUS"]
        if len(fitting) != 1:
            fault = "several arrays fit" if fitting else f"no array holds {count} labels"
            raise InputError(f"{fault} ({', '.join(fitting or members)}): name one as {path.name}:KEY")
        key = fitting[0]
    if key not in arrays:
        raise InputError(f"no array {key!r} (there are {', '.join(members)}): name one of these")
    return arrays[key]


def _read_json(path: Path) -> NDArray[Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"no JSON that can be read ({error}): save a list of labels") from error
    content = content if isinstance(content, list) else []
    kinds = {type(label) for label in content if not is_missing(label)}
    if not kinds or not any(kinds <= same for same in ({int, float}, {str}, {bool})):
        raise InputError("no list of integers, or of words: save one label for each sample")
    none = "null" if str in kinds else -1
    return np.array([none if label is None or label != label else label for label in content])


def _read_pt(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a dict that was saved with torch, as CIFAR-N's authors did. Nothing in it is run."""
    import torch

    rebuild = np.empty(0).__reduce__()[0]  # the one function that arrays are pickled with, under its two names
    allowed: list[Any] = [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    allowed += [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in (*np.typecodes["AllInteger"], "U", "S", "?"))]
    allowed += [type(np.dtype(kind)) for kind in np.typecodes["Float"]]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
        content = content if isinstance(content, dict) else {"labels": content}
        return {
            str(name): value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            for name, value in content.items()
        }
    except Exception as error:  # damaged ones can raise nearly anything
        reason = "damaged, or more than arrays is in it, which could be a program"
        raise InputError(f"cannot be loaded ({reason}): get it again, or save its labels with numpy.save") from error


def _checked(labels: NDArray[Any], count: int) -> NDArray[np.int64] | list[str]:
    """Integers from an array (N,) of these, of whole floats or of booleans; or words."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(f"labels have shape {labels.shape}: one label for each sample is needed")
    if len(labels) != count:
        raise InputError(f"{len(labels)} labels for {count} training samples: give the file made for this data")
    if labels.dtype.kind == "S":
        return [word.decode("utf-8", "replace") for word in labels.tolist()]
    if labels.dtype.kind == "U":
        words: list[str] = labels.tolist()
        return words
    if labels.dtype.kind not in "iufb":
        raise InputError(f"labels have dtype {labels.dtype}: save them as integers or words")
    if labels.dtype.kind == "f":
        labels = np.where(np.isnan(labels), -1, labels)
        broken = np.flatnonzero((labels != np.trunc(labels)) | ~(np.abs(labels) < MAX))
        if len(broken):
            raise InputError(
                f"label {labels[broken[0]]} (sample {broken[0]}) is no whole number: save integers or words"
            )
    return labels.astype(np.int64)


def _number_order(labels: NDArray[np.int64], dataset: Dataset, place: dict[str, int]) -> list[str]:
    """What the numbers 0, 1 … stand for.

    Raises:
        InputError: one stands for nothing, or there are two orders of the classes.
    """
    orders = dataset.number_orders or [[*dataset.classes, *dataset.unlabeled]]
    outside = np.flatnonzero((labels < 0) | (labels >= len(orders[0])))
    if len(outside):
        first, last = labels[outside[0]], len(orders[0]) - 1
        raise InputError(
            f"label {first} (sample {outside[0]}) is no class: use 0 to {last}, for {len(orders[0])} classes"
        )
    if len(orders) == 1:
        return orders[0]
    value, text = orders
    other = next(i for i, (one, two) in enumerate(zip(value, text, strict=True)) if one != two)
    own = dataset.train.labels
    fit = [int((np.array([place[word] for word in order])[labels] == own).sum()) for order in orders]
    raise InputError(
        f"{other} stands for {value[other]!r} if classes are sorted by value, for {text[other]!r} if as text, as "
        f"torchvision does; then {fit[0]:,} or {fit[1]:,} of {len(own):,} labels agree with the data: say which by "
        "--data.class-order value or text"
    )


def _places(words: Sequence[str], place: dict[str, int]) -> NDArray[np.int64]:
    try:
        return np.array([place[word] for word in in_spelling_of(words, place)], dtype=np.int64)
    except KeyError as error:
        some = ", ".join(map(repr, [*place][:20]))
        raise InputError(f"label {error.args[0]!r} is no class: correct it; the classes are {some}") from None
