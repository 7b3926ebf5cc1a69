"""Networks that give features and logits. Must not know: methods, data sets, files of ours.

Every network is a `Classifier`: it takes pixels, as uint8 or as floats in 0–1 (or embeddings),
normalizes them itself, and so needs nothing beside its weights to predict.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mixnn.errors import InputError, short_of_memory
from mixnn.models.backbones import BasicBlock, PreActBlock, cnn, mini, mlp, resnet
from mixnn.models.efficientnet_lite import efficientnet_lite0
from mixnn.models.fast import fast
from mixnn.models.pretrained import EFFICIENTNET, Loaded, load_pretrained
from mixnn.models.timm_backbones import PREFIX, names_in_timm, timm_factory
from mixnn.utils.registry import resolve

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)  # of a network, to inputs it does not take
SIZES = (28, 32, 64, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)  # pixels that networks are made for


class Classifier(nn.Module):
    """Features (B, D) from a body, logits (B, C) from a linear head.

    Args:
        features: module (B, 3, H, W) or (B, D') -> (B, D).
        width: D.
        num_classes: C.
        mean, std: per-channel statistics of the training inputs, subtracted and divided first.
        bf16: compute in bfloat16 (autocast); features and logits are float32 all the same.

    Attributes:
        pretrained: what `build_network` took from a file of weights, to be told; None where it started at random.
        watch: is told of every forward, with the number of samples; copies of the network tell it too.
    """

    mean: Tensor
    std: Tensor
    pretrained: Loaded | None = None
    watch: Callable[[Classifier, int], None] | None = None

    def __init__(
        self, features: nn.Module, width: int, num_classes: int, mean: Tensor, std: Tensor, *, bf16: bool = False
    ) -> None:
        super().__init__()
        self.features = channels_last(features)
        self.head = nn.Linear(width, num_classes)
        self.bf16 = bf16
        self.register_buffer("mean", mean.clone())  # of its own, as safetensors refuses what networks share
        self.register_buffer("std", std.clone())

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`x` uint8 pixels (B, 3, H, W), or floats (B, …), pixels in 0–1 -> float32 (B, D), float32 (B, C)."""
        if self.watch is not None:
            self.watch(self, len(x))
        x = self.normalized(x)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.features(x)
            logits = self.head(features)
        return features.float(), logits.float()

    def normalized(self, x: Tensor) -> Tensor:
        """Mean 0 and deviation 1 in each channel; images with channels last in memory."""
        scale = 1 / self.std
        shift = -self.mean * scale
        if x.dim() == 2:
            return torch.addcmul(shift, x, scale)
        width = x.shape[3]
        lines = x.permute(0, 2, 3, 1).flatten(2)  # (B, H, W·3): whole lines at once are five times as fast
        if x.dtype == torch.uint8:  # in one piece of memory
            done = lines.float()
            torch.addcmul(shift.repeat(width), done, (scale / 255).repeat(width), out=done)
        else:
            done = torch.addcmul(shift.repeat(width), lines, scale.repeat(width))
        return done.view(*done.shape[:2], width, -1).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.features_and_logits(x)[1]


class Standardize(nn.Module):
    """Features (B, D) as a network on them wants them: minus `mean`, divided by `std`, (D,) each."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def stacked(encoder: Classifier, top: Classifier) -> Classifier:
    """One network of images out of two: `encoder` gives features, and `top` was trained on these. They share weights.

    Example:
        >>> both = stacked(encoder, top)  # doctest: +SKIP
        >>> both(x) == top(encoder.features_and_logits(x)[0])  # doctest: +SKIP
    """
    body = nn.Sequential(encoder.features, Standardize(top.mean, top.std), top.features)
    network = Classifier(
        body, top.head.in_features, top.head.out_features, encoder.mean, encoder.std, bf16=encoder.bf16
    )
    network.head = top.head
    return network


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


# name -> body and its width, from the image size in pixels (the embedding's width for `mlp`)
NETWORKS: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "cnn": cnn,
    "resnet18": lambda size: resnet(BasicBlock, (2, 2, 2, 2), size),
    "resnet34": lambda size: resnet(BasicBlock, (3, 4, 6, 3), size),
    "preactresnet18": lambda size: resnet(PreActBlock, (2, 2, 2, 2), size),
    "mini": mini,
    "fast": lambda size: fast(size, (32, 128, 256)),
    "fast-wide": lambda size: fast(size, (64, 256, 256)),
    "fast-narrow": lambda size: fast(size, (16, 64, 128)),
    "mlp": mlp,
    EFFICIENTNET: efficientnet_lite0,
}


def network_factory(name: str) -> Callable[[int], tuple[nn.Module, int]]:
    """What builds the body of the network called `name`: one of `NETWORKS`, `timm:NAME`, `package.module:factory`.

    Raises:
        InputError: no such network, or timm is not there.
    """
    if name.startswith(PREFIX):
        return timm_factory(name)
    try:
        factory: Callable[[int], tuple[nn.Module, int]] = resolve(name, NETWORKS, "network", "factory")
    except InputError as error:
        if ":" in name:
            raise
        raise InputError(f"{error}; {names_in_timm(name)}") from error
    return factory


def build_network(
    name: str,
    size: int,
    num_classes: int,
    mean: Tensor,
    std: Tensor,
    *,
    bf16: bool = False,
    weights: str | Path | None = None,
) -> Classifier:
    """A network by its name, see `network_factory`; a user's own factory(size) gives (body, feature width).

    Args:
        size: pixels, or the width of embeddings.
        mean, std: per-channel statistics of the training inputs. A body that was made for other ones says so by
            its attributes `pixel_mean` and `pixel_std` (three numbers each, of pixels in 0–1), and these win.
        weights: pretrained ones for the body, see `load_pretrained`; the head is always drawn anew. A network of
            ours brings its mean and std with it.

    Raises:
        InputError: no such network, it cannot be built for this size, or the weights do not fit it.
    """
    factory = network_factory(name)
    try:
        body, width = factory(size)
        mean, std = body_statistics(body, "pixel_mean", mean), body_statistics(body, "pixel_std", std)
        network = Classifier(body, width, num_classes, mean, std, bf16=bf16)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"network {name!r} gives no (body, feature width) for size {size} ({error})") from error
    if weights is not None:
        network.pretrained = load_pretrained(body, weights, name)
        if network.pretrained.statistics is not None:
            network.mean, network.std = (statistic.to(mean) for statistic in network.pretrained.statistics)
    return network


@torch.no_grad()
def initialize(network: Classifier, inputs: Tensor) -> None:
    """Let the body take from training inputs what it starts with, where it has a method `initialize` for that.

    It is called once, before training, and not where weights were loaded, nor as a model is read from a file: what it
    sets are parameters or buffers, and so among the saved ones.

    Args:
        inputs: (n, …) as networks take them; the body gets them normalized.
    """
    start = getattr(network.features, "initialize", None)
    if callable(start) and network.pretrained is None:
        start(network.normalized(inputs))


def body_statistics(body: nn.Module, attribute: str, data: Tensor) -> Tensor:
    """The body's own pixel statistics (3,), or else the data's."""
    values = getattr(body, attribute, None)
    if values is None:
        return data
    statistics = torch.as_tensor(values, dtype=data.dtype, device=data.device)
    lowest = 1e-3 if attribute == "pixel_std" else 0  # pixels are divided by it
    if statistics.shape != (3,) or statistics.min() < lowest or statistics.max() > 1:
        raise InputError(f"the network's {attribute} is {values}: give three numbers of {lowest} to 1, one for a color")
    return statistics


def try_network(name: str, shape: tuple[int, ...], weights: str | Path | None) -> None:
    """Raise InputError unless such a network can be had with these weights, and takes inputs (3, S, S) or (D,).

    It is built and thrown away, so that hours of reading images do not end in a wrong name.
    """
    mean = torch.zeros(shape[0])
    with torch.random.fork_rng(devices=[]):
        network = build_network(name, shape[-1], 1, mean, mean + 1, weights=weights)
        probe(network, torch.zeros(2, *shape), name)


@torch.no_grad()
def probe(network: Classifier, x: Tensor, name: str) -> None:
    """Raise InputError unless `network` takes such inputs (2, …)."""
    try:
        network.to(x.device).eval()(x)
    except REFUSALS as error:
        if short_of_memory(error):
            raise
        reason, shape = " ".join(str(error).split()) or type(error).__name__, tuple(x.shape[1:])
        fix = "choose another, such as --network mlp" if len(shape) == 1 else fitting_size(name, shape[-1])
        raise InputError(f"network {name!r} does not take inputs of shape {shape} ({reason}): {fix}") from error


def fitting_size(name: str, size: int) -> str:
    """The size of images nearest to `size` that the network takes, as an option."""
    for other in sorted(SIZES, key=lambda other: abs(other - size)):
        try:
            body, _ = network_factory(name)(other)
            body.eval()(torch.zeros(2, 3, other, other))
        except REFUSALS:
            continue
        return f"it takes images of {other} px: --data.image-size {other}, or another --network"
    return "choose another"


@torch.no_grad()
def compile_body(network: Classifier, x: Tensor, name: str) -> None:
    """Compile the body in place, which leaves its state as it is; a copy of the network is not compiled.

    Raises InputError unless that can be done here, tried with inputs (2, …).
    """
    network.features.compile()
    try:
        network(x)
    except Exception as error:  # of the compiler: anything from a missing program to code of the network it cannot read
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"--compile: network {name!r} cannot be compiled here ({reason}): leave it away") from error
