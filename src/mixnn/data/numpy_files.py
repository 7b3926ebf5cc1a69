"""NumPy's own files, never the pickles that may be in them. Must not know: what the arrays mean, torch."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

# What damaged files are known to raise; NotImplementedError is a compression that Python does not know.
DAMAGED = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)

VALUES = 2**22  # that are looked at together
DEFLATE = 1032  # no byte of this compression stands for more


def list_arrays(path: Path) -> list[str]:
    """Names of the members of an `.npz`, or of the `.npy` files in a folder; nothing is loaded.

    Raises:
        InputError: it does not exist, or is neither.
    """
    if path.is_dir():
        return sorted(file.stem for file in path.glob("*.npy"))
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except DAMAGED as error:
        raise InputError(f"{path} cannot be read ({_reason(error)}): give an .npz file") from error


def load_array(path: Path, member: str | None = None, *, mapped: bool = False) -> NDArray[Any]:
    """The array of an `.npy`, or one member of an `.npz` or of a folder of `.npy` files.

    Args:
        path, member: what to load.
        mapped: what is an `.npy` stays in its file, and is read when it is used; what is written to it is not kept.

    Raises:
        InputError: it does not exist, is damaged, declares more than it holds, or holds Python objects.
    """
    name = str(path) if member is None else f"{member!r} of {path}"
    try:
        place = path / f"{member}.npy" if path.is_dir() else path
        with open(place, "rb") as file:
            _check_size(file, member, name)
            if mapped and place.suffix == ".npy":
                in_file: NDArray[Any] = np.load(place, mmap_mode="c", allow_pickle=False)
                return in_file
            content = np.load(file, allow_pickle=False)
            return content if isinstance(content, np.ndarray) else np.asarray(content[member])
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} does not fit into memory: save fewer samples, or smaller ones") from error
    except DAMAGED as error:
        fix = "save it again with numpy.save or numpy.savez, as plain numbers or text"
        raise InputError(f"{name} cannot be read ({_reason(error)}): {fix}") from error


def rows_not_finite(array: NDArray[Any]) -> NDArray[np.int64]:
    """Rows of numbers (N, …) of which one is NaN or infinite, looked at some at a time."""
    axes, step = tuple(range(1, array.ndim)), max(1, VALUES // max(1, math.prod(array.shape[1:])))
    parts = [
        np.flatnonzero(~np.isfinite(array[i : i + step]).all(axes)) + i for i in range(0, max(1, len(array)), step)
    ]
    return np.concatenate(parts)


def _check_size(file: BinaryIO, member: str | None, name: str) -> None:
    """Raise InputError where an array's header, or the directory of its zip, declares more than there is."""
    whole = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(2) != b"PK":
        file.seek(0)
        _check_header(file, whole, name)
    else:
        with zipfile.ZipFile(file) as archive:
            info = archive.getinfo(member if member in archive.namelist() else f"{member}.npy")
            if info.compress_type == zipfile.ZIP_DEFLATED and info.file_size > DEFLATE * (info.compress_size + 1):
                raise _too_large(name, f"its zip declares {info.file_size:,} bytes", info.compress_size)
            with archive.open(info) as stream:
                _check_header(stream, info.file_size, name)
    file.seek(0)


def _check_header(file: IO[bytes], size: int, name: str) -> None:
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if math.prod(shape) * max(1, dtype.itemsize) > size - file.tell() and not dtype.hasobject:
        raise _too_large(name, f"its header declares {' × '.join(map(str, shape))} values of {dtype}", size)


def _too_large(name: str, what: str, size: int) -> InputError:
    return InputError(f"{name} is damaged: {what}, the file holds {size:,} bytes: save it again, or copy it whole")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError):
        return "no whole NumPy file, or one with Python objects, which are never unpickled"
    return " ".join(str(error).split()) or type(error).__name__
