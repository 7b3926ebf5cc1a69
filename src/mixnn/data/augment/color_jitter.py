"""Color augmentation: other light, and now and then something in front. Must not know: labels, epochs, files.

Milder than `augment.randaugment`, for runs of some dozen epochs, and so cheap that it is not seen beside a step.
"""

from __future__ import annotations

from torch import Tensor

from mixnn.data.augment.randaugment import cutout

COLOR_DRAWS = 8
CHANGE, TINT = 0.4, 0.2  # of contrast and brightness, and of a single channel, up or down
COVERED = 0.5  # share of the images that get a square


def color(images: Tensor, draws: Tensor) -> Tensor:
    """Another contrast, brightness and tint for each image, and on every other one a gray square of half the width.

    x ← mean + contrast · (x − mean), where the mean of each channel is then moved by brightness and tint.

    Args:
        images: uint8 (B, 3, S, S), channels last in memory.
        draws: (B, 8) uniform in 0–1: contrast; brightness; tint of each channel; whether there is a square, and its
            place.

    Returns:
        uint8 (B, 3, S, S), channels last in memory.
    """
    width = images.shape[3]
    both_ways = 2 * draws - 1
    contrast = 1 + CHANGE * both_ways[:, :1]  # (B, 1)
    brightness = (1 + CHANGE * both_ways[:, 1:2]) * (1 + TINT * both_ways[:, 2:5])  # (B, 3)
    mean = images.long().sum((2, 3)) / (images.shape[2] * width)  # (B, 3); of integers, see `augment.randaugment`
    shift = mean * (brightness - contrast) + 0.5  # rounds
    lines = images.permute(0, 2, 3, 1).flatten(2).float()  # (B, S, S·3)
    # Not in one operation: fused, it would round differently in different places of a batch.
    lines.mul_(contrast[:, :, None]).add_(shift.repeat(1, width)[:, None])
    seen: Tensor = lines.clamp_(0, 255).byte().unflatten(2, (-1, 3)).permute(0, 3, 1, 2)
    return cutout(seen, draws[:, 6:8], draws[:, 5] < COVERED)
