"""`mixnn predict`: labels for images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mixnn.commands.parsing import Parser, readable_output
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

    model = load_model(directory.model, pick_device(given.device))
    with readable_output():
        return 2 if write_predictions(model, directory.read_classes(), given.images) else 0
    return 0


def write_predictions(model: Predictor, classes: list[str], paths: Sequence[str]) -> int:
    """A CSV line for each image that can be read, on standard output; the number of those that cannot."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file_name", "label", "probability"])
    bad = 0
    for start in range(0, len(paths), BATCH):
        names, images = [], []
        for name in paths[start : start + BATCH]:
            try:
                images.append(read_image(Path(name), model.size))
                names.append(name)
            except InputError as error:  # the good ones are predicted all the same
                bad += 1
                print(f"mixnn: {error}", file=sys.stderr)
        if images:
            for name, probs in zip(names, probabilities(model, np.stack(images)), strict=True):
                writer.writerow([name, classes[probs.argmax()], f"{probs.max():.4f}"])
    return bad


def probabilities(model: Predictor, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class probabilities (N, C) for uint8 images (N, H, W, 3)."""
    import torch

    from mixnn.data.train_data import as_input

    device = next(model.parameters()).device
    parts = [model(as_input(part.to(device).permute(0, 3, 1, 2))) for part in torch.from_numpy(images).split(BATCH)]
    result: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return result
