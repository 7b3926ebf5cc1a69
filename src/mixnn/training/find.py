"""Wrong labels without training: read, make features, judge, write a run directory that has no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixnn.config import AUTO
from mixnn.config.find import FindConfig, FindOptions
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.feature_files import read_features
from mixnn.data.load import Loaded, image_size, input_shape, load
from mixnn.data.noise.injection import check_noise
from mixnn.data.read import read
from mixnn.data.records.encode import records_in, with_embeddings
from mixnn.errors import InputError, ResultsError
from mixnn.evidence.encoder import PHOTO_SIZE, arithmetic, check_encoder, check_encoder_file, encode, frozen_network
from mixnn.evidence.forward_pass import embedded
from mixnn.models.classifier import try_network
from mixnn.runs.directory import RunDirectory
from mixnn.runs.environment import environment
from mixnn.shards.cluster import joined_cluster
from mixnn.shards.search import searching_on
from mixnn.training.evidence import Collected, judge_labels
from mixnn.training.network import Encoding, check_network, is_embeddings, with_encoder
from mixnn.training.outputs import Steps, write_results
from mixnn.training.progress import data_words
from mixnn.training.record import write_data
from mixnn.utils.console import counter, say, showing
from mixnn.utils.devices import device_name, pick_device


def find(
    config: FindConfig,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    judged: Callable[[Sequence[str], Tensor], dict[str, Any]] | None = None,
) -> RunDirectory:
    """Find the wrong labels of `config.source` and fill the run directory `out`.

    Args:
        dataset: what `config.source` holds, if it was read already.
        judged: from N names and features (N, D) to fields of the evidence that are known better than from one label.

    Raises:
        InputError: something given is wrong; nothing was written.
    """
    options = config.options
    options.check()
    check_network(options)
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
            config, dataset = with_features(config, dataset, device)
            loaded = load(dataset, config.options.for_reading(), device)
            say(f"{data_words(loaded)}, on {device_name(device)}")
            features = features_of(loaded, config.options, device)
            with searching_on(config.options.ray), showing("asking neighbors and a classifier about each label …"):
                names = loaded.dataset.train.names
                found = judge_labels(
                    Collected(features, {} if judged is None else judged(names, features)),
                    loaded.train,
                    len(loaded.dataset.classes),
                    names,
                    loaded.dataset.unlabeled,
                    counter("finding neighbors"),
                    loaded.dataset.train.records,
                )
        except BaseException:
            run.discard()
            raise
        run.write_config(config.to_dict())
        encoded = loaded.image_size is not None and loaded.dataset.train.features is None
        precision = arithmetic(config.options, device) if encoded else "float32"
        now = environment(options.seed, device_name(device), precision) | {"auto_selected": found.chosen}
        run.write_json(run.environment, now)
        write_data(run, loaded)
        run.write_evidence(found.evidence)
        del features, found  # what follows reads it again from the run
        write_results(run, loaded, steps := Steps())
    if steps.failed:
        raise ResultsError(f"these could not be written: {'; '.join(steps.failed)}")
    return run


def training_part(dataset: Dataset) -> Dataset:
    """`dataset` with its training part only; says which others are left aside."""
    parts = {dataset.heldout_name: dataset.heldout, **dataset.others} if dataset.heldout else dataset.others
    if parts:
        counts = ", ".join(f"{name} ({len(part):,})" for name, part in parts.items() if part is not None)
        say(f"mixnn: the training part is looked at; left aside: {counts}; `mixnn check` compares all parts")
    return replace(dataset, heldout=None, heldout_name="none", others={})


def with_features(config: FindConfig, dataset: Dataset, device: torch.device) -> tuple[FindConfig, Dataset]:
    """Both with what they lack: features that the data or a file has, or else the size to read photos at.

    Raises:
        InputError: an option does not go with the data, or the features or the network cannot be had.
    """
    options, train, records = config.options, dataset.train, records_in(dataset)
    if options.features is not None:
        features = read_features(options.features, train.names)
        given = {"images": features, "records": records} if records else {"features": features}
        dataset = replace(dataset, train=replace(train, **given))
        if not records and not isinstance(train.images, np.ndarray) and options.data.image_size is None:
            options = replace(options, data=replace(options.data, image_size=PHOTO_SIZE))
    elif records or is_embeddings(train):
        what, fix = "embeddings", "leave it away"
        if records:
            what, fix = f"{records.noun}s", "leave it away; --data.text-encoder says what makes features of texts"
        for option, value in {"--network": options.network, "--encoder": options.encoder}.items():
            if value not in (AUTO, None):
                raise InputError(f"{option} {value} is for images, and {config.source} has {what}: {fix}")
        if records:
            dataset = with_embeddings(dataset, options.data.text_encoder, options.seed)
    else:
        options = for_encoder(train, options, device)
    return replace(config, options=options), dataset


def for_encoder(samples: Samples, options: Encoding, device: torch.device) -> Encoding:
    """`options` with what makes features of the images, and the size to read photos at.

    Raises:
        InputError: the network cannot be had, or does not take such images.
    """
    photos = not isinstance(samples.images, np.ndarray)
    if options.encoder is not None:
        size = options.data.image_size if photos else image_size(samples, options.data)
        size = check_encoder_file(options, size, device)
        return replace(options, data=replace(options.data, image_size=size)) if photos else options
    options = with_encoder(options, samples)
    check_encoder(options.network, options.weights)
    if photos and options.data.image_size is None:
        options = replace(options, data=replace(options.data, image_size=PHOTO_SIZE))
    try_network(options.network, input_shape(samples, options.data), options.weights)
    return options


def features_of(loaded: Loaded, options: FindOptions, device: torch.device) -> Tensor:
    """(N, D), on the device: those given, the embeddings themselves, or what a network makes of the images."""
    train = loaded.dataset.train
    if train.features is not None:
        check_complete(train, str(options.features))
        return torch.from_numpy(train.features).to(device)
    if loaded.image_size is None:
        return embedded(loaded.train)
    network = frozen_network(loaded.train, options, device).network
    return encode(network, loaded.train, counter("encoding images"), compact=True)


def check_complete(samples: Samples, path: str) -> None:
    """Raise InputError where images can be read that could not when the features of the file were made."""
    assert samples.features is not None
    missing = np.flatnonzero(np.isnan(samples.features[:, 0]))
    if len(missing):
        what = f"{len(missing):,} image{'s' * (len(missing) > 1)}, the first {samples.names[missing[0]]}"
        raise InputError(
            f"--features {path}: {what}, could not be read when they were made, and can be now: make them anew by "
            "`mixnn embed`"
        )
