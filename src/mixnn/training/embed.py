"""Features of all images of a data set as a file, made by a frozen network. Must not know: labels, runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mixnn.config.find import EmbedOptions
from mixnn.data.batches import TrainData
from mixnn.data.check.findings import parts_of
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.feature_writer import FeatureWriter, partial_folder
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.formats import Listing
from mixnn.data.images.intensity import Range
from mixnn.data.images.measure import with_range
from mixnn.data.load import check_shapes, image_size, open_part, pick_store, report, train_data, unreadable_rows
from mixnn.data.read import read
from mixnn.data.readers.walk import images_below, metadata_file, subfolders
from mixnn.errors import InputError
from mixnn.evidence.encoder import Frozen, batches, frozen_network
from mixnn.runs.environment import version
from mixnn.runs.lock import locked
from mixnn.tables.topk_rows import feature_bytes
from mixnn.training.find import for_encoder
from mixnn.training.network import check_network, is_embeddings
from mixnn.utils.console import bar, note, say
from mixnn.utils.devices import device_name, pick_device
from mixnn.utils.files import Row
from mixnn.utils.output_paths import check_outside, file_in


class Embedded(NamedTuple):
    """A file of features.

    Attributes:
        path: of it.
        counts: samples of each part.
        width: D.
        made_by: the network and its settings, see `docs/features.md`.
        unreadable: images that are not in it.
    """

    path: Path
    counts: dict[str, int]
    width: int
    made_by: dict[str, Any]
    unreadable: list[Row]


class Opened(NamedTuple):
    """Images that are ready.

    Attributes:
        names: of each part.
        images: of each part.
        size: pixels that they were read at.
        unreadable: rows about the images that are left out.
        checksum: SHA-256 of names and pixels.
        intensity: what became black and white of pixels of more than 8 bits; None where there were none.
    """

    names: dict[str, list[str]]
    images: dict[str, TrainData]
    size: int
    unreadable: list[Row]
    checksum: str
    intensity: Range | None


def embed(source: str, options: EmbedOptions, out: str | Path) -> Embedded:
    """Write features of every image of `source`, of all its parts, to the .npz file `out`.

    What a killed process made is kept beside `out`, and taken up by the next.

    Raises:
        InputError: something given is wrong, or `out` holds something else.
    """
    options.check()
    check_network(options)
    path, device = file_in(Path(out), "features.npz"), pick_device(options.device)
    check_outside(path, source)
    dataset = unlabeled_folder(source) or read(source, replace(options.data, heldout="train"))  # every part whole
    if dataset.train.records is not None:
        raise InputError(f"{source} has {dataset.train.noun}s, not images: `mixnn find {source}` makes their features")
    if is_embeddings(dataset.train):
        raise InputError(f"{source} has embeddings already: `mixnn find {source}` takes them as they are")
    options = for_encoder(dataset.train, options, device)
    with locked(partial_folder(path)):
        images = [samples.images for samples in parts_of(dataset).values()]
        opened = with_range(
            partial(open_all, dataset, options, device, path),
            images,
            options.data.intensity_range,
            options.data.workers,
        )
        frozen = frozen_network(opened.images["train"], options, device)
        return write(path, opened, frozen)


def unlabeled_folder(source: str) -> Dataset | None:
    """The images of a folder without class folders or a table, as one part without labels; None of other data."""
    if not Path(source).is_dir() or subfolders(source) or metadata_file(source):
        return None
    names = images_below(source, listing=(listing := Listing()))
    if not names:
        return None  # of which reading says what is wrong
    listing.tell(source)
    note(f"{source} has no class folders: its {len(names):,} images are taken as they are")
    train = Samples(ImageFiles(source, names), np.full(len(names), -1), names)
    unreadable = [("train", *found) for found in listing.below(source)]
    return Dataset([], train, unlabeled=[""], unreadable=unreadable)


def open_all(
    dataset: Dataset, options: EmbedOptions, device: torch.device, out: Path, intensity: Range | None
) -> Opened:
    """Every image of every part looked at once.

    Raises:
        InputError: none can be read, or one cannot and that is not to be.
    """
    parts, data = parts_of(dataset), options.data
    size = image_size(dataset.train, data)
    assert size is not None
    check_shapes(parts)
    store, digest = pick_store(parts.values(), size, data, intensity), hashlib.sha256()
    names, images, unreadable = {}, {}, list[Row]()
    for part, samples in parts.items():
        opened = open_part(part, samples, size, store, data, intensity)
        unreadable += unreadable_rows(part, samples, opened)
        kept = samples[opened.kept]
        names[part], images[part] = kept.names, train_data(kept, opened, size, options.for_reading(), device)
        digest.update(opened.checksums.tobytes())
        digest.update("\0".join([part, *kept.names]).encode("utf-8", "surrogateescape"))
    unreadable += [{"file_name": name, "part": part, "reason": why} for part, name, why in dataset.unreadable]
    if unreadable:
        looked_at = sum(map(len, parts.values())) + len(dataset.unreadable)
        report(unreadable, looked_at, data, dataset.train.noun, f"`unreadable` of {out}")
    return Opened(names, images, size, unreadable, digest.hexdigest(), intensity)


def write(path: Path, opened: Opened, frozen: Frozen) -> Embedded:
    """The file, from where it is."""
    network, names = frozen.network, [name for part in opened.names.values() for name in part]
    width, counts = network.head.in_features, {part: len(rows) for part, rows in opened.names.items() if rows}
    made_by = made_by_of(opened, frozen)
    size_of_value = feature_bytes(len(names), width)
    writer = FeatureWriter(path, made_by, len(names), width, np.float16 if size_of_value == 2 else np.float32)
    if writer.finished:
        note(f"{path} has these features already")
    else:
        if writer.done:
            note(f"{writer.done:,} of {len(names):,} were there already")
        encode_rest(writer, opened.images, frozen, size_of_value)
        writer.finish(
            names=np.array(names, np.str_),
            parts=np.repeat([*counts], [*counts.values()]),
            unreadable=np.array([row["file_name"] for row in opened.unreadable], np.str_),
            unreadable_reasons=np.array([row["reason"] for row in opened.unreadable], np.str_),
        )
    return Embedded(path, counts, width, made_by, opened.unreadable)


def made_by_of(opened: Opened, frozen: Frozen) -> dict[str, Any]:
    """All that decides what the features are."""
    network = frozen.network
    return {
        "mixnn": version("mixnn"),
        "network": Path(frozen.name).name,
        "weights": frozen.checksum(),
        "image_size": opened.size,
        "input_size": frozen.size,
        "pixel_mean": [round(value, 6) for value in network.mean.tolist()],
        "pixel_std": [round(value, 6) for value in network.std.tolist()],
        "intensity_range": None if opened.intensity is None else list(opened.intensity),
        "precision": "bfloat16" if network.bf16 else "float32",
        "images": opened.checksum,
    }


def encode_rest(writer: FeatureWriter, parts: Mapping[str, TrainData], frozen: Frozen, size_of_value: int) -> None:
    """Features of the images that the file does not have yet."""
    total, before = writer.samples, 0
    say(f"{total:,} images of {frozen.size} px by {frozen.name}, on {device_name(frozen.network.mean.device)}")
    with bar("encoding images", writer.done, total, "images") as progress:
        for data in parts.values():
            start = max(0, writer.done - before)
            before += len(data)
            if start >= len(data):
                continue
            for z in batches(frozen.network, data, torch.arange(start, len(data)), size_of_value):
                writer.add(z.cpu().numpy())
                progress(writer.done, total)
