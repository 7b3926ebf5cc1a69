"""WebVision 1.0, and its mini set of 50 classes. Must not know: torch, how to decode.

Li, Wang, Li, Agustsson & Van Gool, "WebVision Database", arXiv 1708.02862. The mini set is that of Jiang
et al., "MentorNet", ICML 2018: the first 50 classes, images from Google only.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.formats import SUFFIXES
from mixnn.data.readers import Columns
from mixnn.data.readers.lists import first_folder, labeled_lines, numbered_lines
from mixnn.errors import InputError

MINI = 50  # classes
VAL = ("val_images_256", "val_images_resized", "val_images", "val")  # by archive; its list has bare file names
IMAGENET = ("imagenet/val", "ILSVRC2012/val", "imagenet_val")
FIX = "give the folder of WebVision 1.0, with info/ and the images in it, or unpack info.tar again"


def read_webvision(path: str, columns: Columns) -> Source:
    """`path` holds info/ (synsets.txt, *_filelist*.txt), google/, flickr/ and val_images_256/.

    Parts are "train", "test" (WebVision's validation images) and, where ILSVRC-12's lie in a folder of
    `IMAGENET`, inside or beside `path` and sorted into synset folders, "imagenet".

    Raises:
        InputError: a list or a folder is missing, or a line is damaged.
    """
    return _read(Path(path), ["google", "flickr"], None)


def read_mini_webvision(path: str, columns: Columns) -> Source:
    """The first 50 classes of `read_webvision`, with Google's images only to train on."""
    return _read(Path(path), ["google"], MINI)


def _read(root: Path, engines: list[str], num_classes: int | None) -> Source:
    info = root / "info"
    # "n01440764 tench": some words name two classes of ImageNet, a crane the bird and the machine.
    synsets = [line.partition(",")[0] for _, line in numbered_lines(info / "synsets.txt", FIX)]
    if len(synsets) < (num_classes or 2):
        raise InputError(f"{info / 'synsets.txt'} has {len(synsets)} lines, one for each class are needed: {FIX}")
    classes = synsets[:num_classes]
    train = _Rows()
    for engine in engines:
        folder = first_folder([root], (engine, f"{engine}_resized_256/{engine}"))
        if folder is None:
            raise InputError(f"{root} holds no folder {engine}: unpack {engine}_resized_256.tar there")
        train.add(info / f"train_filelist_{engine}.txt", _prefix(root, folder.parent), len(synsets), len(classes))
    folder = first_folder([root], VAL)
    if folder is None:
        raise InputError(f"{root} holds no folder {VAL[0]}: unpack {VAL[0]}.tar there")
    test = _Rows()
    test.add(info / "val_filelist.txt", _prefix(root, folder), len(synsets), len(classes))
    imagenet = _imagenet(root, [name.split()[0] for name in classes])
    parts = {"train": train.part(root), "test": test.part(root)}
    return Source(parts if imagenet is None else parts | {"imagenet": imagenet}, classes)


class _Rows:
    """Names and labels of one part, from one list or more."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.labels: list[int] = []

    def add(self, file: Path, prefix: str, listed: int, kept: int) -> None:
        """The lines of `file` with a label below `kept`; labels up to `listed` are right, if not asked for."""
        for name, label in labeled_lines(file, listed, FIX):
            if label < kept:
                self.names.append(prefix + name)
                self.labels.append(label)

    def part(self, root: Path) -> Part:
        return Part(ImageFiles(root, self.names), np.array(self.labels, dtype=np.int64), self.names)


def _prefix(root: Path, folder: Path) -> str:
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _imagenet(root: Path, synsets: list[str]) -> Part | None:
    """ILSVRC-12's validation images of these synsets; None where no folder has them sorted."""
    first = first_folder([root, root.absolute().parent], tuple(f"{folder}/{synsets[0]}" for folder in IMAGENET))
    if first is None:
        return None
    names, labels = [], []
    for label, synset in enumerate(synsets):
        folder = first.parent / synset
        found = os.listdir(folder) if folder.is_dir() else []
        files = sorted(name for name in found if name[0] != "." and os.path.splitext(name)[1].lower() in SUFFIXES)
        if not files:
            raise InputError(f"{folder} has no images: sort ILSVRC-12's validation images into all synset folders")
        names += [f"{synset}/{name}" for name in files]
        labels += [label] * len(files)
    return Part(ImageFiles(first.parent, names), np.array(labels, dtype=np.int64), names)
