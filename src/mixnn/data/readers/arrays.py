"""Images or embeddings in NumPy files; MedMNIST's as downloaded. Must not know: torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, Source
from mixnn.data.numpy_files import list_arrays, load_array
from mixnn.data.readers import Columns
from mixnn.errors import InputError

IMAGES = ("images", "x", "X", "data")
LABELS = ("labels", "y", "Y", "targets")
CLASSES = ("classes", "class_names")


def read_arrays(path: str, columns: Columns) -> Source:
    """An `.npz`, or a folder of `.npy` files, with members such as `images` and `labels`.

    Parts are told by `train_`, `val_`, `test_` before the names (MedMNIST), or behind them (Keras: `x_train`);
    without, everything is for training. `classes` or `class_names` may say what label 0, 1, … is; otherwise a
    class is called by its number.

    Args:
        path: of the file or folder.
        columns: `image` and `label` name other members.

    Raises:
        InputError: there is no such file or member, an array is not uint8 (N, H, W[, 3]) or float (N, D), or the
            labels are not one for each image.
    """
    columns.refuse(f"goes with tables, and {path} holds arrays", ("split", "root"))
    file = Path(path)
    members = list_arrays(file)
    classes = class_names(file, members)
    parts = {}
    for name in ("train", "val", "test"):
        image_member, label_member = members_of(members, name, columns)
        if image_member is not None and label_member is not None:
            images, labels = load_array(file, image_member), load_array(file, label_member)
            where = (f"{image_member!r} of {file}", f"{label_member!r} of {file}")
            parts[name] = _part(name, images, labels, where, classes)
        elif image_member is not None or label_member is not None or name == "train":
            option, given = ("label", columns.label) if image_member else ("image", columns.image)
            found = ", ".join(members) or "nothing"
            if given is not None:
                what = f"{path} has no {given!r} (it has {found})"
                raise InputError(f"--data.{option}-column: {what}: name one that it has")
            fix = f"add them as {name}_{option}s, or give --data.{option}-column"
            raise InputError(f"{path} has no {option}s for {name!r} (it has {found}): {fix}")
    return Source(parts, classes)


def members_of(members: Sequence[str], part: str, columns: Columns) -> tuple[str | None, str | None]:
    """The names, out of `members`, of the arrays with the images and with the labels of a part."""
    images, labels = [columns.image] if columns.image else IMAGES, [columns.label] if columns.label else LABELS
    forms = ("{1}_{0}", "{0}_{1}")
    image, label = (
        _find(members, [form.format(word, part) for word in words for form in forms]) for words in (images, labels)
    )
    if part == "train" and image is None:
        return _find(members, images), _find(members, labels)
    return image, label


def _find(members: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in members), None)


def class_names(file: Path, members: Sequence[str]) -> list[str] | None:
    """What labels 0, 1, … are called; None where the file does not say.

    Raises:
        InputError: that member is no list of different names.
    """
    member = _find(members, CLASSES)
    if member is None:
        return None
    names = load_array(file, member)
    words = _words(names) if names.ndim == 1 else None
    if words is None or len(set(words)) < len(words):
        raise InputError(f"{member!r} of {file} is no list of different names: save one name for each class")
    return words


def arrays_in_memory(images: Any, labels: Any) -> Source:
    """Images or embeddings and their labels, all of them for training.

    Raises:
        InputError: as for `read_arrays`.
    """
    given = np.asarray(labels)
    given = np.array(given.tolist()) if given.dtype.kind == "O" else given  # a column of text, for one
    return Source({"train": _part("train", np.asarray(images), given, ("images", "labels"), None)})


def _part(
    name: str, array: NDArray[Any], given: NDArray[Any], names: tuple[str, str], classes: list[str] | None
) -> Part:
    """A part; `names` are what images and labels are called in a message."""
    images, where = _images(array, names[0]), names[1]
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        fix = "one label for each sample is needed; if they are one-hot, save labels.argmax(1)"
        raise InputError(f"{where} has shape {given.shape}: {fix}")
    if len(given) != len(images):
        raise InputError(f"{where} has {len(given)} labels for {len(images)} images: save one for each")
    labels: Sequence[str] | NDArray[np.int64] | None = _words(given)
    if labels is None:
        raise InputError(f"{where} has dtype {given.dtype}: save labels as integers or text")
    if classes is not None and given.dtype.kind in "iu":
        labels = given.astype(np.int64)
    return Part(images, labels, [f"{name}/{i:05d}" for i in range(len(images))])


def _images(array: NDArray[Any], where: str) -> NDArray[Any]:
    """As uint8 (N, H, W, 3), or float32 (N, D); the array itself where it is that already."""
    shape, kind = array.shape, array.dtype.kind
    if 0 in shape:
        raise InputError(f"{where} has shape {shape}, which holds no image: save at least one")
    if array.ndim == 2 and kind == "f":
        return _embeddings(array, where)
    if kind == "f":
        fix = "save pixels as uint8 from 0 to 255, as (255 * images).round().astype('uint8') does for 0 to 1"
        raise InputError(f"{where} has floating-point pixels ({array.dtype}), whose range nobody knows: {fix}")
    if array.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))  # colors first, as torch has them
    elif array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        fix = "images are (N, H, W) or (N, H, W, 3), without depth or transparency; embeddings are float (N, D)"
        raise InputError(f"{where} has shape {shape} and dtype {array.dtype}: {fix}")
    if array.dtype != np.uint8:
        raise InputError(f"{where} has dtype {array.dtype}: save pixels as uint8 from 0 to 255")
    return np.repeat(array, 3, axis=3) if array.shape[3] == 1 else array


def _embeddings(array: NDArray[Any], where: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what does not fit is found below
        embeddings = array.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(embeddings).all(1))
    if len(bad):
        raise InputError(f"{where} has NaN or infinity in {len(bad)} rows, the first is {bad[0]}: correct them")
    return embeddings


def _words(array: NDArray[Any]) -> list[str] | None:
    """Integers or text (n,) as text; None for anything else."""
    if array.dtype.kind == "S":
        return [word.decode("utf-8", "replace") for word in array.tolist()]
    return [str(word) for word in array.tolist()] if array.dtype.kind in "iuU" else None
