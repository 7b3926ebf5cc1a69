"""Clothing1M as its authors ship it: images and lists of keys. Must not know: torch, how to decode.

Xiao, Xia, Yang, Huang & Wang, "Learning from Massive Noisy Labeled Data for Image Classification", CVPR 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.lists import labeled_lines, numbered_lines
from mixnn.errors import InputError

CLASSES = [
    *("T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker"),
    *("Jacket", "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear"),
]
PARTS = {"train": "noisy_train", "val": "clean_val", "test": "clean_test", "clean_train": "clean_train"}
FIX = "give the folder of Clothing1M, with images/ and the authors' lists in it, or unpack the lists again"


def read_clothing1m(path: str, columns: Columns) -> Source:
    """`path` holds images/ and, beside it or in annotations/, *_key_list.txt and *_label_kv.txt.

    Parts are "train" (noisy labels), and with clean labels "val", "test" and "clean_train".

    Raises:
        InputError: a list is missing, a line is damaged, a key has no label, or there are no images.
    """
    root = Path(path)
    lists = root / "annotations" if (root / "annotations" / "noisy_train_key_list.txt").is_file() else root
    files = {kind: lists / f"{kind}_label_kv.txt" for kind in ("noisy", "clean")}
    labels = {kind: dict(labeled_lines(file, len(CLASSES), FIX)) for kind, file in files.items()}
    prefix = _unused_prefix(root)
    parts = {}
    for part, stem in PARTS.items():
        kind = stem.partition("_")[0]
        parts[part] = _part(root, lists / f"{stem}_key_list.txt", labels[kind], files[kind].name, prefix)
    return Source(parts, _classes(lists / "category_names_eng.txt"))


def _part(root: Path, keys: Path, labels: dict[str, int], labels_file: str, prefix: str) -> Part:
    names, codes = [], []
    for number, key in numbered_lines(keys, FIX):
        label = labels.get(key)
        if label is None:
            raise InputError(f"{keys}, line {number}: {key!r} has no label in {labels_file}: {FIX}")
        names.append(key.removeprefix(prefix))
        codes.append(label)
    return Part(ImageFiles(root, names), np.array(codes, dtype=np.int64), names)


def _unused_prefix(root: Path) -> str:
    """What keys begin with and paths do not: the archives hold 0/ … 9/, which many unpack beside the lists."""
    if (root / "images").is_dir():
        return ""
    if any((root / digit).is_dir() for digit in "0123456789"):
        return "images/"
    raise InputError(f"{root} holds no folder images: {FIX}")


def _classes(names: Path) -> list[str]:
    """The authors' spelling where their list is there."""
    if not names.is_file():
        return CLASSES
    classes = [line for _, line in numbered_lines(names, FIX)]
    if len(set(classes)) != len(CLASSES):
        raise InputError(f"{names} has {len(set(classes))} names for {len(CLASSES)} classes: unpack it again")
    return classes
