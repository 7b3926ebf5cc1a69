"""Wrong labels without training: read, make features, judge, write a run directory that has no model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mixnn.config import FindConfig
from mixnn.data.dataset import Dataset
from mixnn.data.feature_files import read_features
from mixnn.data.load import Loaded, load
from mixnn.data.noise.injection import check_noise
from mixnn.data.read import read
from mixnn.errors import InputError
from mixnn.evidence.assessment import Measured, measure
from mixnn.evidence.encoder import check_encoder, encode
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.environment import environment
from mixnn.training.outputs import result_steps, write_steps
from mixnn.utils.console import counter, say, showing
from mixnn.utils.devices import pick_device

PHOTO_SIZE = 128  # px, for images of no particular size


def find(config: FindConfig, out: str | Path, *, dataset: Dataset | None = None) -> RunDirectory:
    """Find the wrong labels of `config.source` and fill the run directory `out`.

    Args:
        dataset: what `config.source` holds, if it was read already.

    Raises:
        InputError: something given is wrong; nothing was written.
    """
    options = config.options
    options.check()
    if options.noise is not None:
        check_noise(options.noise)
    run, device = RunDirectory(out), pick_device(options.device)
    check_place(run, config.source)
    dataset = training_part(read(config.source, options.data) if dataset is None else dataset)
    config, dataset = with_features(config, dataset)
    with run.at_work(training=False):
        try:
            loaded = load(dataset, config.options.reading(), device)
            features = features_of(loaded, config, device)
            with showing("asking neighbors and a classifier about each label …"):
                measured = judge_labels(loaded, features)
        except BaseException:
            run.discard()
            raise
        write_beginning(run, config, loaded, measured, device)
        run.write_evidence(evidence_of(loaded, measured))
        failed = write_steps(result_steps(run, loaded))
    if failed:
        print(f"mixnn: these could not be written: {'; '.join(failed)}", file=sys.stderr)
        raise SystemExit(1)
    return run


def check_place(run: RunDirectory, source: str) -> None:
    """Raise InputError where `run` holds something already, or lies inside the data."""
    if Path(source).is_dir() and run.path.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"--out {run.path} lies inside the images {source}: choose a place outside")
    run.check_free(resumable=False)


def training_part(dataset: Dataset) -> Dataset:
    """`dataset` with its training part only; says which others are left aside."""
    parts = {dataset.heldout_name: dataset.heldout, **dataset.others} if dataset.heldout else dataset.others
    if parts:
        counts = ", ".join(f"{name} ({len(part):,})" for name, part in parts.items() if part is not None)
        say(f"mixnn: the training part is looked at; left aside: {counts}")
    return replace(dataset, heldout=None, heldout_name="none", others={})


def with_features(config: FindConfig, dataset: Dataset) -> tuple[FindConfig, Dataset]:
    """Both with what they lack: features that the data or a file has, or else the size to read photos at.

    Raises:
        InputError: an option does not go with the data, or the features or the network cannot be had.
    """
    options, images = config.options, dataset.train.images
    embeddings = isinstance(images, np.ndarray) and images.ndim == 2
    if embeddings and options.network is not None:
        raise InputError(
            f"--network {options.network} is for images, and {config.source} has embeddings: leave it away"
        )
    if options.features is not None:
        features = read_features(options.features, len(dataset.train))
        dataset = replace(dataset, train=replace(dataset.train, features=features))
    elif not embeddings:
        check_encoder(options)
    if not isinstance(images, np.ndarray) and options.data.image_size is None:
        options = replace(options, data=replace(options.data, image_size=PHOTO_SIZE))
    return replace(config, options=options), dataset


def features_of(loaded: Loaded, config: FindConfig, device: torch.device) -> Tensor:
    """(N, D), on the device: those given, the embeddings themselves, or what a network makes of the images."""
    train = loaded.dataset.train
    if train.features is not None:
        return torch.from_numpy(train.features).to(device)
    if loaded.image_size is None:
        return torch.cat(list(loaded.train.full_batches()))
    return encode(loaded.train, config.options, device, counter("encoding images"))


def judge_labels(loaded: Loaded, features: Tensor) -> Measured:
    data = loaded.train
    labels, verified = data.labels.cpu().numpy(), data.certain.cpu().numpy()
    return measure(features, labels, loaded.dataset.classes, verified, data.inputs, counter("finding neighbors"))


def evidence_of(loaded: Loaded, measured: Measured) -> Evidence:
    dataset = loaded.dataset
    return Evidence(
        names=np.array(dataset.train.names, dtype=np.str_),
        given=dataset.train.labels,
        probs=measured.probs,
        unlabelled=np.array(dataset.unlabelled, dtype=np.str_),
        **measured.fields,
    )


def write_beginning(
    run: RunDirectory, config: FindConfig, loaded: Loaded, measured: Measured, device: torch.device
) -> None:
    """What was done, with what, and on what."""
    dataset = loaded.dataset
    run.write_config(config.to_dict())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    choices = {"neighbors": measured.search, **measured.chosen}
    run.write_json(run.environment, environment(config.options.seed, name, "float32") | {"choices": choices})
    run.write_json(run.classes, dataset.classes)
    if loaded.noise_record is not None:
        run.write_json(run.noise_record, loaded.noise_record)
    if loaded.unreadable:
        run.write_table(run.unreadable, loaded.unreadable)
    if dataset.original is not None:
        flipped = dataset.original != dataset.train.labels
        run.write_arrays(run.noise, {"original": dataset.original, "flipped": flipped})
