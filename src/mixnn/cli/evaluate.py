"""`mixnn evaluate`: how good a trained run is on other data."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.cli.parsing import NETWORK, Parser, data_options, readable_output
from mixnn.config import LAYOUT
from mixnn.data.dataset import Dataset, Samples
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import say
from mixnn.utils.csv_files import CsvWriter

# How images are read is the run's to say, and none is held out.
OPTIONS = (
    *(*LAYOUT, "heldout", "labels", "unlabeled", "missing_labels", "workers"),
    *("labels_order", "class_order", "merge_similar_labels"),
)


def run(words: Sequence[str]) -> int:
    about = "Accuracy of a trained run: of each class, and in all."
    parser = Parser(prog="mixnn evaluate", description=about, example="mixnn evaluate runs/first other-photos/")
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn train`")
    parser.add_argument("source", metavar="DATA", help="as for train; its test part where it has one, else all of it")
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    parser.add_argument("--network", type=str | None, default=None, help=NETWORK)
    parser.add_data_options(OPTIONS)
    parser.add_csv_option()
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)
    directory.check_trained()

    from mixnn.data.read import read
    from mixnn.data.split import without_dropped
    from mixnn.models.saved import load_model
    from mixnn.training.prediction import predict_samples
    from mixnn.training.records import of_run, with_encoder
    from mixnn.utils.devices import pick_device

    classes = directory.read_classes()
    model = load_model(directory.model, pick_device(given.device), given.network, classes)
    dataset = without_dropped(read(given.source, of_run(directory, data_options(given))))
    name, samples = (
        (dataset.heldout_name, dataset.heldout) if dataset.heldout else (f"{dataset.train.noun}s", dataset.train)
    )
    samples = samples[np.flatnonzero(samples.labels >= 0)]
    if len(samples) == 0:
        raise InputError(
            f"{given.source} has no label to compare with: give other data, or leave --data.unlabeled away"
        )
    labels = translated(samples, dataset, classes)
    samples = with_encoder(directory, samples)
    probs, bad = predict_samples(model, samples, data_options(given))
    for row, reason in bad.items():
        say(f"mixnn: image {samples.names[row]} cannot be read ({reason}) and does not count")
    readable = np.setdiff1d(np.arange(len(samples)), list(bad))
    if len(readable) == 0:
        raise InputError(f"{given.source} has no image that can be read: give others")
    with readable_output():
        report(probs[readable].argmax(1), labels[readable], classes, f"{given.source}, {len(readable):,} {name}")
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
    writer = CsvWriter(sys.stdout)
    writer.writerow(["class", "images", "accuracy"])
    for label, name in enumerate(classes):
        in_class = labels == label
        if in_class.any():
            writer.writerow([name, int(in_class.sum()), f"{(predicted[in_class] == label).mean():.4f}"])
    writer.writerow(["(all)", len(labels), f"{(predicted == labels).mean():.4f}"])
    say(f"accuracy on {what}: {(predicted == labels).mean():.2%}")
