"""Principal components of features: for heads, for the search of neighbors, for very wide tables, and to be seen."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from mixnn.tables.topk_rows import chunks

SAMPLED = 100_000  # samples that components of unit rows come from


def principal_components(chunks: Iterable[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Mean squares (M,), ascending, and orthonormal directions (D, M), both float64, of the M ≤ `count` largest.

    Args:
        chunks: some rows (n, D) each, float32; around their mean, where the mean is not to be the first component.
    """
    products, samples = torch.zeros(()), 0
    for x in chunks:
        products, samples = products + (x.T @ x).double(), samples + len(x)
    # Of a network that diverged any directions will do.
    values, vectors = torch.linalg.eigh((products / samples).nan_to_num(0, 0, 0))
    return values[-count:], vectors[:, -count:]


def sampled_components(features: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """`principal_components` of rows at length one, by an even sample, and before these their mean (D,)."""
    some = unit_rows(features[:: max(1, len(features) // SAMPLED)])
    mean = some.mean(0)
    return mean, *principal_components([some - mean], min(count, max(1, len(some) - 1)))


def project(features: Tensor, mean: Tensor, directions: Tensor) -> Tensor:
    """Rows (N, D), at length one and around `mean`, along `directions` (D, M): float32 (N, M)."""
    out = torch.empty(len(features), directions.shape[1], device=features.device)
    for rows in chunks(*features.shape):
        out[rows] = (unit_rows(features[rows]) - mean) @ directions.float()
    return out


def unit_rows(features: Tensor) -> Tensor:
    """Rows of length one, float32; rows of zeros stay."""
    return normalize(features.float(), eps=1e-12)


def pca_2d(features: Tensor) -> Tensor:
    """The first two principal components of `features` (N, D): (N, 2) float32.

    They are compared as the neighbors are, at length one. A direction has no sign of its own: its largest
    share is taken as positive. What has one dimension only lies on a line.
    """
    mean, _, directions = sampled_components(features, 2)
    directions = directions.flip(1)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 2)
    plane = project(features, mean, directions * largest.sign())
    return pad(plane, (0, 2 - plane.shape[1]))
