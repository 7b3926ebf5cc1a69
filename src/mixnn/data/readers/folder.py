"""An image folder: one sub-folder a class, images anywhere below it."""

from __future__ import annotations

import os
from pathlib import Path

from mixnn.data.dataset import Part, Source
from mixnn.data.decode import SUFFIXES
from mixnn.data.files import ImageFiles
from mixnn.data.readers import Columns
from mixnn.errors import InputError


def read_folder(path: str, columns: Columns) -> Source:
    """`path`/class/…/image.jpg; hidden files and files that are no images by name are passed over.

    The order takes one image of each class in turn, so that the first N are a fair part.

    Raises:
        InputError: the folder is missing, has no class folders or a class without images.
    """
    top = Path(path)
    if not top.exists():
        raise InputError(f"{path} does not exist: give a folder with one sub-folder for each class")
    if not top.is_dir():
        raise InputError(f"{path} is a file: give a folder of images, or csv:{path} for a list")
    classes = sorted(entry.name for entry in top.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise InputError(f"{path} has no sub-folders: put the images of each class into a folder of its own")
    found = []  # (place in its class, class, file)
    for label, name in enumerate(classes):
        files = _images_below(top / name)
        if not files:
            raise InputError(f"class folder {top / name} has no images ({', '.join(sorted(SUFFIXES))}): remove it")
        found += [(place, label, file) for place, file in enumerate(files)]
    found.sort()
    names = [file.relative_to(top).as_posix() for _, _, file in found]
    return Source({"train": Part(ImageFiles(path, names), [classes[label] for _, label, _ in found], names)})


def _images_below(folder: Path) -> list[Path]:
    files = []
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(directory, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)
