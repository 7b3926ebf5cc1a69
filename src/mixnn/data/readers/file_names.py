"""From the names in a table to files: what a person most likely means by them. Must not know: file formats, torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from mixnn.data.images.formats import SUFFIXES
from mixnn.errors import InputError

PROBED = 20  # names that are looked for on the disk
FOLDERS = 200  # beside the files that are looked for, which may be meant
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def file_names(names: Sequence[str], root: str, where: str) -> tuple[list[str], list[str]]:
    r"""File names as they stand below `root`, and lines that say how they differ from `names`.

    Only where none of the first names is a file: `images\cat\1.jpg` may be `images/cat/1.jpg`, and `000001` may be
    `000001.jpg`.

    Args:
        where: the table, for messages.

    Raises:
        InputError: they are addresses.
    """
    probe, notes = list(names[:PROBED]), []
    if _any(probe, root):
        return list(names), []
    if all(ADDRESS.match(name) for name in probe):
        raise InputError(f"{where}: {names[0]!r} is an address: download the images, and write file names in its place")
    files = list(names)
    if any("\\" in name for name in probe):
        files = [name.replace("\\", "/") for name in names]
        notes = [f"{where}: backslashes in file names are taken for folders, {names[0]!r} as {files[0]!r}"]
    for place in (root, *_near(root)):
        if _any(files[:PROBED], place):
            found = files
        else:
            endings = [ending for ending in sorted(SUFFIXES) if _any([name + ending for name in files[:PROBED]], place)]
            if not endings:
                continue
            found = [_with_ending(name, place, endings[0]) for name in files]
            notes.append(f"{where}: file names have no ending, {names[0]!r} is taken as {found[0]!r}")
        if place != root:
            return list(names), [f"{where}: no file {names[0]!r} in {root}, but in {place}: add --data.root {place}"]
        return found, notes
    return list(names), []


def _any(names: Sequence[str], root: str) -> bool:
    return any(os.path.isfile(os.path.join(root, name)) for name in names if "\0" not in name)


def _near(root: str) -> Iterator[str]:
    """Folders that may be meant instead: those inside, and the one above."""
    try:
        with os.scandir(root) as entries:
            inside = sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return
    yield from inside[:FOLDERS]
    yield os.path.dirname(os.path.abspath(root))


def _with_ending(name: str, root: str, usual: str) -> str:
    """`name` with the ending that its file has, the usual one first."""
    known = (name + ending for ending in (usual, *sorted(SUFFIXES)))
    return next((file for file in known if os.path.isfile(os.path.join(root, file))), name)
