"""Where cleaned data and exports go: never onto anything. Must not know: what is written there, torch."""

from __future__ import annotations

import os
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
    check_outside(out, source)


def check_outside(out: Path, source: str) -> None:
    """Raise InputError where `out` lies inside the folder `source`."""
    if os.path.isdir(source) and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source)):
        raise InputError(f"--out {out} lies inside the data {source}: choose a place outside")
