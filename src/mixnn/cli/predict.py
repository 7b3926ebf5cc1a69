"""`mixnn predict`: labels for images."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixnn.cli.parsing import NETWORK, Parser, readable_output
from mixnn.data.images.decoder import read_image
from mixnn.data.images.formats import Listing
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import say
from mixnn.utils.csv_files import CsvWriter

if TYPE_CHECKING:
    from mixnn.models.saved import Predictor

BATCH = 256


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn predict", description="Write file_name,label,probability for images, as CSV.")
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn train`")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    parser.add_argument("--network", type=str | None, default=None, help=NETWORK)
    parser.add_csv_option()
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)
    directory.check_trained()

    from mixnn.models.saved import load_model
    from mixnn.utils.devices import pick_device

    classes = directory.read_classes()
    model = load_model(directory.model, pick_device(given.device), given.network, classes)
    if model.image_size is None:
        raise InputError(f"{given.run} was trained on embeddings: `mixnn evaluate` takes these, predict takes images")
    images = image_files(given.images)
    with readable_output():
        return 2 if write_predictions(model, classes, images) else 0
    return 0


def image_files(names: Sequence[str]) -> list[str]:
    """`names`, with the images in it, and below it, in place of a folder.

    Raises:
        InputError: a folder has none.
    """
    files: list[str] = []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        listing, inside = Listing(), (path for path in Path(name).rglob("*") if path.is_file() and path.name[0] != ".")
        found = [str(path) for path in inside if listing.is_image(str(path))]
        listing.tell(name)
        if not found:
            raise InputError(f"folder {name} has no images{listing.last_words()}: give others")
        files += sorted(found + [path for path, _ in listing.unreadable])  # of which it is said why they are none
    return files


def write_predictions(model: Predictor, classes: list[str], paths: Sequence[str]) -> int:
    """A CSV line for each image that can be read, on standard output; the number of those that cannot."""
    import torch

    from mixnn.training.prediction import probabilities

    assert model.image_size is not None
    writer = CsvWriter(sys.stdout)
    header, bad = ["file_name", "label", "probability"], 0
    for start in range(0, len(paths), BATCH):
        names, images = [], []
        for name in paths[start : start + BATCH]:
            try:
                images.append(read_image(Path(name), model.image_size, model.intensity))
                names.append(name)
            except InputError as error:  # the good ones are predicted all the same
                bad += 1
                say(f"mixnn: {error}")
        if images:
            if header:
                writer.writerow(header)
                header = []
            for name, probs in zip(names, probabilities(model, torch.from_numpy(np.stack(images))), strict=True):
                writer.writerow([name, classes[probs.argmax()], f"{probs.max():.4f}"])
    return bad
