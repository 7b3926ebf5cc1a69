"""Files that are never half there, and text in them. Must not know: what they hold."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from filelock import FileLock

from mixnn.errors import InputError

FULL = 2**20  # bytes: a disk with fewer of them free is called full
MAX_SETTINGS = 10_000  # values in a file of settings; ours have fifty
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
        if temporary.is_dir() and place.is_dir():  # it stays the same folder: somebody may stand in it
            if any(place.iterdir()):
                raise FileExistsError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            for path in temporary.iterdir():
                path.rename(place / path.name)
            return
        if not temporary.is_dir():
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({write_error_words(error, place)}): {fix}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


def write_error_words(error: OSError, place: Path) -> str:
    """Why `place` could not be written; of a full disk, which one it is."""
    mount = next(path for path in place.parents if path.is_mount() or path == path.parent)
    if shutil.disk_usage(mount).free < FULL:
        return f"no space left on the disk at {mount}"
    return error.strerror or str(error)


def make_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill `folder` of a cache where it is not there yet: by one process, and as a whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        for unfinished in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(unfinished, ignore_errors=True)  # of a killed process
        with atomic_write(folder, "make room, or give another --data.cache-dir") as new:
            new.mkdir()
            fill(new)


def default_cache_dir() -> Path:
    """`mixnn` in the user's folder for caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixnn"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        InputError: there is no such file, or it holds no settings.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
        values = count_values(content, {})
    except OSError as error:
        raise InputError(f"configuration {path} cannot be read ({error.strerror}): give an existing file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"configuration {path} is no YAML ({' '.join(str(error).split())}): correct the file"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"configuration {path} is no YAML of the form `key: value`: correct the file")
    if values > MAX_SETTINGS:
        raise InputError(f"configuration {path} has {values:,} values, by aliases too: write at most {MAX_SETTINGS:,}")
    return content


def count_values(content: object, known: dict[int, int]) -> int:
    """How many values `content` would be without aliases, which may stand for aliases in their turn.

    Args:
        known: counts of the parts that were met before, by `id`; a part within itself never ends.
    """
    if not isinstance(content, (dict, list)):
        return 1
    if id(content) not in known:
        known[id(content)] = MAX_SETTINGS + 1  # for whoever meets it inside
        parts = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(count_values(part, known) for part in parts)
    return known[id(content)]


def as_text(value: object) -> object:
    """Numbers short enough to read, and the same on every write; nothing for one that is none."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
