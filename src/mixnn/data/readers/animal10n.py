"""ANIMAL-10N as its authors ship it, the version with image files. Must not know: torch, how to decode.

Song, Kim & Lee, "SELFIE: Refurbishing Unclean Samples for Robust Deep Learning", ICML 2019.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.formats import SUFFIXES
from mixnn.data.readers import Columns
from mixnn.data.readers.lists import first_folder
from mixnn.errors import InputError

CLASSES = [  # five pairs that are easily confused
    *("Cat", "Lynx", "Wolf", "Coyote", "Cheetah"),
    *("Jaguar", "Chimpanzee", "Orangutan", "Hamster", "Guinea pig"),
]
FOLDERS = {"train": "training", "test": "testing"}
FIX = "give the folder of ANIMAL-10N, with training/ and testing/ of raw_image.zip in it"


def read_animal10n(path: str, columns: Columns) -> Source:
    """`path`, its raw_image/ or its raw_image_ver/raw_image/ holds training/ and testing/ of files as 3_00042.jpg.

    The label is the number before the underscore. Files are ordered by what follows it, which mixes the
    classes; those that are no images by name are passed over.

    Raises:
        InputError: a folder is missing or holds no images, or a file name has no label.
    """
    training = first_folder([Path(path)], ("training", "raw_image/training", "raw_image_ver/raw_image/training"))
    if training is None:
        raise InputError(f"{path} holds no folder training: {FIX}")
    root = training.parent
    return Source({part: _part(root, folder) for part, folder in FOLDERS.items()}, CLASSES)


def _part(root: Path, folder: str) -> Part:
    try:
        files = os.listdir(root / folder)
    except OSError as error:
        raise InputError(f"{root / folder} cannot be read ({error.strerror}): {FIX}") from error
    places = {str(label): label for label in range(len(CLASSES))}
    rows = []  # (what follows the label, label, file)
    for file in files:
        if file.startswith(".") or os.path.splitext(file)[1].lower() not in SUFFIXES:
            continue
        word, _, rest = file.partition("_")
        if word not in places:
            name = root / folder / file
            raise InputError(f"{name} does not begin with a label, as 3_00042.jpg does: rename it")
        rows.append((rest, places[word], file))
    if not rows:
        raise InputError(f"{root / folder} has no images: {FIX}")
    rows.sort()
    names = [f"{folder}/{file}" for _, _, file in rows]
    return Part(ImageFiles(root, names), np.array([label for _, label, _ in rows], dtype=np.int64), names)
