"""Wrong labels without training: read, make features, judge, write a run directory that has no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mixnn.config import FindConfig, FindOptions
from mixnn.data.dataset import Dataset
from mixnn.data.feature_files import read_features
from mixnn.data.load import Loaded, input_shape, load
from mixnn.data.noise.injection import check_noise
from mixnn.data.read import read
from mixnn.errors import InputError, ResultsError
from mixnn.evidence.encoder import check_encoder, encode
from mixnn.evidence.forward_pass import embedded
from mixnn.models.classifier import try_network
from mixnn.runs.directory import RunDirectory
from mixnn.runs.environment import environment
from mixnn.shards.cluster import joined_cluster
from mixnn.shards.search import searching_on
from mixnn.training.evidence import Collected, judge_labels
from mixnn.training.outputs import Steps, write_results
from mixnn.training.progress import data_words
from mixnn.training.record import write_data
from mixnn.utils.console import counter, say, showing
from mixnn.utils.devices import device_name, pick_device

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
    if options.ray is not None:
        joined_cluster(options.ray)
    run, device = RunDirectory(out), pick_device(options.device)
    run.check_outside(config.source)
    with run.locked():
        run.check_free(resumable=False)
        try:
            dataset = training_part(read(config.source, options.data) if dataset is None else dataset)
            config, dataset = with_features(config, dataset)
            loaded = load(dataset, config.options.for_reading(), device)
            say(f"{data_words(loaded)}, on {device_name(device)}")
            features = features_of(loaded, config.options, device)
            with searching_on(config.options.ray), showing("asking neighbors and a classifier about each label …"):
                judged = judge_labels(
                    Collected(features, {}),
                    loaded.train,
                    len(loaded.dataset.classes),
                    loaded.dataset.train.names,
                    loaded.dataset.unlabeled,
                    counter("finding neighbors"),
                )
        except BaseException:
            run.discard()
            raise
        run.write_config(config.to_dict())
        now = environment(options.seed, device_name(device), "float32") | {"auto_selected": judged.chosen}
        run.write_json(run.environment, now)
        write_data(run, loaded)
        run.write_evidence(judged.evidence)
        del features, judged  # what follows reads it again from the run
        write_results(run, loaded, steps := Steps())
    if steps.failed:
        raise ResultsError(f"these could not be written: {'; '.join(steps.failed)}")
    return run


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
    if options.network is not None:
        try_network(options.network, input_shape(dataset.train, options.data), options.weights)
    return replace(config, options=options), dataset


def features_of(loaded: Loaded, options: FindOptions, device: torch.device) -> Tensor:
    """(N, D), on the device: those given, the embeddings themselves, or what a network makes of the images."""
    train = loaded.dataset.train
    if train.features is not None:
        return torch.from_numpy(train.features).to(device)
    if loaded.image_size is None:
        return embedded(loaded.train)
    return encode(loaded.train, options, device, counter("encoding images"))
