"""Food-101N as its authors ship it, tested on Food-101. Must not know: torch, how to decode.

Lee, He, Zhang & Yang, "CleanNet: Transfer Learning for Scalable Image Classifier Training with Label
Noise", CVPR 2018; Bossard, Guillaumin & Van Gool, "Food-101", ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.lists import first_folder, numbered_lines
from mixnn.errors import InputError

HEADER = "class_name"  # the first line of each list in meta/ begins so
FIX = "give the folder Food-101N_release, with images/ and meta/ in it, or unpack it again"


def read_food101n(path: str, columns: Columns) -> Source:
    """`path`, or its Food-101N_release/, holds images/ and meta/ (classes.txt, imagelist.tsv).

    Parts are "train" (every image, labels unverified); "test", the test images of Food-101, where its folder
    food-101/ lies inside or beside; and "verified_val", those of verified_val.tsv that people found right.
    The last are among the training images too.

    Raises:
        InputError: a list is missing, or a line is damaged.
    """
    root = first_folder([Path(path)], ("Food-101N_release",)) or Path(path)
    classes = [line for _, line in _rows(root / "meta" / "classes.txt")]
    places = {name: place for place, name in enumerate(classes)}
    images = root / "meta" / "imagelist.tsv"
    parts = {"train": _part(root, images, _rows(images), places)}
    verified = root / "meta" / "verified_val.tsv"
    if verified.is_file():
        parts["verified_val"] = _part(root, verified, _right(verified), places)
    food101 = first_folder([root, root.absolute().parent], ("food-101",))
    if food101 is not None:
        test = food101 / "meta" / "test.txt"
        keys = ((number, f"{key}.jpg") for number, key in numbered_lines(test, "unpack food-101.tar.gz again"))
        parts["test"] = _part(food101, test, keys, places)
    return Source(parts, classes)


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) without the header."""
    return ((number, line) for number, line in numbered_lines(path, FIX) if number > 1 or not line.startswith(HEADER))


def _right(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, key) of those with the verification label 1."""
    for number, line in _rows(path):
        key, _, verified = line.rpartition("\t")
        if verified not in ("0", "1"):
            raise InputError(f"{path}, line {number}: {line!r} does not end with a tab and 0 or 1: {FIX}")
        if verified == "1":
            yield number, key


def _part(root: Path, path: Path, keys: Iterator[tuple[int, str]], places: dict[str, int]) -> Part:
    """Images of keys such as `apple_pie/1011328.jpg`."""
    names, labels = [], []
    for number, key in keys:
        word, slash, _ = key.partition("/")
        if not slash or word not in places:
            raise InputError(f"{path}, line {number}: {key!r} is not a class of classes.txt, a slash, a file: {FIX}")
        names.append(f"images/{key}")
        labels.append(places[word])
    return Part(ImageFiles(root, names), np.array(labels, dtype=np.int64), names)
