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
    root, folders = os.path.realpath(base.root if top is None else top), dict[str, str]()
    names = (base.names[row] for row in images.rows.tolist()) if isinstance(images, Selection) else base.names
    for name in names:
        if os.path.isabs(name) or ".." in name or "\0" in name:
            continue  # outside by its very name, if at all
        path = os.path.join(base.root, name)
        folder, _, file = path.rpartition("/")
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real = os.path.join(folders[folder], file)
        real = os.path.realpath(real) if os.path.islink(real) else real
        if not real.startswith(os.path.join(root, "")):
            yield path, real
