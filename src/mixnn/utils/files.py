"""Files that are never half there, and text in them. Must not know: what they hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mixnn.errors import InputError

Row = Mapping[str, object]
TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape"}  # file names may be any bytes


@contextmanager
def atomic_write(path: Path, fix: str = "make room, or choose another place") -> Iterator[Path]:
    """A temporary path beside `path`, for a file or a folder, that takes its place when all went well.

    Raises:
        InputError: the disk does not take it.
    """
    place = Path(os.path.realpath(path) if path.is_dir() else os.path.abspath(path))
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp{place.suffix}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir():
            if place.is_dir():
                place.rmdir()  # an empty one; else it stays
        else:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): {fix}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


def default_cache_dir() -> Path:
    """`mixnn` in the user's folder for caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixnn"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        InputError: there is no such file, or it holds no settings.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"configuration {path} cannot be read ({error.strerror}): give an existing file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"configuration {path} is no YAML ({' '.join(str(error).split())}): correct the file"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"configuration {path} is no YAML of the form `key: value`: correct the file")
    return content


def as_text(value: object) -> object:
    """Numbers short enough to read, and the same on every write; nothing for one that is none."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
