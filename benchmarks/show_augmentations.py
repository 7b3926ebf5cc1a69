"""The picture in docs/training.md: photos of the demo under each policy.

python benchmarks/show_augmentations.py docs/augmentation.png
"""

from __future__ import annotations

import sys

import torch
from matplotlib import pyplot as plt

from mixnn.data.augment.policies import DRAWS, Augmentation, augment
from mixnn.data.readers import read_source
from mixnn.data.seeds import generator

PHOTOS, SIZE = 8, 64
ROWS: tuple[Augmentation, ...] = ("none", "crop-flip", "resized-crop", "color", "strong", "strong")


def main() -> None:
    samples = read_source("demo:").train[:PHOTOS]
    images = torch.from_numpy(samples.images).permute(0, 3, 1, 2)
    figure, axes = plt.subplots(
        len(ROWS), PHOTOS, figsize=(PHOTOS * 0.9 + 1, len(ROWS) * 0.9), gridspec_kw={"wspace": 0.04, "hspace": 0.04}
    )
    for row, policy in enumerate(ROWS):
        draws = torch.rand(PHOTOS, DRAWS[policy], generator=generator(0, row))
        for cell, image in zip(axes[row], augment(policy, images, draws, SIZE), strict=True):
            cell.imshow(image.permute(1, 2, 0))
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        axes[row, 0].set_ylabel(policy, rotation=0, ha="right", va="center", fontsize=9)
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight", pad_inches=0.05)


if __name__ == "__main__":
    main()
