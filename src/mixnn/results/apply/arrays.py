"""Arrays again, with reviewed labels: `.npz`, or a folder of `.npy` files. Must not know: runs, decisions, torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.numpy_files import list_arrays, load_array
from mixnn.data.readers import Columns
from mixnn.data.readers.arrays import CLASSES, class_names, label_words, members_of
from mixnn.errors import InputError
from mixnn.results.apply.changes import Changes
from mixnn.utils.files import atomic_write

ORIGINALS = "original_labels"


def clean_arrays(path: str, columns: Columns, changes: Changes, out: Path) -> None:
    """Write the arrays of `path` to `out`: other training labels, and those of before as `original_labels` (N,).

    Rows that go, go from every array that has one for each training sample. A new class is added to `classes`.

    Raises:
        InputError: numbers without `classes` cannot say a label, or `out` cannot be written.
    """
    file = Path(path)
    arrays = {name: load_array(file, name) for name in list_arrays(file)}
    _, member = members_of(list(arrays), "train", columns)
    assert member is not None  # the run was trained on it
    classes, given = class_names(file, list(arrays)), arrays[member]
    flat = given.reshape(-1)
    words = label_words(flat, classes)
    if classes is not None and flat.dtype.kind in "iub":
        words = [classes[label] for label in flat.tolist()]
    names = [f"train/{i:05d}" for i in range(len(words))]
    original, now = changes.of(names, words)
    keep = np.array([label is not None for label in now])
    labels = [label for label in now if label is not None]
    if classes is not None:
        new = sorted(set(labels) - set(classes))
        if new:
            classes += new
            arrays[next(name for name in CLASSES if name in arrays)] = np.array(classes)
    for name, array in arrays.items():
        if name not in CLASSES and array.ndim and len(array) == len(keep) and not _of_other_part(name):
            arrays[name] = array[keep]
    arrays[member] = _coded(labels, flat.dtype, classes, f"{member!r} of {path}").reshape(-1, *given.shape[1:])
    if ORIGINALS not in arrays:
        arrays[ORIGINALS] = _coded(original, flat.dtype, classes, ORIGINALS)[keep]
    _write(arrays, out)


def _of_other_part(name: str) -> bool:
    return any(name.startswith(f"{part}_") or name.endswith(f"_{part}") for part in ("val", "test"))


def _coded(words: list[str], dtype: np.dtype[Any], classes: list[str] | None, where: str) -> NDArray[Any]:
    """Words as labels of `dtype`; text becomes as long as it has to be."""
    if dtype.kind == "U":
        return np.array(words, dtype=np.str_)
    if dtype.kind == "S":
        return np.array([word.encode() for word in words])
    numbers = {word: str(label) for label, word in enumerate(classes or [])}
    numbers |= {"False": "0", "True": "1"} if dtype.kind == "b" else {"": "nan"} if dtype.kind == "f" else {}
    try:
        return np.array([float(numbers[word] if classes else numbers.get(word, word)) for word in words]).astype(dtype)
    except (KeyError, ValueError):
        new = next(word for word in words if word not in numbers and (classes is not None or not word.isdigit()))
        raise InputError(f"{where} holds numbers, which cannot say {new!r}: add an array `classes` first") from None


def _write(arrays: dict[str, NDArray[Any]], out: Path) -> None:
    if out.suffix.lower() == ".npz":
        with atomic_write(out) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle
        return
    with atomic_write(out) as folder:
        folder.mkdir()
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
