"""What lies in a folder, but for hidden files and what macOS adds to archives. Must not know: torch."""

from __future__ import annotations

import os

from mixnn.data.images.decoder import SUFFIXES
from mixnn.errors import InputError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")

Seen = set[tuple[int, int]]  # device and inode of folders


def entries(folder: str) -> list[os.DirEntry[str]]:
    """All but hidden ones, by name.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            shown = (entry for entry in found if not entry.name.startswith(".") and entry.name != "__MACOSX")
            return sorted(shown, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed ({error.strerror}): allow it, or move it away") from error


def subfolders(folder: str) -> list[str]:
    """Names, sorted; without links to `folder` itself."""
    itself = identity(folder)
    return [e.name for e in entries(folder) if is_folder(e) and not (e.is_symlink() and identity(e.path) == itself)]


def images_in(folder: str) -> list[str]:
    """Names of images in `folder`, not of those further below."""
    return [entry.name for entry in entries(folder) if is_image(entry.name) and not is_folder(entry)]


def images_below(folder: str, seen: Seen | None = None) -> list[str]:
    """Names relative to `folder`, sorted. No folder is entered twice, whatever links say, and none of `seen`."""
    seen, found, waiting = set(seen or ()), [], [""]
    while waiting:
        inner = waiting.pop()
        links: list[str] = []
        folders: list[str] = []
        for entry in entries(os.path.join(folder, inner)):
            if is_folder(entry):
                (links if entry.is_symlink() else folders).append(f"{inner}{entry.name}/")
            elif is_image(entry.name):
                found.append(inner + entry.name)
        for name in folders + links:
            if (known := identity(os.path.join(folder, name))) not in seen:
                seen.add(known)
                waiting.append(name)
    return sorted(found, key=os.path.split)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Or a link to one; a link in a loop is none."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def metadata_file(folder: str) -> str | None:
    """The table that Hugging Face reads beside the images in `folder`; None where there is none.

    Raises:
        InputError: there are two.
    """
    found = [path for name in METADATA if os.path.isfile(path := os.path.join(folder, name))]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} stand side by side: keep one there")
    return found[0] if found else None


def identity(folder: str) -> tuple[int, int]:
    """Device and inode.

    Raises:
        InputError: there is none to be had.
    """
    try:
        status = os.stat(folder)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be opened ({error.strerror}): allow it, or move it away") from error
    return status.st_dev, status.st_ino
