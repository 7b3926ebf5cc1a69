"""Images or embeddings in NumPy files; MedMNIST's as downloaded. Must not know: torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, Source
from mixnn.data.numpy_files import list_arrays, load_array, rows_not_finite
from mixnn.data.readers import Columns
from mixnn.data.readers.parquet import word
from mixnn.data.readers.record_columns import record_notes, without_empty
from mixnn.data.readers.split_columns import unused_note
from mixnn.data.records.records import Records
from mixnn.data.words import number_words
from mixnn.errors import InputError

IMAGES = ("images", "x", "X", "data", "features")
LABELS = ("labels", "y", "Y", "targets")
CLASSES = ("classes", "class_names")


def read_arrays(path: str, columns: Columns) -> Source:
    """An `.npz`, or a folder of `.npy` files, with members such as `images` and `labels`.

    Parts are told by `train_`, `val_`, `test_` before the names (MedMNIST), or behind them (Keras: `x_train`);
    without, everything is for training. `classes` or `class_names` may say what label 0, 1, … is; otherwise a
    class is called by its number. `names` beside `features` are what samples are called.

    Args:
        path: of the file or folder.
        columns: `image` and `label` name other members.

    Raises:
        InputError: there is no such file or member, an array is neither images (N, H, W[, 3]) nor float (N, D), or
            the labels are not one for each image.
    """
    columns.refuse(f"goes with tables, and {path} holds arrays", ("split", "root"))
    file = Path(path)
    members = list_arrays(file)
    classes = class_names(file, members)
    parts, given = {}, []
    for name in ("train", "val", "test"):
        image_member, label_member = members_of(members, name, columns)
        if image_member is not None and label_member is not None:
            images, labels = load_array(file, image_member, mapped=True), load_array(file, label_member)
            where = (f"{image_member!r} of {file}", f"{label_member!r} of {file}")
            parts[name] = _part(name, images, labels, where, classes)
            if image_member == "features" and "names" in members:
                parts[name] = parts[name]._replace(names=sample_names(file, len(labels)))
            given.append(labels)
        elif image_member is not None or label_member is not None or name == "train":
            option, named = ("label", columns.label) if image_member else ("image", columns.image)
            found = ", ".join(members) or "nothing"
            if image_member == "features":
                fix = f"`mixnn find DATA --features {path}` with the DATA that they were made of, or add labels"
                raise InputError(f"{path} has features and no labels (it has {found}): {fix}")
            if named is not None:
                what = f"{path} has no {named!r} (it has {found})"
                raise InputError(f"--data.{option}-column: {what}: name one that it has")
            fix = f"add them as {name}_{option}s, or give --data.{option}-column"
            raise InputError(f"{path} has no {option}s for {name!r} (it has {found}): {fix}")
    fix = "save parts as x_train, y_train, x_test, y_test"
    return _source(parts, given, classes)._replace(notes=unused_note(path, members, fix))


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


def sample_names(file: Path, samples: int) -> list[str]:
    """What samples of a file of features are called.

    Raises:
        InputError: that is no list of so many different names.
    """
    names = load_array(file, "names")
    if names.shape != (samples,) or names.dtype.kind not in "US" or len(np.unique(names)) < samples:
        raise InputError(f"'names' of {file} is no list of {samples:,} different names: save one for each row")
    return label_words(names)


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
    words = label_words(names) if names.ndim == 1 and names.dtype.kind in "iuUS" else None
    if words is None or len(set(words)) < len(words):
        raise InputError(f"{member!r} of {file} is no list of different names: save one name for each class")
    return words


def arrays_in_memory(images: Any, labels: Any) -> Source:
    """Images, embeddings or texts, and their labels, all of them for training.

    Raises:
        InputError: as for `read_arrays`.
    """
    given, array = np.asarray(labels), np.asarray(images)
    if array.ndim == 1 and array.dtype.kind in "OU" and len(array) == len(given):
        words = label_words(array)
        records = Records("text", ["text"], [(word,) for word in words])
        notes = record_notes(records, "texts", named=True)
        stand_in = _part("train", np.zeros((len(array), 1), np.float32), given, ("texts", "labels"), None)
        part = without_empty(stand_in._replace(images=records))
        return _source({"train": part}, [given], None)._replace(notes=notes)
    return _source({"train": _part("train", np.asarray(images), given, ("images", "labels"), None)}, [given], None)


def _part(
    name: str, array: NDArray[Any], given: NDArray[Any], names: tuple[str, str], classes: list[str] | None
) -> Part:
    """A part; `names` are what images and labels are called in a message."""
    images, where = image_array(array, names[0]), names[1]
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        fix = "one label for each sample is needed; if they are one-hot, save labels.argmax(1)"
        raise InputError(f"{where} has shape {given.shape}: {fix}")
    if len(given) != len(images):
        raise InputError(f"{where} has {len(given)} labels for {len(images)} images: save one for each")
    labels: Sequence[str] | NDArray[np.int64]
    try:
        labels = label_words(given, classes)
    except TypeError as error:
        raise InputError(f"{where} has {error}: save labels as integers or text") from error
    if classes is not None and given.dtype.kind in "iub":
        labels = given.astype(np.int64)
    return Part(images, labels, [f"{name}/{i:05d}" for i in range(len(images))])


def image_array(array: NDArray[Any], where: str) -> NDArray[Any]:
    """As (N, H, W, 3) of its type, or float32 (N, D); the array itself where it is that already."""
    shape, kind = array.shape, array.dtype.kind
    if 0 in shape:
        raise InputError(f"{where} has shape {shape}, which holds no image: save at least one")
    if array.ndim == 2 and kind == "f":
        with np.errstate(over="ignore"):  # what does not fit is found then
            return finite(array.astype(np.float32, copy=False), where)
    if array.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))  # colors first, as torch has them
    elif array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        fix = "images are (N, H, W) or (N, H, W, 3), without depth or transparency; embeddings are float (N, D)"
        raise InputError(f"{where} has shape {shape} and dtype {array.dtype}: {fix}")
    if kind not in "biuf":
        raise InputError(f"{where} has dtype {array.dtype}: save pixels as numbers, best as uint8 from 0 to 255")
    if kind == "f":
        finite(array, where)
    elif kind == "b":
        array = array * np.uint8(255)
    if array.dtype != np.uint8:
        return np.broadcast_to(array, (*array.shape[:3], 3))  # it takes no memory until it is scaled
    return np.repeat(array, 3, axis=3) if array.shape[3] == 1 else array


def finite(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Raises InputError where it is not."""
    bad = rows_not_finite(array)
    if len(bad):
        fix = "leave these samples out, or make them anew"
        raise InputError(f"{where} has NaN or infinity in {len(bad)} rows, the first is {bad[0]}: {fix}")
    return array


def label_words(array: NDArray[Any], classes: Sequence[str] | None = None) -> list[str]:
    """Labels (n,) as text: whole floats as whole numbers, NaN as "".

    Args:
        classes: what floats are places in.

    Raises:
        TypeError: they are neither numbers nor text, or a number is not whole.
    """
    if array.dtype.kind not in "iufbUSO":
        raise TypeError(f"dtype {array.dtype}")
    values = [value.item() if isinstance(value, np.generic) else value for value in array.tolist()]
    if array.dtype.kind == "O":  # in memory, as of a column of pandas
        return [word(value) for value in values]
    if array.dtype.kind == "f":
        broken = [value for value in values if value % 1 and value == value]
        if broken:
            raise TypeError(f"{broken[0]}, which is no whole number")
        return [word(value, classes) for value in values]
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]


def _source(parts: dict[str, Part], labels: Sequence[NDArray[Any]], classes: list[str] | None) -> Source:
    """Of labels that are numbers and no places in `classes`, each number is called by itself."""
    if classes is not None or any(array.dtype.kind in "US" for array in labels):
        return Source(parts, classes)
    return Source(parts, numbers=number_words(str(label) for part in parts.values() for label in part.labels))
