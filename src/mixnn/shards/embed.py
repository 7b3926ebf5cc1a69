"""Features by the workers of a Ray cluster, as a Ray Data job: a shard for each piece of DATA.

A shard is written whole, under a name that follows from its piece. So a worker may be lost, the command may be
repeated, and neither changes a bit. Must not know: label quality, runs.
"""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mixnn.config import AUTO
from mixnn.config.find import EmbedOptions
from mixnn.data.batches import TrainData
from mixnn.data.images.cache import open_images
from mixnn.data.images.intensity import UnknownRangeError, parse_range
from mixnn.data.load import image_size, train_data
from mixnn.errors import InputError
from mixnn.evidence.encoder import PHOTO_SIZE, check_encoder, encode, frozen_network
from mixnn.evidence.neighbors.brute_force import silent
from mixnn.models.automatic import INSTALL, automatic
from mixnn.models.classifier import build_network
from mixnn.shards.cluster import causes_told, joined_cluster
from mixnn.shards.pieces import Piece, filesystem, pieces_of
from mixnn.utils.console import counter, note
from mixnn.utils.devices import pick_device

ABOUT = "embed.json"  # beside the shards: what they were made of, and how
UNREADABLE = "unreadable.json"
SHARD = 10_000  # samples


class Made(NamedTuple):
    """What came out: shards, samples in them, and images that could not be read, [name, why] each."""

    shards: int
    samples: int
    unreadable: list[list[str]]


class Shard(NamedTuple):
    """Features (n, D), and the label and the name of each sample."""

    features: NDArray[np.float32]
    labels: NDArray[np.str_]
    names: NDArray[np.str_]


def embed_shards(source: str, out: str, options: EmbedOptions, workers: int, size: int = SHARD) -> Made:
    """Write features of all images of `source` to the folder or address `out`, by so many workers at once.

    Shards that are there stay, so that a job that was stopped goes on.

    Args:
        source: DATA as `mixnn find` takes it; or a folder, or an address for fsspec, of images in class folders, of
            Parquet tables with images inside, or of WebDataset tars.
        options: network, weights, device, and how images are read.
        size: samples of a shard, about.

    Raises:
        InputError: something given is wrong, or `out` holds shards of something else.
    """
    options.check()
    options, photo_size = with_encoder(options)
    check_statistics(options, photo_size)
    pieces, ray = pieces_of(source, options.data, size), joined_cluster(workers)
    files, folder = filesystem(out)
    files.makedirs(folder, exist_ok=True)
    about = {"source": source, "network": options.network, "weights": options.weights, "shards": len(pieces)}
    about |= {"samples_of_shard": size, "image_size": options.data.image_size or photo_size}
    check_about(files, f"{folder}/{ABOUT}", about, out)
    gpus = int(options.device != "cpu" and "GPU" in ray.cluster_resources())
    note(f"{len(pieces):,} shards, {workers:,} at a time, each on a {'GPU' if gpus else 'CPU'}")
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"index": i, "piece": pickle.dumps(piece)} for i, piece in enumerate(pieces)]
    job = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        work,
        fn_kwargs={"out": out, "count": len(pieces), "options": options, "photo_size": photo_size},
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=1,
        **({"num_gpus": 1} if gpus else {}),
    )
    samples, unreadable, progress = 0, dict[int, list[list[str]]](), counter("making shards")
    with causes_told():
        for done, row in enumerate(job.iter_rows(), 1):
            samples += row["samples"]
            unreadable[row["index"]] = json.loads(row["unreadable"])
            progress(done, len(pieces))
    bad = [each for index in sorted(unreadable) for each in unreadable[index]]  # Ray keeps no order
    with files.open(f"{folder}/{UNREADABLE}", "w") as file:
        json.dump(bad, file, indent=1)
    if samples == 0:
        raise InputError(f"none of the {len(bad):,} images of {source} can be read, the first: {' '.join(bad[0])}")
    return Made(len(pieces), samples, bad)


