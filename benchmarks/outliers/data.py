"""What is looked at: part of the CIFAR images, all photos of clothes, texts; each with frozen features, made once."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from real_errors.features import BATCH, SIZE, banking_features, banking_rows, encoded

from mixnn.data.readers import read_source

RANDOM = {"cifar10": 1500, "cifar100": 1000}  # images of each part beside those of known pairs
PHOTOS = 2000  # of clothes: all that are odd, and others at random
ODD = ("Not sure", "Skip", "Other")  # labels of photos that show no one garment, or none
Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Cifar(NamedTuple):
    """Some images of both parts.

    Attributes:
        images: (N, 32, 32, 3).
        features: (N, D).
        labels: (N,).
        drawn: bool (N,), those drawn at random.
        test: bool (N,), those of the test part; the others are of the training part.
        pairs: (M, 3), rows of two images and what people judged: 0 the same, 1 near duplicates, 2 very similar.
    """

    images: Images
    features: Floats
    labels: NDArray[np.int64]
    drawn: NDArray[np.bool_]
    test: NDArray[np.bool_]
    pairs: NDArray[np.int64]


def cifar(name: str, data: Path, cache: Path) -> Cifar:
    """The images of the pairs of ciFAIR (Barz and Denzler, J. Imaging 2020), and some of each part at random."""
    dataset = read_source(f"{name}:{data / name}")
    train, test = dataset.train, dataset.heldout
    assert test is not None
    assert isinstance(train.images, np.ndarray)
    assert isinstance(test.images, np.ndarray)
    with open(data / name / "test_near_duplicates_cifair.csv", newline="", encoding="utf-8") as file:
        known = np.array([[int(row[key]) for key in ("TestID", "TrainID", "Judgment")] for row in csv.DictReader(file)])
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(len(part))[: RANDOM[name]] for part in (test, train)]
    rows = [np.union1d(known[:, side], drawn[side]) for side in (0, 1)]
    images = np.concatenate([test.images[rows[0]], train.images[rows[1]]])
    pairs = np.stack(
        [np.searchsorted(rows[0], known[:, 0]), len(rows[0]) + np.searchsorted(rows[1], known[:, 1]), known[:, 2]], 1
    )
    return Cifar(
        images,
        made(cache / f"outliers_{name}.npy", images),
        np.concatenate([test.labels[rows[0]], train.labels[rows[1]]]),
        np.concatenate([np.isin(rows[side], drawn[side]) for side in (0, 1)]),
        np.arange(len(images)) < len(rows[0]),
        pairs,
    )


def clothing(data: Path, cache: Path) -> tuple[Images, Floats, list[str]]:
    """Photos at 96 px, their features, and their labels."""
    with open(data / "clothing" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = [(row["image"], row["label"]) for row in csv.DictReader(file)]
    odd = np.array([label in ODD for _, label in rows])
    others = np.random.default_rng(0).permutation(np.flatnonzero(~odd))[: PHOTOS - odd.sum()]
    rows = [rows[row] for row in np.union1d(np.flatnonzero(odd), others)]
    photos = []
    for name, _ in rows:
        with Image.open(data / "clothing" / "images" / name) as photo:
            photos.append(np.asarray(photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)))
    images = np.stack(photos)
    return images, made(cache / "outliers_clothing.npy", images), [label for _, label in rows]


def banking(data: Path, cache: Path) -> tuple[Floats, list[str]]:
    """Questions of customers: features, and their categories."""
    path = cache / "banking77.npy"
    if not path.exists():
        np.save(path, banking_features(data).astype(np.float16))
    return np.load(path).astype(np.float32), [category for _, category in banking_rows(data)]


def made(path: Path, images: Images) -> Floats:
    """Features of `images`, made where there are none yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        batches = iter(torch.from_numpy(images).permute(0, 3, 1, 2).split(BATCH))
        np.save(path, encoded(batches).astype(np.float16))
    features: Floats = np.load(path).astype(np.float32)
    return features
