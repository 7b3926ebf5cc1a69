"""Narrow, shallow bodies that learn CIFAR in a few epochs. Must not know: anything of ours.

The shape is that of the speed records for CIFAR-10 (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv
2404.00498): a fixed whitening of 2×2 patches, three groups of two 3×3 convolutions, and a head on small features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, unfold

PATCH = 3 * 2 * 2  # numbers of a whitened patch: three colors of 2×2 pixels
FLOOR = 5e-4  # of a variance that patches are divided by the root of
FEATURE_SCALE = 1 / 9  # what features are multiplied by, so that a head drawn as usual begins almost unsure


class Whitening(nn.Module):
    """A fixed convolution after which 2×2 patches are uncorrelated and of one variance: (B, 3, H, W) -> (B, 24, …).

    Each of the 12 directions comes twice, with either sign, for the rectifier behind it. Before `initialize` they are
    at random. It is never trained, and so costs no backward.

    Args:
        stride: pixels that are averaged first, so that larger images cost what 32 px do.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(3, 2 * PATCH, 2, bias=False)
        self._set(nn.init.orthogonal_(torch.empty(PATCH, PATCH)))

    def _set(self, directions: Tensor) -> None:
        """Directions (12, 12), a row each."""
        kernels = torch.cat([directions, -directions]).view(2 * PATCH, 3, 2, 2)
        self.conv.weight = nn.Parameter(kernels.contiguous(memory_format=torch.channels_last), requires_grad=False)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Take the directions from training inputs: `x` float32 (n, 3, H, W), normalized."""
        patches = unfold(self._pooled(x.cpu().contiguous()), 2).double().transpose(0, 1).flatten(1)  # (12, n · places)
        covariance = patches @ patches.T / patches.shape[1]
        variances, vectors = torch.linalg.eigh(covariance)  # in columns
        directions = vectors.T / (variances.clamp_min(0) + FLOOR).sqrt()[:, None]
        self._set(directions.to(self.conv.weight))

    def _pooled(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, self.stride) if self.stride > 1 else x

    def forward(self, x: Tensor) -> Tensor:
        whitened: Tensor = self.conv(self._pooled(x))
        return whitened


class Scale(nn.Module):
    """x · factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class FastBody(nn.Sequential):
    """The layers, and what `mixnn.models.classifier.initialize` hands training inputs to."""

    def initialize(self, x: Tensor) -> None:
        """See `Whitening.initialize`."""
        for module in self:
            if isinstance(module, Whitening):
                module.initialize(x)


def identity_conv(c_in: int, c_out: int) -> nn.Conv2d:
    """A 3×3 convolution whose first outputs are its inputs; the others are drawn as usual."""
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:c_in])
    return conv


def norm(width: int) -> nn.BatchNorm2d:
    """Batch norm that shifts and does not scale."""
    layer = nn.BatchNorm2d(width)
    layer.weight.requires_grad_(False)
    return layer


def fast(size: int, widths: Sequence[int]) -> tuple[nn.Module, int]:
    """Whitening, and for each of `widths` two convolutions, the first with its outputs halved in size.

    Pooling stands before batch norm, which is four times less to compute.
    """
    layers: list[nn.Module] = [Whitening(max(1, size // 32)), nn.GELU()]
    c_in = 2 * PATCH
    for c_out in widths:
        layers += [identity_conv(c_in, c_out), nn.MaxPool2d(2, ceil_mode=size < 24), norm(c_out), nn.GELU()]
        layers += [identity_conv(c_out, c_out), norm(c_out), nn.GELU()]
        c_in = c_out
    return FastBody(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), Scale(FEATURE_SCALE)), c_in
