"""What lies in a folder, but for hidden files and what macOS adds to archives. Must not know: torch."""

from __future__ import annotations

import os

from mixnn.data.images.formats import Listing
from mixnn.errors import InputError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")

Seen = set[tuple[int, int]]  # device and inode of folders


def entries(folder: str, listing: Listing | None = None) -> list[os.DirEntry[str]]:
    """All but hidden ones, which `listing` counts; in no order.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as inside:
            found = list(inside)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed ({error.strerror}): allow it, or move it away") from error
    shown = [entry for entry in found if entry.name[0] != "." and entry.name != "__MACOSX"]
    if listing is not None:
        listing.others["hidden"] += len(found) - len(shown)
    return shown


def subfolders(folder: str) -> list[str]:
    """Names, sorted; without links to `folder` itself."""
    found, itself = [entry for entry in entries(folder) if is_folder(entry)], identity(folder)
    return sorted(entry.name for entry in found if not entry.is_symlink() or identity(entry.path) != itself)


def images_in(folder: str) -> list[str]:
    """Names of images in `folder`, sorted; not of those further below."""
    listing = Listing()
    return sorted(entry.name for entry in entries(folder) if not is_folder(entry) and listing.is_image(entry.path))


def images_below(folder: str, seen: Seen | None = None, listing: Listing | None = None) -> list[str]:
    """Names relative to `folder`, by folder and then by file; `listing` keeps what is no image.

    No folder is entered twice, whatever links say, and none of `seen`.
    """
    seen, found, waiting, listing = set(seen or ()), [], [""], listing or Listing()
    while waiting:
        inner = waiting.pop()
        links: list[str] = []
        folders: list[str] = []
        for entry in entries(os.path.join(folder, inner), listing):
            if is_folder(entry):
                (links if entry.is_symlink() else folders).append(f"{inner}{entry.name}/")
            elif listing.is_image(entry.path):
                found.append(inner + entry.name)
        for name in sorted(folders) + sorted(links):
            if (known := identity(os.path.join(folder, name))) not in seen:
                seen.add(known)
                waiting.append(name)
    return sorted(found, key=os.path.split)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Or a link to one; a link in a loop is none."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


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
