"""Principal components of features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

PART = 2**22  # values of the features worked on at a time


def pca_2d(features: Tensor) -> Tensor:
    """The first two principal components of `features` (N, D): (N, 2) float32.

    They are compared as the neighbors are, at length one. A direction has no sign of its own: its largest
    share is taken as positive. What has one dimension only lies on a line.
    """
    size = max(1, PART // max(1, features.shape[1]))
    width = features.shape[1]
    total, products = features.new_zeros(width, dtype=torch.float64), features.new_zeros(width, width).double()
    for part in features.split(size):
        x = normalize(part.double())
        total += x.sum(0)
        products += x.T @ x
    mean = total / len(features)
    directions = torch.linalg.eigh(products / len(features) - mean.outer(mean)).eigenvectors[:, -2:].flip(1)  # (D, 2)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 2)
    directions = directions * largest.sign()
    parts = [(normalize(part.double()) - mean) @ directions for part in features.split(size)]
    return pad(torch.cat(parts), (0, 2 - directions.shape[1])).float()
