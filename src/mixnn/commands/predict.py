"""`mixnn predict`: labels for images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mixnn.commands.parsing import Parser
from mixnn.data.readers.images import read_image
from mixnn.errors import InputError
from mixnn.run import RunDirectory

if TYPE_CHECKING:
    from mixnn.assemble import Predictor

BATCH = 256


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn predict", description="Write file_name,label,probability for images, as CSV.")
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn train`")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)

    from mixnn.assemble import load_model, pick_device

    classes = directory.read_classes()
    model = load_model(directory.model, pick_device(given.device))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file_name", "label", "probability"])
    bad = 0
    for start in range(0, len(given.images), BATCH):
        names, images = [], []
        for name in given.images[start : start + BATCH]:
            try:
                images.append(read_image(Path(name), model.size))
                names.append(name)
            except InputError as error:  # the good ones are predicted all the same
                bad += 1
                print(f"mixnn: {error}", file=sys.stderr)
        if not images:
            continue
        for name, probs in zip(names, probabilities(model, np.stack(images)), strict=True):
            writer.writerow([name, classes[probs.argmax()], f"{probs.max():.4f}"])
    return 2 if bad else 0


def probabilities(model: Predictor, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class probabilities (N, C) for uint8 images (N, H, W, 3)."""
    import torch

    from mixnn.data.train_data import as_input

    device = next(model.parameters()).device
    parts = [model(as_input(part.to(device).permute(0, 3, 1, 2))) for part in torch.from_numpy(images).split(BATCH)]
    result: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return result
