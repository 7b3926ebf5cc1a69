"""Bodies of our own: pixels or embeddings to features. Must not know: anything of ours.

The order in which layers are made is the order in which a seed fills them: a published run depends on it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn(c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = x + self.body(x)
        return summed


def cnn(size: int) -> tuple[nn.Module, int]:
    """Five convolutions for 2 CPU cores: under a second for 2 000 images, forward and backward.

    Images of 64 px and more enter with a stride, so that they cost what 32 px do. Pooling stands
    before the ReLU, which is the same and four times less to compute.
    """
    layers: list[nn.Module] = []
    for c_in, c_out in [(3, 32), (32, 64), (64, 128)]:
        stride = max(1, size // 32) if c_in == 3 else 1
        layers += [conv_bn(c_in, c_out, stride=stride), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
    layers += [conv_bn(128, 192), nn.ReLU(inplace=True)]
    layers += [Residual(nn.Sequential(conv_bn(192, 192), nn.ReLU(inplace=True)))]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 192


def mini(size: int) -> tuple[nn.Module, int]:
    """Three narrow convolutions and two wide layers, for benchmarks on 2 CPU cores.

    A third of what `cnn` costs, and capacity to memorize wrong labels: without that, methods cannot be compared.
    """
    layers: list[nn.Module] = [conv_bn(3, 16, stride=max(1, size // 16)), nn.ReLU(inplace=True)]
    for c_in, c_out in [(16, 32), (32, 64)]:
        layers += [conv_bn(c_in, c_out), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    for c_in, c_out in [(64 * 4 * 4, 1024), (1024, 256)]:
        layers += [nn.Linear(c_in, c_out, bias=False), nn.BatchNorm1d(c_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers), 256


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al., arXiv 1512.03385)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(c_in, c_out, stride=stride), nn.ReLU(inplace=True), conv_bn(c_out, c_out))
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(c_in, c_out, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class PreActBlock(nn.Module):
    """Normalization and ReLU before each convolution (He et al., arXiv 1603.05027)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(c_in), nn.BatchNorm2d(c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(c_in, c_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.bn1(x))
        shortcut = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(h)
        summed: Tensor = self.conv2(torch.relu(self.bn2(self.conv1(h)))) + shortcut
        return summed


def resnet(block: type[nn.Module], blocks: tuple[int, ...], size: int) -> tuple[nn.Module, int]:
    """ResNet with the CIFAR stem (3×3, no pooling); a stride in the stem for images above 32 px."""
    stem: list[nn.Module] = [conv_bn(3, 64, stride=max(1, size // 32)), nn.ReLU(inplace=True)]
    if block is PreActBlock:
        stem = [nn.Conv2d(3, 64, 3, max(1, size // 32), 1, bias=False)]
    layers, c_in = [], 64
    for stage, depth in enumerate(blocks):
        c_out = 64 * 2**stage
        for i in range(depth):
            layers.append(block(c_in, c_out, 2 if stage > 0 and i == 0 else 1))
            c_in = c_out
    last: list[nn.Module] = [nn.BatchNorm2d(c_in), nn.ReLU(inplace=True)] if block is PreActBlock else []
    return nn.Sequential(*stem, *layers, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten()), c_in


def mlp(size: int) -> tuple[nn.Module, int]:
    """Two layers over embeddings of width `size`."""
    return nn.Sequential(nn.Linear(size, 256), nn.BatchNorm1d(256), nn.ReLU(inplace=True)), 256
