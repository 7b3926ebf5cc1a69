"""Features that were made elsewhere, as NumPy files. Must not know: what made them, torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.numpy_files import list_arrays, load_array
from mixnn.data.scale import embedding_scale
from mixnn.errors import InputError
from mixnn.utils.console import note

MADE_BY = "made_by"  # the member of a file of `mixnn embed` that says what made it, as JSON


def read_features(path: str, names: Sequence[str]) -> NDArray[np.float32]:
    """A row for each sample: float32 (N, D). Rows of images that could not be read when they were made are NaN.

    Args:
        path: an .npy file, or an .npz file with one array, or with one called `features`. Where it has `names`, rows
            are found by these, in any order and among any others; else they are in the order of the samples.
        names: N file names.

    Raises:
        InputError: there is no such file, it holds something else, or lacks samples.
    """
    file, member, rows = Path(path), None, None
    if file.suffix == ".npz":
        members = list_arrays(file)
        if len(members) != 1 and "features" not in members:
            raise InputError(f"--features {path} holds {', '.join(members) or 'nothing'}: name the array `features`")
        member = "features" if "features" in members else members[0]
    array = load_array(file, member)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
        raise InputError(f"--features {path} has shape {array.shape} and dtype {array.dtype}: save numbers as (N, D)")
    if member is not None and "names" in members:
        rows = rows_by_name(path, array, names)
    elif len(array) != len(names):
        raise InputError(
            f"--features {path} has {len(array):,} rows, but DATA has {len(names):,} samples: save one row for each of "
            "them, in their order, or with them an array `names` of their file names"
        )
    features = (array if rows is None else array[rows]).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        which = bad[0] if rows is None else names[bad[0]]
        raise InputError(
            f"--features {path} has NaN or infinity in {len(bad):,} rows, the first is {which}: make them anew, or "
            "leave these samples out"
        )
    scale = embedding_scale(features)
    if scale is not None:
        note(f"--features {path}: {scale.note}")
        features = scale.apply(features)
    if rows is not None:
        features[rows < 0] = np.nan
    return features


def rows_by_name(path: str, array: NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    """Which row of `array` is each sample's, (N,); -1 of an image that could not be read then.

    Raises:
        InputError: a sample has none, or two that differ.
    """
    file = Path(path)
    given, unreadable = text_member(path, "names"), set(text_member(path, "unreadable"))
    if len(given) != len(array):
        raise InputError(f"--features {path} has {len(given):,} names for {len(array):,} rows: save one for each")
    note(f"--features {path}: {made_by_words(file)}")
    if given == list(names):
        return np.arange(len(given))
    wanted, place = set(names), dict[str, int]()
    for row, name in enumerate(given):
        first = place.setdefault(name, row)
        if first < row and name in wanted and not nearly_same(array[first], array[row]):
            raise InputError(
                f"--features {path} has two different rows called {name}, {first} and {row}: give each sample a "
                "name of its own, such as its path below DATA"
            )
    missing = [name for name in names if name not in place and name not in unreadable]
    if missing:
        some = f" (it has names such as {given[0]})" if given else ""
        raise InputError(
            f"--features {path} lacks {len(missing):,} of {len(names):,} samples, the first is {missing[0]}{some}: "
            "make them anew of this DATA by `mixnn embed`, or save with them the file names that DATA has"
        )
    if others := len(set(given) - wanted):
        note(f"--features {path}: {others:,} of its {len(given):,} rows are of other samples and are not used")
    return np.array([place.get(name, -1) for name in names], np.int64)


def nearly_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two rows are those of one image, up to rounding."""
    return bool(np.abs(one - other).max() <= 0.01 * np.abs(one).max())


def text_member(path: str, member: str) -> list[str]:
    """Names in a file of features; none where it has no such member."""
    if member not in list_arrays(Path(path)):
        return []
    array = load_array(Path(path), member)
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise InputError(
            f"--features {path}: {member} have shape {array.shape} and dtype {array.dtype}: save (N,) text"
        )
    return [text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text for text in array.tolist()]


def read_made_by(file: Path) -> dict[str, Any]:
    """What made a file of features; nothing where that is not in it."""
    try:
        content = json.loads(str(load_array(file, MADE_BY)))
    except ValueError:  # InputError among them
        return {}
    return content if isinstance(content, dict) else {}


def made_by_words(file: Path) -> str:
    made = read_made_by(file)
    what = (
        f", made by {made['network']} of images of {made['input_size']} px"
        if {"network", "input_size"} <= {*made}
        else ""
    )
    return f"rows are found by name{what}"
