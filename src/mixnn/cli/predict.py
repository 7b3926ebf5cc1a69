"""`mixnn predict`: labels for images, for texts, or for rows of a table."""

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
    from mixnn.training.records import RunEncoder

ABOUT = "Write file_name,label,probability for images, as CSV; row,label,probability for texts and values."
BATCH = 256


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn predict", description=ABOUT)
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn train`")
    tables = "image files, or folders of them; for a run on texts or values, tables with the columns of that run"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=tables)
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    parser.add_argument("--network", type=str | None, default=None, help=NETWORK)
    parser.add_csv_option()
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)
    directory.check_trained()

    from mixnn.models.saved import load_model
    from mixnn.training.records import run_encoder
    from mixnn.utils.devices import pick_device

    classes = directory.read_classes()
    model = load_model(directory.model, pick_device(given.device), given.network, classes)
    if (encoder := run_encoder(directory)) is not None:
        with readable_output():
            predict_tables(model, encoder, classes, given.images)
        return 0
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


def predict_tables(model: Predictor, encoder: RunEncoder, classes: list[str], tables: Sequence[str]) -> None:
    """A CSV line for each row of these tables, on standard output; an empty text has no label."""
    import torch

    from mixnn.training.prediction import probabilities

    read = [(table, *encoder.read(table)) for table in tables]  # so that a wrong one is told before any line
    writer = CsvWriter(sys.stdout)
    writer.writerow(["row", "label", "probability"])
    for table, names, cells in read:
        features = torch.from_numpy(encoder.encode(cells))
        probs = np.concatenate([probabilities(model, part) for part in features.split(BATCH)])
        full = [any(cell.strip() for cell in row) for row in cells]
        for name, row, known in zip(names, probs, full, strict=True):
            said = [classes[row.argmax()], f"{row.max():.4f}"] if known else ["", ""]
            writer.writerow([f"{table} {name}" if len(tables) > 1 else name, *said])
        if not all(full):
            say(f"mixnn: {table}: {full.count(False):,} of {len(full):,} {encoder.kind}s are empty and get no label")


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
