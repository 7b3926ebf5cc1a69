"""Pictures that come twice, also re-encoded, cropped a little or mirrored. Must not know: labels, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from mixnn.data.batches import as_input

MAX_RELATIVE_DISTANCE = 0.4  # of the median distance of a nearest neighbor: no farther apart they may be duplicates
MIN_CORRELATION = 0.97  # correlation at 8 × 8 pixels: all 12 such pairs among 10 000 CIFAR-10 images looked the same
EQUAL_DISTANCE = 1e-6  # distance of embeddings that are equal but for rounding
MAX_PAIRS = 20_000  # pairs that are looked at, the nearest first


@torch.no_grad()
def find_near_duplicates(inputs: Callable[[Tensor], Iterator[Tensor]], neighbors: Tensor, distances: Tensor) -> Tensor:
    """Pairs of samples that show the same picture, int64 (M, 2), the smaller row first, in order.

    Args:
        inputs: gives the samples of some rows as uint8 pixels (B, 3, H, W) or embeddings (B, D), batch by batch.
        neighbors: int64 (N, K), nearest first.
        distances: (N, K), of the features, 0 and above.
    """
    if neighbors.shape[1] == 0:
        return torch.zeros(0, 2, dtype=torch.int64)
    pictures = next(inputs(torch.zeros(1, dtype=torch.int64))).dim() == 4
    limit = MAX_RELATIVE_DISTANCE * distances[:, 0].median() if pictures else distances.new_tensor(EQUAL_DISTANCE)
    row, place = (distances <= limit.clamp_min(EQUAL_DISTANCE)).nonzero().T  # of one picture all are at distance 0
    nearest = distances[row, place].argsort()[:MAX_PAIRS]
    pairs: Tensor = torch.stack([row[nearest], neighbors[row, place][nearest]], 1).sort(1).values
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].unique(dim=0).cpu()
    if not pictures or len(pairs) == 0:
        return pairs
    rows, places = pairs.unique(return_inverse=True)
    small = torch.cat([adaptive_avg_pool2d(as_input(x), 8) for x in inputs(rows)]).cpu()  # (n, 3, 8, 8)
    first, second = small[places[:, 0]], small[places[:, 1]]
    similarity = torch.maximum(correlation(first, second), correlation(first, second.flip(3)))
    found: Tensor = pairs[similarity >= MIN_CORRELATION]
    return found


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of the values of each picture, (M, …) and (M, …) -> (M,) in -1–1; 0 where one is all of one color."""
    x, y = (part.flatten(1) - part.flatten(1).mean(1, keepdim=True) for part in (a, b))
    return (normalize(x) * normalize(y)).sum(1)
