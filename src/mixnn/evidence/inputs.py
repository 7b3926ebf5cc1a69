"""What a user gives, as arrays that are known to be right. Must not know: the rule, files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.data.images.intensity import as_uint8
from mixnn.data.labels.missing import is_missing, missing_words, tell_missing
from mixnn.data.numpy_files import rows_not_finite
from mixnn.data.readers.arrays import image_array
from mixnn.data.scale import embedding_scale
from mixnn.errors import InputError
from mixnn.tables.topk_rows import VALUES

SHOWN = 5  # names in a message
IMAGES = 1024  # at a time
LARGE = 1e15  # whose squares float32 still holds


def encoded_labels(labels: Any) -> tuple[list[Any], NDArray[np.int64]]:
    """The sorted classes, and the place of each label among them, int64 (N,); -1 where there is none.

    Whole numbers written as floats are numbers; None, NaN, "" and what `missing_words` says are no label.

    Raises:
        InputError: no list of N labels, or fewer than two classes.
    """
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise InputError(f"labels are no list of N labels ({error}): give one label for each sample") from None
    if array.dtype.kind == "U" and isinstance(labels, (list, tuple)):
        array = np.asarray(labels, dtype=object)  # where NaN is no name
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"labels have the shape {array.shape}: give one label for each of N samples, as (N,)")
    classes, given, lost = coded_labels(array)
    words = [str(label) for label in array[lost].tolist()]
    tell_missing({word: words.count(word) for word in sorted(set(words))}, keep="give them other names to have classes")
    return classes, given


def coded_labels(array: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64], NDArray[np.bool_]]:
    """The sorted classes, the place of each label (n,) among them, and which say by a word that there is none.

    Raises:
        InputError: infinity, or fewer than two classes.
    """
    given = np.full(len(array), -1, np.int64)
    known = np.array([not is_missing(label) for label in array.tolist()], dtype=bool)
    values = array[known]
    if values.dtype == object:
        values = np.array([label if isinstance(label, (int, float, np.number)) else str(label) for label in values])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("labels hold infinity: give names or numbers, and None where there is none")
    if values.dtype.kind == "f" and (values == values.round()).all():
        values = values.astype(np.int64)
    words = [str(value) for value in values.tolist()]
    missing = missing_words(set(words))
    kept = np.array([word not in missing for word in words], dtype=bool)
    lost = known.copy()
    lost[known] = ~kept
    known[known] = kept
    classes, places = np.unique(values[kept], return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"labels have {len(classes)} class{'' if len(classes) == 1 else 'es'}: give at least two")
    given[known] = places
    return classes.tolist(), given, lost


def checked_features(features: Any, samples: int | None = None) -> Tensor:
    """float32 (N, D); N is `samples`, where these are given.

    Raises:
        InputError: another shape, another number of samples, or values that are no numbers.
    """
    try:
        tensor = features if isinstance(features, Tensor) else as_float32(features)
    except (TypeError, ValueError) as error:
        raise InputError(f"features are no numbers ({error}): give an array (N, D)") from None
    if tensor.ndim != 2 or samples not in (None, len(tensor)) or 0 in tensor.shape:
        rows = "a row for each sample" if samples is None else f"{samples:,} rows, one a label"
        raise InputError(f"features have the shape {tuple(tensor.shape)}: give {rows}, as (N, D)")
    tensor = tensor.detach().float().cpu()
    bad = rows_not_finite(tensor.numpy())
    if len(bad):
        raise InputError(
            f"features of row {bad[0]} are not finite ({len(bad):,} rows): make them anew, or leave these samples out"
        )
    scale = embedding_scale(tensor.numpy())
    tensor = tensor if scale is None else torch.from_numpy(scale.apply(tensor.numpy()))
    low, high = tensor.aminmax() if tensor.numel() else (torch.zeros(()), torch.zeros(()))
    largest = torch.maximum(-low, high)
    if tensor.numel() > VALUES and largest < LARGE:
        return tensor  # as it lies, perhaps in a file
    return tensor / largest.clamp_min(torch.finfo(torch.float32).tiny)  # only directions count


def as_float32(features: Any) -> Tensor:
    """As a tensor; of an array that is float32 already, without a copy: it may lie in a file, and nobody writes to it.

    Raises:
        TypeError, ValueError: they are no numbers.
    """
    with warnings.catch_warnings(action="ignore"):  # torch would rather have arrays that it may write to
        return torch.from_numpy(np.ascontiguousarray(np.asarray(features, dtype=np.float32)))


def checked_images(images: Any, samples: int | None = None) -> Callable[[Tensor], Iterator[Tensor]]:
    """What gives some rows of `images` as uint8 (B, 3, H, W), batch by batch.

    Raises:
        InputError: no images of one size, or another number of them than `samples`.
    """
    try:
        array = image_array(np.asarray(images), "images")
    except ValueError as error:
        raise InputError(f"images are of several sizes ({error}): give an array (N, H, W, 3)") from None
    if array.ndim != 4 or samples not in (None, len(array)):
        rows = "N" if samples is None else str(samples)
        raise InputError(f"images have the shape {array.shape}: give ({rows}, H, W, 3)")
    span = None if array.dtype == np.uint8 else (float(array.min()), float(array.max()))

    def batches(rows: Tensor) -> Iterator[Tensor]:
        for part in rows.split(IMAGES):
            yield torch.from_numpy(as_uint8(array[part.numpy()], span)).permute(0, 3, 1, 2)

    return batches


def checked_probs(probs: Any, samples: int, classes: list[Any]) -> NDArray[np.float32]:
    """float32 (N, C), rows that sum to one.

    Raises:
        InputError: another shape, or no probabilities.
    """
    try:
        array = np.asarray(probs, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"pred_probs are no numbers ({error}): give an array (N, C)") from None
    if array.shape != (samples, len(classes)):
        names = ", ".join(str(name) for name in classes[:SHOWN]) + (", …" if len(classes) > SHOWN else "")
        raise InputError(
            f"pred_probs have the shape {array.shape}: give ({samples}, {len(classes)}), a column for each of {names}"
        )
    wrong = ~np.isfinite(array).all(1) | (array < 0).any(1) | (np.abs(array.sum(1) - 1) > 0.01)
    if wrong.any():
        raise InputError(
            f"pred_probs of row {int(wrong.argmax())} do not sum to one ({int(wrong.sum()):,} rows): normalize them"
        )
    return array


def checked_verified(verified: Any, given: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """bool (N,).

    Raises:
        InputError: another shape or type, or a verified sample has no label.
    """
    if verified is None:
        return None
    array = np.asarray(verified)
    if array.shape != given.shape or array.dtype != np.bool_:
        raise InputError(
            f"verified is {array.dtype} {array.shape}: give booleans, one for each of {len(given):,} labels"
        )
    if (array & (given < 0)).any():
        raise InputError(f"row {int((array & (given < 0)).argmax())} is verified and has no label: give it one")
    return array
