"""Strong augmentation: a table of operations on images. Must not know: labels, epochs, files.

RandAugment (Cubuk et al., arXiv 1909.13719) with the operations and ranges of FixMatch (Sohn et al., arXiv
2001.07685), then Cutout (DeVries and Taylor, arXiv 1708.04552). Sums over an image are made of integers: a sum of
floats would depend on how many images are in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mixnn.data.augment.crop import CACHE, pick

STRONG_DRAWS = 6
GRAY = 128  # what is not known


def strong(images: Tensor, draws: Tensor) -> Tensor:
    """Two operations out of `OPERATIONS`, then a gray square of half the width somewhere.

    Args:
        images: uint8 (B, 3, S, S).
        draws: (B, 6) uniform in 0–1: operation and strength, twice; place of the square.

    Returns:
        uint8 (B, 3, S, S), channels last in memory.
    """
    for which, strength in (draws[:, 0:2].T, draws[:, 2:4].T):
        images = operate(images, (which * len(OPERATIONS)).long(), strength)
    return cutout(images, draws[:, 4:6])


def operate(images: Tensor, which: Tensor, strength: Tensor) -> Tensor:
    """To each image the operation number `which`, int64 (B,), with `strength` (B,) in 0–1."""
    order = which.argsort(stable=True)
    counts = which.bincount(minlength=len(OPERATIONS)).tolist()
    groups = zip(OPERATIONS.values(), pick(images, order).split(counts), strength[order].split(counts), strict=True)
    done = [operation(*group).contiguous(memory_format=torch.channels_last) for operation, *group in groups]
    return pick(torch.cat(done), order.argsort())


def cutout(images: Tensor, draws: Tensor, some: Tensor | None = None) -> Tensor:
    """A square of half the width made gray, its center anywhere: `draws` (B, 2) in 0–1; on `some` images only, (B,)."""
    half = images.shape[3] / 4
    inside = []
    for side, place in zip(images.shape[2:], draws.T, strict=True):
        offset = torch.arange(side, device=images.device) - (place * side).floor()[:, None]
        inside.append((offset >= -half) & (offset < half))
    if some is not None:
        inside[0] &= some[:, None]
    lines = images.permute(0, 2, 3, 1).flatten(2)  # (B, H, W·3)
    outside = ~(inside[0][:, :, None] & inside[1].repeat_interleave(3, 1)[:, None])
    # Bytes wrap around, so this gives back what is outside; `masked_fill` is slower.
    kept: Tensor = ((lines - GRAY) * outside + GRAY).unflatten(2, (-1, 3))
    return kept.permute(0, 3, 1, 2)


# Operations: uint8 (n, 3, H, W) and strengths (n,) in 0–1 -> uint8 (n, 3, H, W)


def autocontrast(images: Tensor) -> Tensor:
    """The darkest value of each channel becomes 0, the brightest 255."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = low == high  # these stay
    low, high = low.masked_fill(flat, 0), high.masked_fill(flat, 255)
    return ((images - low).float() * 255 / (high - low)).byte()


