"""CIFAR-10 and CIFAR-100 as their authors ship them: the "python version", unpacked.

Must not know: torch, superclasses, other data sets.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, Source
from mixnn.data.readers import Columns
from mixnn.errors import InputError

# All that a batch of arrays, lists, numbers and strings needs. A pickle can name any function; no other is called.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class RestrictedUnpickler(pickle.Unpickler):
    """Calls nothing but what rebuilds an array."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}, which no CIFAR batch needs")
        return super().find_class(module, name)


def read_cifar10(path: str, columns: Columns) -> Source:
    """`path` holds data_batch_1 … 5, test_batch and batches.meta (or a folder cifar-10-batches-py that does).

    Raises:
        InputError: a file is missing or damaged.
    """
    root = _root(Path(path), "cifar-10-batches-py", "data_batch_1")
    train = _part([root / f"data_batch_{i}" for i in range(1, 6)], b"labels", "train")
    test = _part([root / "test_batch"], b"labels", "test")
    return Source({"train": train, "test": test}, _names(root / "batches.meta", b"label_names"))


def read_cifar100(path: str, columns: Columns) -> Source:
    """`path` holds train, test and meta (or a folder cifar-100-python that does); fine labels.

    Raises:
        InputError: a file is missing or damaged.
    """
    root = _root(Path(path), "cifar-100-python", "train")
    train, test = (_part([root / name], b"fine_labels", name) for name in ("train", "test"))
    return Source({"train": train, "test": test}, _names(root / "meta", b"fine_label_names"))


def _root(path: Path, folder: str, first: str) -> Path:
    for root in (path, path / folder):
        if (root / first).is_file():
            return root
    raise InputError(f"{path} holds no {folder} (no file {first}): give the folder of the unpacked python version")


def _load(path: Path) -> dict[bytes, Any]:
    try:
        with open(path, "rb") as file:
            content = RestrictedUnpickler(file, encoding="bytes").load()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): unpack the CIFAR archive again") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{path} is no CIFAR batch ({error}): unpack the CIFAR archive again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is no CIFAR batch: unpack the CIFAR archive again")
    return content


def _names(path: Path, key: bytes) -> list[str]:
    names = _field(path, _load(path), key)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise InputError(f"{path} has no list of names in {key.decode()}: unpack the CIFAR archive again")
    return [name.decode("utf-8", "replace") for name in names]


def _field(path: Path, content: dict[bytes, Any], key: bytes) -> Any:
    if key not in content:
        raise InputError(f"{path} has no field {key.decode()}: unpack the CIFAR archive again")
    return content[key]


def _batch(path: Path, labels_key: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _load(path)
    data, given = _field(path, content, b"data"), _field(path, content, labels_key)
    try:
        pixels, labels = np.asarray(data, dtype=np.uint8), np.asarray(given, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} holds no pixels and labels ({error}): unpack the CIFAR archive again") from error
    if pixels.shape != (len(labels), 3072):
        raise InputError(f"{path} has {len(labels)} labels for pixels of shape {pixels.shape}: unpack again")
    return pixels, labels


def _part(paths: Sequence[Path], labels_key: bytes, name: str) -> Part:
    batches = [_batch(path, labels_key) for path in paths]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return Part(images, labels, [f"{name}/{i:05d}" for i in range(len(labels))])
