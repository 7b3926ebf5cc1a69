"""`mixnn evaluate`: how good a trained run is on other data."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.commands.parsing import Parser, readable_output
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.readers import PHOTO_SIZE, read_source
from mixnn.errors import InputError
from mixnn.run import RunDirectory
from mixnn.screen import counter


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn evaluate", description="Accuracy of a trained run: of each class, and in all.")
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn train`")
    parser.add_argument("data", metavar="DATA", help="as for train; its test part where it has one, else all of it")
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)

    from mixnn.assemble import load_model, pick_device
    from mixnn.commands.predict import probabilities

    classes = directory.read_classes()
    model = load_model(directory.model, pick_device(given.device))
    sized = given.data.startswith(("cifar10:", "cifar100:", "demo:"))
    size = None if sized or model.size == PHOTO_SIZE else model.size
    dataset = read_source(given.data, image_size=size, progress=counter("reading images"))
    name, samples = (dataset.heldout_name, dataset.heldout) if dataset.heldout else ("images", dataset.train)
    if samples.images.shape[1] != model.size:
        raise InputError(f"{given.data} has images of {samples.images.shape[1]} px, the run {model.size}: give others")
    labels = translated(samples, dataset, classes)
    predicted = probabilities(model, samples.images).argmax(1)
    with readable_output():
        report(predicted, labels, classes, f"{given.data}, {len(labels):,} {name}")
    return 0


def translated(samples: Samples, dataset: Dataset, classes: list[str]) -> NDArray[np.int64]:
    """The labels as places in the run's list of classes.

    Raises:
        InputError: a label is outside that list.
    """
    used = [dataset.classes[i] for i in np.unique(samples.labels)]
    for name in used:
        if name not in classes:
            raise InputError(f"label {name!r} is not among the run's classes ({', '.join(classes)}): correct the data")
    place = np.array([classes.index(name) if name in classes else -1 for name in dataset.classes])
    return place[samples.labels].astype(np.int64)


def report(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: list[str], what: str) -> None:
    """A CSV line a class, then the whole, on standard output."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["class", "images", "accuracy"])
    for label, name in enumerate(classes):
        own = labels == label
        if own.any():
            writer.writerow([name, int(own.sum()), f"{(predicted[own] == label).mean():.4f}"])
    writer.writerow(["(all)", len(labels), f"{(predicted == labels).mean():.4f}"])
    print(f"accuracy on {what}: {(predicted == labels).mean():.2%}", file=sys.stderr)
