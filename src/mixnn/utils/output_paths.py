"""Where cleaned data and exports may be written: never onto anything. Must not know: what is written there, torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixnn.errors import InputError


def file_in(out: Path, name: str) -> Path:
    """`out` where it ends as the file `name` does, else a file called so in the folder `out`."""
    return out if out.suffix.lower() == Path(name).suffix.lower() else out / Path(name).name


def check_place(out: Path, source: str) -> None:
    """Raise InputError where `out` holds something, or lies inside the folder `source`."""
    if out.is_dir() and not any(out.iterdir()):
        held = None
    else:
        held = "files" if out.is_dir() else "a file" if os.path.lexists(out) else None
    if held is not None:
        raise InputError(f"--out {out} already holds {held}: choose a new place")
    if source and os.path.isdir(source) and out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"--out {out} lies inside the data {source}: choose a place outside")


@contextmanager
def written_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when all went well.

    Raises:
        InputError: the disk does not take it.
    """
    place = out.resolve()
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if place.is_dir():
            place.rmdir()  # an empty one, see `check_place`
        temporary.rename(place)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written ({error.strerror or error}): choose another") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