def equalize(images: Tensor) -> Tensor:
    """Every value of each channel about equally often."""
    channels = images.flatten(2).flatten(0, 1).long()  # (n·3, H·W)
    offset = 256 * torch.arange(len(channels), device=images.device)[:, None]
    count = (channels + offset).flatten().bincount(minlength=256 * len(channels)).view(-1, 256)
    brightest = count.gather(1, channels.amax(1, keepdim=True))
    step = (channels.shape[1] - brightest) // 255
    table = ((step // 2 + count.cumsum(1) - count) // step.clamp_min(1)).clamp_max(255)
    return torch.where(step > 0, table.gather(1, channels), channels).byte().view(images.shape)


def gray(images: Tensor) -> Tensor:
    """Luma, rounded: int32 (n, 1, H, W)."""
    red, green, blue = images.int().split(1, 1)
    luma: Tensor = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    return luma


def mean_gray(images: Tensor) -> Tensor:
    luma = gray(images).flatten(1)
    count = luma.shape[1]
    return per_image((luma.sum(1) + count // 2) // count)


def smooth(images: Tensor) -> Tensor:
    """The mean of each pixel, five times, and its eight neighbors, once; the border stays."""
    x = images.float()
    columns = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    total = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * x[..., 1:-1, 1:-1]
    x[..., 1:-1, 1:-1] = ((total + 6) / 13).floor()
    return x


def blend(images: Tensor, other: Tensor | int, strength: Tensor) -> Tensor:
    """5 to 95 % of the image, the rest of `other`."""
    weight = per_image(0.05 + 0.9 * strength)
    return ((images.float() - other) * weight + other).byte()


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """The upper 4 to 8 bits."""
    return images & (256 - (1 << per_image((5 * strength).long()))).byte()


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Bright values inverted."""
    bright = images > per_image(255 - (256 * strength).byte())
    return images ^ -bright.byte()  # all bits of the bright ones: 255 - value


def affine(images: Tensor, across: list[Tensor | float], down: list[Tensor | float]) -> Tensor:
    """Pixel (x, y), both in -1 … 1, from across · (x, y, 1) and down · (x, y, 1)."""
    terms = [
        term.float() if isinstance(term, Tensor) else torch.full((len(images),), float(term), device=images.device)
        for term in (*across, *down)
    ]
    return resample(images, torch.stack(terms[:3], 1), torch.stack(terms[3:], 1), images.shape[2], outside="zeros")


def rotate(images: Tensor, strength: Tensor) -> Tensor:
    """By up to 30° each way."""
    angle = math.radians(30) * _both_ways(strength).double()  # float64: see `resized_crop`
    return affine(images, [angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0])


def resample(images: Tensor, across: Tensor, down: Tensor, size: int, *, outside: str) -> Tensor:
    """Bilinear samples on a grid of size × size.

    Args:
        images: uint8 (B, 3, H, W).
        across, down: float32 (B, 3): the place in the image of pixel (x, y) of the result is
            (across · (x, y, 1), down · (x, y, 1)); all run from -1 to 1.
        size: pixels.
        outside: what is beyond the image: "border", its last pixel, or "zeros", gray.
    """
    x = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    # Few images at a time stay in the cache of a CPU: 40 bytes for a pixel, its place and its value as floats.
    chunk = max(1, CACHE // (40 * size**2)) if images.device.type == "cpu" else max(1, len(images))
    chunks = []
    for pixels, *rows in zip(images.split(chunk), across.split(chunk), down.split(chunk), strict=True):
        # Written out: a matrix product may round differently in batches of another size.
        places = [a[:, 0, None, None] * x + a[:, 1, None, None] * x[:, None] + a[:, 2, None, None] for a in rows]
        grid = torch.stack(places, 3)
        sampled = F.grid_sample(pixels.float() - GRAY, grid, padding_mode=outside, align_corners=False)
        chunks.append((sampled + (GRAY + 0.5)).permute(0, 2, 3, 1).byte().contiguous())
    return torch.cat(chunks).permute(0, 3, 1, 2)


def per_image(values: Tensor) -> Tensor:
    """One value an image, as (n, 1, 1, 1)."""
    return values[:, None, None, None]


def _both_ways(strength: Tensor) -> Tensor:
    return 2 * strength - 1


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda x, s: x,
    "autocontrast": lambda x, s: autocontrast(x),
    "equalize": lambda x, s: equalize(x),
    "brightness": lambda x, s: blend(x, 0, s),
    "contrast": lambda x, s: blend(x, mean_gray(x), s),
    "color": lambda x, s: blend(x, gray(x), s),
    "sharpness": lambda x, s: blend(x, smooth(x), s),
    "posterize": posterize,
    "solarize": solarize,
    "rotate": rotate,
    "shear-x": lambda x, s: affine(x, [1, 0.3 * _both_ways(s), 0], [0, 1, 0]),
    "shear-y": lambda x, s: affine(x, [1, 0, 0], [0.3 * _both_ways(s), 1, 0]),
    "translate-x": lambda x, s: affine(x, [1, 0, 0.6 * _both_ways(s)], [0, 1, 0]),  # 0.6 of -1 … 1 is 30 %
    "translate-y": lambda x, s: affine(x, [1, 0, 0], [0, 1, 0.6 * _both_ways(s)]),
}
