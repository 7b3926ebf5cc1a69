"""Where data comes from, by the word before the colon. A reader gives a `Dataset`, nothing else is asked of it."""

from __future__ import annotations

from pathlib import Path

from mixnn.data.dataset import Dataset
from mixnn.data.readers.images import Progress
from mixnn.errors import InputError

PHOTO_SIZE = 64  # px, for images of no particular size


def read_source(source: str, *, image_size: int | None = None, progress: Progress | None = None) -> Dataset:
    """Read `photos/`, `csv:labels.csv`, `cifar10:DIR`, `cifar100:DIR`, or `demo:` (photos inside this package).

    Args:
        source: kind and path; a path alone is an image folder.
        image_size: pixels to read images at; 64 where not said. CIFAR and demo have their own.
        progress: called with (images done, images in all).

    Raises:
        InputError: the source is unknown, missing or damaged.
    """
    kind, colon, path = source.partition(":")
    size = PHOTO_SIZE if image_size is None else image_size
    if not 8 <= size <= 1024:
        raise InputError(f"--data.image-size is {size}: use 8 to 1024 pixels")
    if not colon or Path(source).is_dir():
        from mixnn.data.readers.folder import read_folder

        return read_folder(Path(source), size, progress)
    if kind in ("cifar10", "cifar100", "demo") and image_size is not None:
        raise InputError(f"--data.image-size does not go with {kind}: its images have their size; leave it away")
    if kind == "csv":
        from mixnn.data.readers.table import read_csv

        return read_csv(Path(path), size, progress)
    if kind in ("cifar10", "cifar100"):
        from mixnn.data.readers.cifar import read_cifar10, read_cifar100

        return (read_cifar10 if kind == "cifar10" else read_cifar100)(Path(path))
    if kind == "demo":
        from mixnn.data.readers.clothing import read_clothing

        return read_clothing(progress)
    raise InputError(f"data {source!r}: kind {kind!r} is unknown; use a folder, csv:, cifar10:, cifar100: or demo:")
