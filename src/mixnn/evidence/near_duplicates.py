"""Samples that come twice, also re-encoded, cropped a little, recolored or mirrored. Must not know: labels, files.

The distance of a pair counts relative to that of the neighbors around it. Among neighbors of a point in m dimensions
the nearest is at less than a share t of the farthest one's distance with probability 1 - (1 - t^m)^(k-1); m is
estimated as in Levina and Bickel, NeurIPS 2004. Pairs nearer than chance allows are near duplicates, if their pixels,
where there are any, agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from mixnn.data.batches import as_input
from mixnn.errors import InputError
from mixnn.evidence.inputs import checked_features, checked_images
from mixnn.evidence.knn import cosine_distances, knn_indices
from mixnn.label_quality.duplicates import groups, set_numbers

NEIGHBORS = 10  # that are looked at, and around a pair
MAX_RATIO = 0.35  # of a pair's distance to that of its neighbors, where there are no pixels
MAX_RATIO_WITH_PIXELS = 0.26  # times (1 - correlation)^(1/3): of such pairs of CIFAR-10 95 % are right
CANDIDATE_RATIO = 0.7  # no pixels are compared of pairs with a larger one
MIN_CORRELATION = 0.5  # of pixels: 99 % of the near duplicates of CIFAR-10 have more
SURE_CORRELATION = 0.9  # the features may then be near by chance
MIN_CONTRAST = 0.01  # standard deviation of pixels in 0–1: less is all of one color
MIN_SCALE = 0.25  # of the median distance of neighbors: those of a sample with ten copies are not at 0
EQUAL_DISTANCE = 1e-6  # of features that are equal but for rounding
SIDE, COARSE = 16, 8  # pixels at which pictures are compared, and at which neighbors are looked for
MIN_PAIRS = 20_000  # candidates whose pixels are compared at most, or a tenth of the samples

Inputs = Callable[[Tensor], Iterator[Tensor]]


@dataclass(frozen=True)
class NearDuplicates:
    """The answer of `mixnn.find_near_duplicates`, about N samples.

    Attributes:
        pairs: int64 (M, 2), near duplicates, the smaller row first, the nearest pair first.
        score: float32 (N,) in 0–1, how near the nearest other sample comes: above 0.5 a near duplicate, 1 its copy.
    """

    pairs: NDArray[np.int64]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def sets(self) -> list[NDArray[np.int64]]:
        """Rows that are near duplicates of one another, also by way of others, two and more each."""
        return groups(len(self), self.pairs)

    @cached_property
    def set_number(self) -> NDArray[np.int64]:
        """Place in `sets` of each sample, (N,); -1 for none."""
        return set_numbers(len(self), self.pairs)

    @property
    def is_near_duplicate(self) -> NDArray[np.bool_]:
        """Whether a sample is in a set, (N,)."""
        found: NDArray[np.bool_] = self.set_number >= 0
        return found


@torch.no_grad()
def compare_neighbors(
    neighbors: Tensor, distances: Tensor, inputs: Inputs | None = None, *, of_pixels: bool = False
) -> NearDuplicates:
    """Near duplicates among the nearest neighbors.

    Args:
        neighbors: int64 (N, K), nearest first.
        distances: (N, K), one minus the cosine.
        inputs: gives the samples of some rows as uint8 pixels (B, 3, H, W), batch by batch; None without pictures.
        of_pixels: the features are pixels themselves, which then are no evidence of their own.
    """
    neighbors, distances = neighbors[:, :NEIGHBORS].cpu(), distances[:, :NEIGHBORS].float().cpu()
    samples, k = neighbors.shape
    if k == 0:
        return NearDuplicates(np.zeros((0, 2), np.int64), np.zeros(samples, np.float32))
    scale = distances.mean(1)
    scale = scale.clamp_min(max(EQUAL_DISTANCE, MIN_SCALE * float(scale.median())))
    row = torch.arange(samples)[:, None].expand(-1, k)
    distances = distances.where(distances > EQUAL_DISTANCE, 0)
    ratios = distances / torch.maximum(scale[:, None], scale[neighbors])  # (N, K)
    nearness = ratios / min(MAX_RATIO, chance_ratio(distances))  # 1 and below: a near duplicate
    candidate = ratios <= CANDIDATE_RATIO
    ends = torch.stack([row[candidate], neighbors[candidate]]).sort(0).values  # (2, P)
    keys, place = (ends[0] * samples + ends[1]).unique(return_inverse=True)
    pairs = torch.stack([keys // samples, keys % samples], 1)
    ratio, near = (torch.full((len(pairs),), torch.inf) for _ in range(2))
    ratio.scatter_reduce_(0, place, ratios[candidate], "amin")
    near.scatter_reduce_(0, place, nearness[candidate], "amin")
    if inputs is not None and len(pairs):
        nearest = ratio.argsort()[: max(MIN_PAIRS, samples // 10)]
        pairs, ratio, near = pairs[nearest], ratio[nearest], near[nearest]
        alike = correlations(inputs, pairs)
        with_pixels = ratio * (1 - alike + 0.01) ** (1 / 3) / MAX_RATIO_WITH_PIXELS
        sure = alike >= (2 if of_pixels else SURE_CORRELATION)
        near = torch.where(sure, with_pixels, torch.maximum(with_pixels, near))
        near[alike < MIN_CORRELATION] = torch.inf
    closest = nearness.min(1).values.clamp_min(1 + 1e-3) if inputs is not None else nearness.min(1).values
    for end in pairs.T:
        closest.scatter_reduce_(0, end, near, "amin")
    order = near.argsort(stable=True)[: int((near <= 1).sum())]
    return NearDuplicates(pairs[order].numpy(), (1 / (1 + closest)).numpy())


def chance_ratio(distances: Tensor) -> float:
    """Ratio of distances (N, K), near to far, below which chance puts about one of all N · (K - 1) neighbors."""
    distances = distances.double().clamp_min(1e-12)
    samples, k = distances.shape
    if k < 3:
        return 0.0
    spread = (distances[:, -1:] / distances[:, :-1]).log().mean(1) / 2  # 1 - cosine goes by the square of a distance
    dimension = float((k - 2) / (k - 1) / spread.clamp_min(1e-6).median())
    return float((1 / (samples * (k - 1))) ** (2 / dimension))


def correlations(inputs: Inputs, pairs: Tensor) -> Tensor:
    """Of the pixels of each pair, or of one and the other's mirror image, (M, 2) -> (M,) in -1–1."""
    rows, places = pairs.unique(return_inverse=True)
    small = torch.cat([adaptive_avg_pool2d(as_input(x), SIDE).half() for x in inputs(rows)]).cpu()  # (n, 3, 16, 16)
    parts = []
    for part in places.split(4096):
        first, second = small[part[:, 0]].float(), small[part[:, 1]].float()
        parts.append(torch.maximum(correlation(first, second), correlation(first, second.flip(3))))
    return torch.cat(parts)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of the values of each picture, (M, 3, H, W) twice -> (M,) in -1–1; 0 where one is all of one color."""
    return (normalize(centered(a)) * normalize(centered(b))).sum(1)


def centered(x: Tensor) -> Tensor:
    """(M, 3, H, W) around the mean of each picture, (M, 3 H W); 0 of one that is all of one color."""
    varied = x.flatten(2).std(2).amax(1) > MIN_CONTRAST
    flat = x.flatten(1)
    return (flat - flat.mean(1, keepdim=True)) * varied[:, None]


def pixel_features(images: Iterator[Tensor]) -> Tensor:
    """Pictures as features whose cosine is the correlation of their pixels, float32 (N, 192).

    Each is turned so that its lighter half lies to the left: mirror images are the same.
    """
    rows = []
    for x in images:
        small = adaptive_avg_pool2d(as_input(x), COARSE)
        right = small[..., COARSE // 2 :].sum((1, 2, 3)) > small[..., : COARSE // 2].sum((1, 2, 3))
        rows.append(centered(torch.where(right[:, None, None, None], small.flip(3), small)))
    return torch.cat(rows)


def find_near_duplicates(features: Any = None, images: Any = None) -> NearDuplicates:
    """Samples that are nearly the same, by embeddings, by pixels, or by both, which is best.

    Args:
        features: (N, D) numbers, of any network; scaled as you like.
        images: (N, H, W, 3), (N, 3, H, W) or (N, H, W), best as uint8; mirrored copies are found too.

    Raises:
        InputError: neither is given, or a shape or a value does not fit.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(100, 64))
        >>> features[7] = features[3] + 0.01
        >>> find_near_duplicates(features).sets
        [array([3, 7])]
    """
    if features is None and images is None:
        raise InputError("find_near_duplicates needs features (N, D), images (N, H, W, 3), or both: give one")
    seen = None if features is None else checked_features(features)
    inputs = None if images is None else checked_images(images, None if seen is None else len(seen))
    if seen is None:
        assert inputs is not None
        seen = pixel_features(inputs(torch.arange(len(images))))
    indices, _ = knn_indices(seen, min(NEIGHBORS, len(seen) - 1))
    return compare_neighbors(indices, cosine_distances(seen, indices), inputs, of_pixels=features is None)
