"""Parts of images cut out as they are, pixel for pixel. Must not know: policies, labels, epochs, files.

A set is uint8 (N, 3, H, W) that lies in memory as (N, H, W, 3), which is what readers and caches give and what networks
like; a set that lies otherwise costs one more copy of each batch. Results lie the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor

CACHE = 2**21  # bytes that a core of a CPU has near it


def pick(images: Tensor, rows: Tensor) -> Tensor:
    """`images[rows]`, uint8 (B, 3, H, W), at the speed of a plain copy."""
    pixels, rows = pixels_last(images, rows)
    return pixels.index_select(0, rows).permute(0, 3, 1, 2)


def center_crop(images: Tensor, size: int) -> Tensor:
    """The middle of each image: uint8 (B, 3, size, size)."""
    top, left = ((side - size) // 2 for side in images.shape[2:])
    middle = images[:, :, top : top + size, left : left + size]
    return middle.contiguous(memory_format=torch.channels_last)


def crop_flip(images: Tensor, rows: Tensor, draws: Tensor, size: int) -> Tensor:
    """A window somewhere in each image, and every other one mirrored.

    Along a side longer than `size` the window lies anywhere inside. Along one of just that size it
    moves by up to an eighth each way, and reflection fills the border (the public code: zeros).

    Args:
        images: uint8 (N, 3, H, W), the whole set.
        rows: int64 (B,), those wanted.
        draws: (B, 3) uniform in 0–1: vertical place, horizontal place, mirror.
        size: pixels, at most H and W.

    Returns:
        uint8 (B, 3, size, size).
    """
    pixels, rows = pixels_last(images, rows)
    height, width = pixels.shape[1:3]
    top, left = _start(height, size, draws[:, 0]), _start(width, size, draws[:, 1])
    mirror = draws[:, 2] >= 0.5
    y = _reflected(top[:, None] + torch.arange(size, device=rows.device), height)
    take = _take_lines if pixels.device.type == "cpu" else _take_pixels
    return take(pixels, rows, y, left, mirror).permute(0, 3, 1, 2)


def pixels_last(images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """A set (N, H, W, 3) in one piece of memory, and which of its rows are meant."""
    pixels = images.permute(0, 2, 3, 1)
    if pixels.is_contiguous():
        return pixels, rows
    return pixels[rows].contiguous(), torch.arange(len(rows), device=rows.device)


def _take_pixels(pixels: Tensor, rows: Tensor, y: Tensor, left: Tensor, mirror: Tensor) -> Tensor:
    """One gather, as accelerators like it: (B, size, size, 3) at lines `y` (B, size), from columns `left` (B,) on."""
    width = pixels.shape[2]
    x = _reflected(left[:, None] + torch.arange(y.shape[1], device=rows.device), width)
    x = torch.where(mirror[:, None], width - 1 - x, x)
    return pixels[rows[:, None, None], y[:, :, None], x[:, None, :]]


def _take_lines(pixels: Tensor, rows: Tensor, y: Tensor, left: Tensor, mirror: Tensor) -> Tensor:
    """The same by copies of whole lines, some eight times as fast on a CPU.

    A line reflected at its ends repeats every 2 W - 2 pixels, and half of that is its mirror image. So each line is
    written out as far as a window can reach, and any window, shifted and mirrored, is one run of its bytes.
    """
    height, width, size = *pixels.shape[1:3], y.shape[1]
    pad = _pad(width, size)
    image, border, window = 3 * width, 3 * pad, 3 * size  # bytes
    length = border + image + (image - 3) + border
    source = (rows[:, None] * height + y).flatten()  # lines of the set

    # As many images at a time as stay in the cache, always in the same memory.
    chunk = max(1, min(len(rows), CACHE // (size * length)))
    extended = torch.empty(chunk * size, length, dtype=torch.uint8)
    runs = extended.view(-1).as_strided((extended.numel() - window + 1, window), (1, 1))  # one from every byte on
    line = torch.arange(len(rows) * size).view(-1, size) % (chunk * size)
    start = pad + torch.where(mirror, width - 1 + left, left)
    run = (line * length + 3 * start[:, None]).flatten()

    out = torch.empty(len(rows) * size, window, dtype=torch.uint8)
    chunks = zip(*(part.split(chunk * size) for part in (source, run, out)), strict=True)
    for sources, wanted, target in chunks:
        lines = extended[: len(sources)]
        before, forward, backward, after = lines.split([border, image, image - 3, border], 1)
        torch.index_select(pixels.view(-1, image), 0, sources, out=forward)
        # Torch has fast code to mirror bytes of three channels that lie last.
        mirrored = forward.view(-1, 1, width, 3).permute(0, 3, 1, 2).flip(3).permute(0, 2, 3, 1).view(-1, image)
        backward.copy_(mirrored[:, 3:])
        before.copy_(mirrored[:, image - 3 - border : image - 3])
        after.copy_(forward[:, 3 : 3 + border])
        torch.index_select(runs, 0, wanted, out=target)
    return out.view(-1, size, size, 3)


def _pad(side: int, size: int) -> int:
    """How far a window reaches beyond the image."""
    return min(max(1, size // 8), side - 1) if side == size else 0


def _start(side: int, size: int, draws: Tensor) -> Tensor:
    """Where windows begin: (B,)."""
    pad = _pad(side, size)
    return (draws * (side - size + 2 * pad + 1)).long() - pad


def _reflected(position: Tensor, side: int) -> Tensor:
    """Positions at most `side` - 1 outside 0 … side - 1, moved inside as in a mirror."""
    return (side - 1) - ((side - 1) - position.abs()).abs()
