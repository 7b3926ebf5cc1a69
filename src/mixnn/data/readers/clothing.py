"""The photos of clothes inside this package: what `mixnn demo` works on.

Ten classes of the CC0 "clothing dataset" by Alexey Grigorev and contributors, 64 × 64 px, with
the mistakes their labels came with. License: `mixnn/data/clothing/LICENSE.txt`. Must not know: other data, torch.
"""

from __future__ import annotations

import io
from importlib import resources

import numpy as np
from PIL import Image

from mixnn.data.dataset import Part, Source
from mixnn.data.readers import Columns
from mixnn.data.readers.columns import choose
from mixnn.data.readers.table import read_content
from mixnn.errors import InputError

SIDE, ROW = 64, 16  # pixels of a photo, photos in a row of a sheet


def read_clothing(path: str, columns: Columns) -> Source:
    """4 514 photos, uint8 (N, 64, 64, 3), in the order of their file names, which is random.

    Raises:
        InputError: there is a path; these photos have none.
    """
    if path:
        raise InputError(f"data 'demo:{path}': the demo has photos of its own: write demo: alone, or folder:{path}")
    folder = resources.files("mixnn.data") / "clothing"
    content = read_content(str(folder / "labels.csv"), "csv", lambda header: choose(header, columns, "labels.csv"))
    sheets = []
    for sheet in range(-(-len(content.names) // ROW**2)):
        pixels = np.asarray(Image.open(io.BytesIO((folder / f"photos_{sheet:02d}.webp").read_bytes())).convert("RGB"))
        sheets.append(pixels.reshape(ROW, SIDE, ROW, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3))
    images = np.concatenate(sheets)[: len(content.names)]
    return Source({"train": Part(images, content.labels, content.names)})
