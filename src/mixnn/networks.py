"""Networks that give features and logits. Must not know: methods, data sets, files of ours.

Every network is a `Classifier`: it takes pixels in 0–1 (or embeddings), normalises them itself, and
so needs nothing beside its weights to predict.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mixnn.errors import InputError
from mixnn.lookup import look_up


class Classifier(nn.Module):
    """Features (B, D) from a body, logits (B, C) from a linear head.

    Args:
        features: module (B, 3, H, W) or (B, D') -> (B, D).
        width: D.
        num_classes: C.
        mean, std: per-channel statistics of the training inputs, subtracted and divided first.
        bf16: compute in bfloat16 (autocast); features and logits are float32 all the same.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, features: nn.Module, width: int, num_classes: int, mean: Tensor, std: Tensor, *, bf16: bool = False
    ) -> None:
        super().__init__()
        self.features = channels_last(features)
        self.head = nn.Linear(width, num_classes)
        self.bf16 = bf16
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`x` float (B, …) -> float32 (B, D), float32 (B, C)."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = 1 / self.std.view(shape)
        x = torch.addcmul(-self.mean.view(shape) * scale, x, scale)
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.features(x)
            logits = self.head(features)
        return features.float(), logits.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.features_and_logits(x)[1]


def channels_last(module: nn.Module) -> nn.Module:
    """Lay the kernels out as fast convolutions want them."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def fused(network: Classifier) -> Classifier:
    """A copy to look with, not to train: a batch norm right after a convolution is folded into it.

    The answers are the same up to rounding, for less time: 6 to 20 % less was seen on two CPU cores.
    """
    copy = deepcopy(network).eval()
    for module in copy.modules():
        if isinstance(module, nn.Sequential):
            for i, (conv, norm) in enumerate(pairwise(module)):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return copy


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
    """Normalisation and ReLU before each convolution (He et al., arXiv 1603.05027)."""

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


# name -> body and its width, from the image size in pixels (the embedding's width for `mlp`)
NETWORKS: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "cnn": cnn,
    "resnet18": lambda size: resnet(BasicBlock, (2, 2, 2, 2), size),
    "resnet34": lambda size: resnet(BasicBlock, (3, 4, 6, 3), size),
    "preactresnet18": lambda size: resnet(PreActBlock, (2, 2, 2, 2), size),
    "mlp": mlp,
}


def network_factory(name: str) -> Callable[[int], tuple[nn.Module, int]]:
    """What builds the network called `name`, or `package.module:factory`.

    Raises:
        InputError: no such network.
    """
    factory: Callable[[int], tuple[nn.Module, int]] = look_up(name, NETWORKS, "network", "factory")
    return factory


def build_network(
    name: str, size: int, num_classes: int, mean: Tensor, std: Tensor, *, bf16: bool = False
) -> Classifier:
    """A network by its name, or `package.module:factory` with factory(size) -> (body, feature width).

    Raises:
        InputError: no such network.
    """
    factory = network_factory(name)
    try:
        body, width = factory(size)
        return Classifier(body, width, num_classes, mean, std, bf16=bf16)
    except (TypeError, ValueError) as error:
        raise InputError(f"network {name!r} gives no (body, feature width) for size {size} ({error})") from error
