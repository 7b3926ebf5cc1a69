"""The network of a run where nobody named one, and what goes with it. Must not know: how it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from mixnn.config import AUTO, FINETUNE_LR, HEAD, LR, TrainOptions
from mixnn.config.find import EmbedOptions
from mixnn.data.dataset import Samples
from mixnn.errors import InputError
from mixnn.models.automatic import INSTALL, Choice, automatic
from mixnn.models.classifier import network_factory
from mixnn.utils.console import note

Options = TypeVar("Options", bound=TrainOptions | EmbedOptions)
Encoding = TypeVar("Encoding", bound=EmbedOptions)


def check_network(options: TrainOptions | EmbedOptions) -> None:
    """Raise InputError for what can be seen to be wrong before data is read."""
    if options.network != AUTO:
        network_factory(options.network)
    elif options.weights is not None:
        raise InputError(f"--weights {options.weights} is for a network that you name: add --network")


def with_network(options: TrainOptions, samples: Samples) -> TrainOptions:
    """`options` with what was left open: the network, its weights, the size of photos, what is trained and how fast.

    Raises:
        InputError: a frozen network is asked for, and there is nothing to freeze.
    """
    if options.network == AUTO:
        choice = None if is_embeddings(samples) else choose(samples)
        if choice is not None:
            options = with_choice(options, samples, choice)
            note(f"network {choice.network}: {choice.reason}")
        else:
            options = replace(options, network=HEAD)
        freeze = options.weights is not None if options.freeze is None else options.freeze
    else:
        freeze = bool(options.freeze)
    if freeze and (options.weights is None or is_embeddings(samples)):
        why = "the data has embeddings" if is_embeddings(samples) else f"{options.network} starts at random"
        raise InputError(f"--freeze true is for a pretrained network of images, and {why}: leave it away")
    if freeze and options.augment != TrainOptions.augment:
        note(f"--augment {options.augment} is not used: a frozen network sees each image once, as it is")
    lr = FINETUNE_LR if options.weights is not None and not freeze else LR
    return replace(options, freeze=freeze, lr=lr if options.lr is None else options.lr)


def with_encoder(options: Encoding, samples: Samples) -> Encoding:
    """`options` with the network that makes features of the images.

    Raises:
        InputError: there is none to be had.
    """
    if options.network != AUTO:
        return options
    choice = choose(samples, pretrained=True)
    if choice.weights is None:
        raise InputError(
            f"images need a pretrained network, and there is none here. Three ways: {INSTALL}; or --features FILE with "
            "a row for each image; or --network timm:NAME --weights hub"
        )
    note(f"network {choice.network}: {choice.reason}")
    return with_choice(options, samples, choice)


def choose(samples: Samples, *, pretrained: bool = False) -> Choice:
    """The network for these images."""
    images = samples.images
    return automatic(images.shape[1] if isinstance(images, np.ndarray) else None, pretrained=pretrained)


def with_choice(options: Options, samples: Samples, choice: Choice) -> Options:
    data = options.data
    if not isinstance(samples.images, np.ndarray) and data.image_size is None:
        data = replace(data, image_size=choice.image_size)
    return replace(options, network=choice.network, weights=choice.weights, data=data)


def is_embeddings(samples: Samples) -> bool:
    return isinstance(samples.images, np.ndarray) and samples.images.ndim == 2
