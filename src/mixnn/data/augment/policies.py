"""Augmentation of batches, each sample by numbers of its own, on the device they live on.

A result depends on an image and its numbers alone: not on the batch it comes in, nor on the rank. Must not know:
labels, epochs, files, where the numbers come from.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from mixnn.data.augment.color_jitter import COLOR_DRAWS, color
from mixnn.data.augment.crop import center_crop, crop_flip, pick
from mixnn.data.augment.randaugment import STRONG_DRAWS, resample, strong
from mixnn.errors import InputError

Augmentation = Literal["crop-flip", "resized-crop", "color", "strong", "none"]

# How many uniform numbers in 0–1 a sample needs.
DRAWS: dict[str, int] = {
    "crop-flip": 3,
    "resized-crop": 5,
    "color": 3 + COLOR_DRAWS,
    "strong": 3 + STRONG_DRAWS,
    "none": 0,
}
# Which of them mirrors, from 0.5 up.
MIRROR_DRAW: dict[str, int] = {"crop-flip": 2, "resized-crop": 4, "color": 2, "strong": 2}
AFTER = {"color": color, "strong": strong}  # crop-flip


def augment(policy: Augmentation, images: Tensor, draws: Tensor | None, size: int) -> Tensor:
    """Augment all of a batch.

    Args:
        policy: "crop-flip": `augment.crop.crop_flip`. "resized-crop": `resized_crop`. "color" and "strong": the
            first, then `augment.color_jitter.color` or `mixnn.data.augment.randaugment.strong`. "none": the center.
        images: uint8 (B, 3, S, S).
        draws: float32 (B, DRAWS[policy]) uniform in 0–1; None is "none".
        size: pixels, at most S.

    Returns:
        uint8 (B, 3, size, size), channels last in memory.

    Raises:
        InputError: `size` is larger than the images.
    """
    if policy == "none" or draws is None:
        check_size(images, size)
        return center_crop(images, size)
    return augment_rows(policy, images, torch.arange(len(images), device=images.device), draws, size)


def augment_rows(policy: Augmentation, images: Tensor, rows: Tensor, draws: Tensor | None, size: int) -> Tensor:
    """`augment(policy, images[rows], draws, size)`, with no copy of images[rows] where it can be spared.

    Args:
        images: uint8 (N, 3, S, S), the whole set, which may be a memory map.
        rows: int64 (B,).
    """
    check_size(images, size)
    if policy == "none" or draws is None:
        return center_crop(pick(images, rows), size)
    if policy == "resized-crop":
        return resized_crop(pick(images, rows), draws, size)
    cropped = crop_flip(images, rows, draws[:, :3], size)
    return AFTER[policy](cropped, draws[:, 3:]) if policy in AFTER else cropped


def check_size(images: Tensor, size: int) -> None:
    height, width = images.shape[2:]
    if size > min(height, width):
        raise InputError(f"crops of {size} px do not fit into images of {width} × {height} px: use smaller ones")


def resized_crop(
    images: Tensor,
    draws: Tensor,
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """A part of each image, of random place, area and shape, resized to size × size; every other one mirrored.

    As in Szegedy et al. (arXiv 1409.4842), whose `area` and `ratio` these are; where a side would
    be longer than the image, it is as long as the image.

    Args:
        images: uint8 (B, 3, S, S).
        draws: (B, 5) uniform in 0–1: area, ratio, horizontal place, vertical place, mirror.
        size: pixels.
        area: smallest and largest share of the image.
        ratio: smallest and largest width over height; uniform in its logarithm.
    """
    # In float64: the last bit of `exp` is not the same in every place of a batch, and rounding hides it.
    u = draws.double().T
    scale_of_area = area[0] + (area[1] - area[0]) * u[0]
    shape = (math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * u[1]).exp()
    width, height = (scale_of_area * shape).sqrt().clamp(max=1), (scale_of_area / shape).sqrt().clamp(max=1)
    # Pixels of the result at -1 … 1 lie in the image at scale × that + center.
    x, y = ((1 - part) * (2 * place - 1) for part, place in ((width, u[2]), (height, u[3])))
    width = torch.where(u[4] < 0.5, width, -width)
    zero = torch.zeros_like(x)
    across, down = torch.stack([width, zero, x], 1), torch.stack([zero, height, y], 1)
    return resample(images, across.float(), down.float(), size, outside="border")