def with_encoder(options: EmbedOptions) -> tuple[EmbedOptions, int]:
    """`options` with the network that all workers take, and the pixels that it has photos read at.

    Raises:
        InputError: there is none to be had.
    """
    if options.network != AUTO:
        check_encoder(options.network, options.weights)
        return options, PHOTO_SIZE
    choice = automatic(None, pretrained=True)
    if choice.weights is None:
        raise InputError(f"images need a pretrained network: {INSTALL}; or --network timm:NAME --weights hub")
    note(f"network {choice.network}: {choice.reason}")
    return replace(options, network=choice.network, weights=choice.weights), choice.image_size


def check_statistics(options: EmbedOptions, photo_size: int) -> None:
    """Raise InputError where a network would see each shard's pixels by statistics of its own."""
    unknown, size = torch.full((3,), torch.nan), options.data.image_size or photo_size
    network = build_network(options.network, size, 1, unknown, unknown, weights=options.weights)
    if network.mean.isnan().any():
        raise InputError(
            f"--network {options.network} does not say by what mean and std it sees pixels: give its body pixel_mean "
            "and pixel_std, or take timm:NAME"
        )


def check_about(files: Any, path: str, about: dict[str, Any], out: str) -> None:
    """Raise InputError where the shards at `out` were made otherwise; write how where there are none."""
    if not files.exists(path):
        with files.open(path, "w") as file:
            json.dump(about, file, indent=1)
        return
    with files.open(path) as file:
        before = json.load(file)
    for name, value in about.items():
        if before.get(name) != value:
            raise InputError(
                f"--out {out} has shards of another job ({name} {before.get(name)!r}, now {value!r}): "
                "choose a new folder"
            )


def work(row: dict[str, Any], out: str, count: int, options: EmbedOptions, photo_size: int) -> dict[str, Any]:
    """What a worker does with one piece, perhaps on another machine."""
    files, folder = filesystem(out)
    paths = {kind: f"{folder}/{kind}-{row['index']:05d}-of-{count:05d}" for kind in (*Shard._fields, "done")}
    if not files.exists(f"{paths['done']}.json"):
        shard, unreadable = made(pickle.loads(row["piece"]), options, photo_size)  # of the job itself, no file
        for kind, array in shard._asdict().items():
            content = io.BytesIO()
            np.save(content, array)
            write_whole(files, f"{paths[kind]}.npy", content.getvalue())
        about = {"samples": len(shard.labels), "unreadable": unreadable}
        write_whole(files, f"{paths['done']}.json", json.dumps(about).encode())  # last: what is done is all there
    with files.open(f"{paths['done']}.json") as file:
        about = json.load(file)
    return {"index": row["index"], "samples": about["samples"], "unreadable": json.dumps(about["unreadable"])}


def write_whole(files: Any, path: str, content: bytes) -> None:
    """An object store shows what is written when it is whole; a disk shows it under another name before."""
    if "file" not in files.protocol:
        files.pipe_file(path, content)
        return
    folder, _, name = path.rpartition("/")
    files.pipe_file(temporary := f"{folder}/.{name}.tmp", content)
    files.mv(temporary, path)


def made(piece: Piece, options: EmbedOptions, photo_size: int) -> tuple[Shard, list[list[str]]]:
    """Features of the images of a piece that can be read, and which cannot.

    Raises:
        InputError: a file cannot be read, or pixels have more than 8 bits and nobody says their range.
    """
    device, found, range_given = pick_device(options.device), piece.read(options.data), options.data.intensity_range
    pixels = isinstance(found.samples.images, np.ndarray)
    size = image_size(found.samples, options.data) if pixels else options.data.image_size or photo_size
    assert size is not None
    try:
        intensity = None if range_given is None else parse_range(range_given)
        opened = open_images(found.samples.images, size, intensity=intensity)
    except UnknownRangeError as error:
        raise InputError("pixels have more than 8 bits: say their range by --data.intensity-range LOW,HIGH") from error
    bad = [[found.samples.names[row], why] for row, why in sorted(opened.bad.items())]
    kept = found.samples[opened.kept]
    if len(kept) == 0:  # all the same a shard of the others' width
        data = TrainData(torch.zeros(1, 3, size, size, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    else:
        data = train_data(kept, opened, size, options.for_reading(), device)
    network = frozen_network(data, options, device).network
    features = encode(network, data, silent).float().cpu().numpy()[: len(kept)]
    labels = np.array([found.words[row] for row in opened.kept.tolist()], np.str_)
    return Shard(features, labels, np.array(kept.names, np.str_)), bad
