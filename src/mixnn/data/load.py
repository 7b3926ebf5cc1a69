"""From names and labels to what a run trains on: add noise, hold out, look at every image once.

Must not know: methods, networks, the run directory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.config import DataOptions, ReadOptions
from mixnn.data.batches import TrainData
from mixnn.data.check.findings import label_findings, parts_of
from mixnn.data.check.table import summary_lines
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.images.cache import Opened, Store, choose_store, held_bytes, open_images
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.intensity import Range
from mixnn.data.images.measure import with_range
from mixnn.data.images.pixels import Pixels, StreamPixels, TensorPixels
from mixnn.data.images.thumbnails import thumbnails
from mixnn.data.noise.injection import add_noise, noise_record
from mixnn.data.scale import embedding_scale
from mixnn.data.split import check_counts, fingerprint, keep_train, prepare
from mixnn.errors import InputError
from mixnn.utils.console import counter, note, say
from mixnn.utils.files import Row
from mixnn.utils.processes import default_workers, first_process

PHOTO_SIZE = 64  # px, for images of no particular size


class Loaded(NamedTuple):
    """What a run trains on.

    Attributes:
        dataset: names and labels, of the images that can be read.
        train: the training samples.
        heldout: those for the accuracy, in the same form; None where there are none.
        image_size: pixels of an image; None for embeddings.
        unreadable: a row for each image set aside: file_name, part, reason.
        noise_record: see `mixnn.data.noise.injection.noise_record`; None without noise.
        intensity: what became black and white of pixels of more than 8 bits; None where there were none.
        fingerprint: of the training samples.
        scale: what embeddings were shifted and divided by, to have a usual size: (D,) each.
    """

    dataset: Dataset
    train: TrainData
    heldout: TrainData | None
    image_size: int | None
    unreadable: list[Row]
    noise_record: dict[str, Any] | None
    intensity: Range | None
    fingerprint: str
    scale: tuple[Tensor | float, Tensor | float] = (0.0, 1.0)


def load(dataset: Dataset, options: ReadOptions, device: torch.device, *, tell: bool = True) -> Loaded:
    """Check labels, add noise, hold out, decode or look at every image; set aside what cannot be read.

    Args:
        tell: say what is odd about the labels.

    Raises:
        InputError: an option does not fit the data, or too little can be read.
    """
    if tell and first_process():
        for line in summary_lines(label_findings(dataset)):
            say(f"mixnn: {line}")
        if len(dataset.dropped):
            count = len(dataset.dropped)
            say(f"mixnn: {count:,} sample{'s are' if count > 1 else ' is'} left out, as reviewed")
    data = options.data
    images = [samples.images for samples in parts_of(dataset).values()]
    return with_range(partial(_load, dataset, options, device), images, data.intensity_range, data.workers)


def _load(dataset: Dataset, options: ReadOptions, device: torch.device, intensity: Range | None) -> Loaded:
    data, record = options.data, None
    if options.noise is not None:
        in_order = data.labels_order == "given"
        small = partial(thumbnails, intensity=intensity)
        dataset = add_noise(dataset, options.noise, options.seed, small, in_order=in_order)
        record = noise_record(dataset, options.noise, options.seed)
    for array in dataset.label_arrays:
        note(str(array))
    dataset = prepare(
        dataset, holdout=data.holdout, imbalance=options.imbalance, limit=options.limit, seed=options.seed
    )
    if dataset.by_class and len(dataset.train) == options.limit:
        note(f"--limit {options.limit} takes a share of each class, as the samples come class by class")
    size = image_size(dataset.train, data)
    crop = crop_size(size, data)
    parts = {"train": dataset.train}
    if dataset.heldout is not None:
        parts[dataset.heldout_name] = dataset.heldout
    check_shapes(parts)
    scale = embedding_scale(dataset.train.images) if size is None else None
    if scale is not None:
        note(f"embeddings: {scale.note}")
        parts = {name: replace(part, images=scale.apply(part.images)) for name, part in parts.items()}
    store = pick_store(parts.values(), size or 0, data, intensity)
    opened = {name: open_part(name, samples, size or 0, store, data, intensity) for name, samples in parts.items()}
    unreadable = [row for name, samples in parts.items() for row in unreadable_rows(name, samples, opened[name])]
    none = [{"file_name": name, "part": part, "reason": why} for part, name, why in dataset.unreadable if part in parts]
    unreadable += none
    if unreadable:
        report(unreadable, sum(map(len, parts.values())) + len(none), data, dataset.train.noun)
        dataset = readable(dataset, opened)
    if dataset.heldout is not None and len(dataset.heldout) == 0:
        note(f"no accuracy: no {dataset.train.noun} of part {dataset.heldout_name!r} is of use")
        dataset = replace(dataset, heldout=None, heldout_name="none")
    train, heldout = opened["train"], opened.get(dataset.heldout_name)
    tell_copies(train.checksums)
    return Loaded(
        dataset,
        train_data(dataset.train, train, crop, options, device),
        train_data(dataset.heldout, heldout, crop, options, device) if dataset.heldout and heldout else None,
        size,
        unreadable,
        record,
        intensity,
        fingerprint(dataset.train, train.checksums, dataset.classes),
        (0.0, 1.0) if scale is None else (torch.from_numpy(scale.shift), torch.from_numpy(scale.divisor)),
    )


def tell_copies(checksums: NDArray[np.uint32]) -> None:
    """Say so where most training inputs are copies of others, from which nothing can be learned."""
    different, count = len(np.unique(checksums)), len(checksums)
    if different == 1:
        note(f"all {count:,} training inputs are the same: nothing tells the classes apart; look at DATA")
    elif 2 * different < count:
        note(f"only {different:,} of {count:,} training inputs are different ones: `mixnn check` lists the copies")


def image_size(samples: Samples, data: DataOptions) -> int | None:
    """Pixels of an image; None for embeddings.

    Raises:
        InputError: out of range, or the images have a size already.
    """
    if not isinstance(samples.images, np.ndarray):
        size = PHOTO_SIZE if data.image_size is None else data.image_size
        if not 8 <= size <= 1024:
            raise InputError(f"--data.image-size is {size}: use 8 to 1024 pixels")
        return size
    if samples.images.ndim == 2:
        if data.image_size is not None or data.crop_size is not None:
            raise InputError("--data.image-size and --data.crop-size do not go with embeddings: leave them away")
        return None
    height, width = samples.images.shape[1:3]
    if height != width:
        raise InputError(f"the images are {width} × {height} pixels: cut or pad them to squares")
    if data.image_size not in (None, width):
        raise InputError(f"--data.image-size is {data.image_size}, but the images are {width} pixels: leave it away")
    return int(width)


def input_shape(samples: Samples, data: DataOptions) -> tuple[int, ...]:
    """What a network will see of a sample: (3, S, S), or (D,) of an embedding.

    Raises:
        InputError: a size is out of range, or does not go with the data.
    """
    size = crop_size(image_size(samples, data), data)
    if size is None:
        assert isinstance(samples.images, np.ndarray)
        return (samples.images.shape[1],)
    return 3, size, size


def check_shapes(parts: Mapping[str, Samples]) -> None:
    """Raise InputError where a part has inputs of another shape than the training part."""
    shapes = {name: " × ".join(map(str, getattr(part.images, "shape", ())[1:])) for name, part in parts.items()}
    for name, shape in shapes.items():
        if shape != shapes["train"]:
            raise InputError(
                f"part {name!r} has inputs of shape {shape or 'any'}, 'train' of {shapes['train'] or 'any'}: "
                "bring them to one size"
            )


def crop_size(size: int | None, data: DataOptions) -> int | None:
    """Pixels of what the network sees.

    Raises:
        InputError: it is out of range.
    """
    if data.crop_size is None or size is None:
        return size
    if not 8 <= data.crop_size <= size:
        raise InputError(f"--data.crop-size is {data.crop_size}: use 8 to {size}, which is --data.image-size")
    return data.crop_size


def pick_store(parts: Collection[Samples], size: int, data: DataOptions, intensity: Range | None) -> Store:
    """Where decoded images stay; says so where that is not simply the memory."""
    if data.store != "auto":
        return data.store
    images = [samples.images for samples in parts if not isinstance(samples.images, np.ndarray)]
    encoded = sum(map(len, images))
    store = choose_store(encoded, size, cache_dir(data), lambda: held_bytes(images, size, cache_dir(data), intensity))
    if store != "memory" and first_process():
        where = "in a cache file" if store == "cache" else "nowhere: they are decoded at each use"
        gigabytes = encoded * size * size * 3 / 1e9
        say(f"mixnn: {encoded:,} images of {size} px, {gigabytes:,.1f} GB, are kept {where} (--data.store)")
    return store


def open_part(
    name: str, samples: Samples, size: int, store: Store, data: DataOptions, intensity: Range | None
) -> Opened:
    """Every image of `samples` looked at."""
    return open_images(
        samples.images,
        size,
        store=store,
        cache_dir=cache_dir(data),
        workers=default_workers() if data.workers is None else data.workers,
        progress=counter(f"reading {name} images") if first_process() else None,
        intensity=intensity,
    )


def readable(dataset: Dataset, opened: Mapping[str, Opened]) -> Dataset:
    """`dataset` without the images that cannot be read; raises InputError where a class has none left."""
    dataset = keep_train(dataset, opened["train"].kept)
    if dataset.heldout is not None:
        dataset = replace(dataset, heldout=dataset.heldout[opened[dataset.heldout_name].kept])
    check_counts(dataset, " that can be read", least=1)
    return dataset


def unreadable_rows(name: str, samples: Samples, opened: Opened) -> Iterator[Row]:
    """A row for each image that cannot be read."""
    for row, reason in sorted(opened.bad.items()):
        yield {"file_name": samples.names[row], "part": name, "reason": reason}


def report(unreadable: list[Row], images: int, data: DataOptions, noun: str, where: str = "unreadable.csv") -> None:
    """Say what was set aside, and where all of it will be listed.

    Raises:
        InputError: that is not wanted, or nothing is left.
    """
    first = f"{unreadable[0]['file_name']} ({unreadable[0]['reason']})"
    what = "cannot be read" if noun == "image" else "are empty"
    if len(unreadable) == images:
        raise InputError(f"none of the {images:,} {noun}s can be read; the first: {first}: correct DATA or --data.root")
    if data.on_bad_image == "fail":
        more = f", and {len(unreadable) - 1:,} more" if len(unreadable) > 1 else ""
        raise InputError(f"{noun} {first} cannot be read{more}: repair it, or --data.on-bad-image set-aside")
    note(f"{len(unreadable):,} of {images:,} {noun}s {what} and are set aside; the first: {first}. All are in {where}")


def train_data(
    samples: Samples, opened: Opened, size: int | None, options: ReadOptions, device: torch.device
) -> TrainData:
    """`samples` with their pixels, where training wants them."""
    return TrainData(
        pixels(opened, samples.names, size, device),
        torch.from_numpy(samples.labels).to(device),
        batch_size=options.batch_size,
        seed=options.seed,
        augment=options.augment,
        alternate_flips=options.alternate_flips,
        balanced=options.balanced,
        steps_per_epoch=options.steps_per_epoch,
        verified=None if samples.verified is None else torch.from_numpy(samples.verified).to(device),
    )


def pixels(opened: Opened, names: list[str], size: int | None, device: torch.device) -> Pixels:
    """Pixels by row; a small set lives on the device whole."""
    rows = torch.from_numpy(opened.rows)
    if isinstance(opened.pixels, Stream):
        return StreamPixels(opened.pixels, device, size or opened.pixels.size, rows, names)
    tensor = opened.pixels
    if device.type == "cuda" and 4 * tensor.nbytes < torch.cuda.mem_get_info(device)[0]:
        tensor = tensor[rows].to(device)
        rows = torch.arange(len(tensor))
    return TensorPixels(
        tensor.permute(0, 3, 1, 2) if tensor.dim() == 4 else tensor, device, size or tensor.shape[-1], rows
    )


def cache_dir(data: DataOptions) -> Path | None:
    return None if data.cache_dir is None else Path(data.cache_dir)
