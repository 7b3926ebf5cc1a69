"""`mixnn corrupt`: wrong labels to share, with a record of how they were made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mixnn.cli.parsing import Parser, data_options
from mixnn.config import LAYOUT
from mixnn.data.check.findings import parts_of
from mixnn.data.dataset import Dataset
from mixnn.data.images.measure import with_range
from mixnn.data.images.thumbnails import thumbnails
from mixnn.data.noise.injection import add_noise, check_noise, noise_record, printable
from mixnn.data.noise.transition import KINDS
from mixnn.data.read import read
from mixnn.errors import InputError
from mixnn.utils.console import counter, say, show
from mixnn.utils.csv_files import write_csv
from mixnn.utils.files import atomic_write
from mixnn.utils.option_values import check_ranges

OPTIONS = {  # of DataOptions
    *(*LAYOUT, "labels", "unlabeled", "missing_labels"),
    *("labels_order", "class_order", "merge_similar_labels", "intensity_range"),
}
LARGEST = 3  # confusions on the screen
NAMED = 30  # classes whose names fit beside the picture


def run(words: Sequence[str]) -> int:
    about = "Write labels with noise added, the same that `mixnn train --noise --seed` trains on."
    parser = Parser(
        prog="mixnn corrupt",
        description=about,
        example="mixnn corrupt photos/ --noise symmetric:0.2 --out noisy/labels.csv",
    )
    parser.add_argument("source", metavar="DATA", help="as for train; its training part")
    parser.add_argument("--noise", required=True, help=f"asymmetric:0.4, matrix:FILE …; {', '.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--out", required=True, help="CSV to write; noise.json and noise.png go beside it")
    parser.add_argument("--overwrite", action="store_true", help="replace these files")
    parser.add_data_options(OPTIONS)
    parser.add_csv_option()
    given = parser.parse_words(words)
    check_ranges({"seed": given.seed})
    check_noise(given.noise)
    out = free_path(given.out, overwrite=given.overwrite)

    data = data_options(given)
    dataset = read(given.source, data)
    small = partial(thumbnails, progress=counter("decoding images"))
    images, in_order = [samples.images for samples in parts_of(dataset).values()], data.labels_order == "given"
    noisy = with_range(
        lambda found: add_noise(dataset, given.noise, given.seed, partial(small, intensity=found), in_order=in_order),
        images,
        data.intensity_range,
        None,
    )
    for array in noisy.label_arrays:
        say(f"mixnn: {array}")
    record = noise_record(noisy, given.noise, given.seed)
    write(noisy, record, out)
    show(f"{summary(record)}; to train on them, --noise file:{out}")
    return 0


def free_path(text: str, *, overwrite: bool) -> Path:
    """`--out` as a path, when nothing is in the way.

    Raises:
        InputError: it is no .csv, or it or a file beside it exists.
    """
    out = Path(text)
    if out.suffix.lower() != ".csv":
        raise InputError(f"--out {text}: name a .csv file, as labels.csv")
    for path in (out, out.with_name("noise.json"), out.with_name("noise.png")):
        if path.is_dir() or (path.exists() and not overwrite):
            raise InputError(f"--out {text}: {path} exists: choose another folder, or add --overwrite")
    return out


def write(dataset: Dataset, record: dict[str, Any], out: Path) -> None:
    """labels.csv, a row a training sample in order; noise.json and noise.png beside it."""
    labels = dataset.label_words(dataset.train.labels)
    write_csv(out, ["file_name", "label"], zip(dataset.train.names, labels, strict=True))
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in record.items()]
    with atomic_write(out.with_name("noise.json")) as path:
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    draw_counts(record, out.with_name("noise.png"))


def summary(record: dict[str, Any]) -> str:
    """The share of flipped labels and the largest confusions, in one line."""
    counts, classes = np.array(record["transition_counts"]), record["classes"]
    np.fill_diagonal(counts, 0)
    largest = [divmod(int(place), len(classes)) for place in np.argsort(-counts, axis=None, kind="stable")[:LARGEST]]
    confusions = [f"{classes[a]} → {classes[b]} {counts[a, b]:,}" for a, b in largest if counts[a, b]]
    known = record["samples"] - record["unlabeled"]
    line = f"{record['flipped_share']:.2%} of {known:,} labels are flipped"
    return f"{line}, most often {', '.join(confusions)}" if confusions else line


def draw_counts(record: dict[str, Any], path: Path) -> None:
    """A picture of what each class is labeled, as shares of it."""
    from matplotlib.figure import Figure

    from mixnn.utils.plotting import INK, save, shortened

    counts, names = np.array(record["transition_counts"]), [shortened(name) for name in record["classes"]]
    figure = Figure(figsize=(7, 6), dpi=110, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    shares = axes.imshow(counts / np.maximum(1, counts.sum(1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shares, label="share of the class")
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("label now", color=INK)
    axes.set_ylabel("label before", color=INK)
    axes.set_title(f"{printable(record['definition']['noise'])}, seed {record['seed']}", color=INK, parse_math=False)
    save(figure, path)
