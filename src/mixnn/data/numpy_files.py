"""NumPy's own files, never the pickles that may be in them. Must not know: what the arrays mean, torch."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

# What damaged files are known to raise; NotImplementedError is a compression that Python does not know.
DAMAGED = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


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


def load_array(path: Path, member: str | None = None) -> NDArray[Any]:
    """The array of an `.npy`, or one member of an `.npz` or of a folder of `.npy` files.

    Raises:
        InputError: it does not exist, is damaged, or holds Python objects.
    """
    name = str(path) if member is None else f"{member!r} of {path}"
    try:
        with open(path / f"{member}.npy" if path.is_dir() else path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            return content if isinstance(content, np.ndarray) else np.asarray(content[member])
    except DAMAGED as error:
        fix = "save it again with numpy.save or numpy.savez, as plain numbers or text"
        raise InputError(f"{name} cannot be read ({_reason(error)}): {fix}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError):
        return "no whole NumPy file, or one with Python objects, which are never unpickled"
    return " ".join(str(error).split()) or type(error).__name__
