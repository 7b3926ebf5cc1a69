"""Augmentation of whole batches on the device they live on. Must not know: labels, epochs, files."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Augmentation = Literal["crop-flip", "none"]


def crop_flip(images: Tensor, rows: Tensor, draws: Tensor) -> Tensor:
    """Shift by up to an eighth of the width each way, mirror every other image.

    Args:
        images: uint8 (N, 3, H, W), the whole set.
        rows: int64 (B,), those wanted.
        draws: (B, 3) uniform in 0–1: vertical shift, horizontal shift, mirror.

    Returns:
        uint8 (B, 3, H, W); the border is filled by reflection (the public code: by zeros).
    """
    height, width = images.shape[2:]
    y = _shifted(height, draws[:, 0])
    x = _shifted(width, draws[:, 1])
    x = torch.where(draws[:, 2, None] < 0.5, x, width - 1 - x)
    # One gather straight from the set; pixels last, as they lie in memory.
    picked = images.permute(0, 2, 3, 1)[rows[:, None, None], y[:, :, None], x[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def _shifted(size: int, draws: Tensor) -> Tensor:
    """Pixel positions 0 … size - 1 moved by a draw in ±size/8 and reflected at the ends: (B, size)."""
    pad = max(1, size // 8)
    shift = (draws * (2 * pad + 1)).long() - pad
    position = (torch.arange(size, device=draws.device) + shift[:, None]).abs()
    return (size - 1) - ((size - 1) - position).abs()
