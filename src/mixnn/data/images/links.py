"""Image files that lie outside the data by symbolic links. Must not know: labels, readers."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mixnn.data.images.encoded import ImageFiles, Selection


def link_note(parts: Iterable[object], top: str | None) -> str | None:
    """What to say of the files that are read from outside of `top`; None where there are none.

    Args:
        parts: images of each; those that are no files are passed over.
        top: the folder of the data; None is the one that each part's names are relative to.
    """
    found = [pair for images in parts for pair in links_out(images, top)]
    if not found:
        return None
    count = "1 image is" if len(found) == 1 else f"{len(found):,} images are"
    path, real = found[0]
    return f"{count} read from outside the data, by links, such as {path} -> {real}"


def links_out(images: object, top: str | None) -> Iterable[tuple[str, str]]:
    """(path, real path) of files that are outside of `top`, because they or folders above them are symbolic links."""
    base = images.base if isinstance(images, Selection) else images
    if not isinstance(base, ImageFiles):
        return
    root = os.path.join(os.path.realpath(base.root if top is None else top), "")
    outside: dict[str, bool] = {}  # folder -> whether it is
    links: dict[str, set[str]] = {}  # folder -> names of links in it
    names = (base.names[row] for row in images.rows.tolist()) if isinstance(images, Selection) else base.names
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder not in links:
            real = os.path.realpath(os.path.join(base.root, folder)) if _is_plain(folder) else root
            outside[folder], links[folder] = not os.path.join(real, "").startswith(root), _links_in(real)
        if (outside[folder] or file in links[folder]) and _is_plain(name):
            path = os.path.join(base.root, name)
            if not (real := os.path.realpath(path)).startswith(root):
                yield path, real


def _is_plain(name: str) -> bool:
    """Whether only links can make it lead out."""
    return not (os.path.isabs(name) or ".." in name or "\0" in name)


def _links_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
    except OSError:
        return set()
