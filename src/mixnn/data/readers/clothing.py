"""The photos of clothes inside this package: what `mixnn demo` works on.

Ten classes of the CC0 "clothing dataset" by Alexey Grigorev and contributors, 64 × 64 px, with
the mistakes their labels came with. Licence: `mixnn/data/clothing/LICENSE.txt`.
"""

from __future__ import annotations

import csv
import io
from importlib import resources

import numpy as np
from PIL import Image

from mixnn.data.dataset import Dataset, Samples
from mixnn.data.readers.images import Progress

SIDE, ROW = 64, 16  # pixels of a photo, photos in a row of a sheet


def read_clothing(progress: Progress | None = None) -> Dataset:
    """4 514 photos, uint8 (N, 64, 64, 3), in the order of their file names, which is random."""
    folder = resources.files("mixnn.data") / "clothing"
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(io.StringIO(file.read())))
    sheets = []
    for sheet in range(-(-len(rows) // ROW**2)):
        pixels = np.asarray(Image.open(io.BytesIO((folder / f"photos_{sheet:02d}.webp").read_bytes())).convert("RGB"))
        sheets.append(pixels.reshape(ROW, SIDE, ROW, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3))
    classes = sorted({row["label"] for row in rows})
    labels = np.array([classes.index(row["label"]) for row in rows], dtype=np.int64)
    images = np.concatenate(sheets)[: len(rows)]
    if progress is not None:
        progress(len(rows), len(rows))
    return Dataset(classes, Samples(images, labels, [row["file_name"] for row in rows]))
