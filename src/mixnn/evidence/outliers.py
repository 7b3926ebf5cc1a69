"""Samples that belong to no class: out of distribution, by how far away the samples around them are.

Must not know: files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.evidence.inputs import checked_features, encoded_labels
from mixnn.evidence.knn import cosine_distances, knn_indices
from mixnn.tables.topk_rows import chunks

NEIGHBORS, AROUND = 10, 50  # whose mean distance counts, and whose own is compared with it
DENSITY = 0.25  # power of the distance around, by which is divided: 0 is kNN, 1 is like LOF
DISAGREEMENT = 0.3  # weight of the entropy of the neighbors' labels, in nats
LIMIT = 3.5  # deviations above the median from which on a sample is an outlier
MIN_DISTANCE = 1e-6  # of features that are equal but for rounding


@dataclass(frozen=True)
class Outliers:
    """The answer of `mixnn.find_outliers`, about N samples.

    Attributes:
        score: float32 (N,) in 0–1, high is odd, above 0.5 an outlier.
    """

    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)

    @property
    def is_outlier(self) -> NDArray[np.bool_]:
        """Whether a sample belongs to no class, or hardly, (N,)."""
        found: NDArray[np.bool_] = self.score > 0.5
        return found

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """Rows, the farthest out first, (N,)."""
        return np.argsort(-self.score, kind="stable").astype(np.int64)


@torch.no_grad()
def outlier_scores(neighbors: Tensor, distances: Tensor, labels: NDArray[np.int64] | None = None) -> Outliers:
    """Outliers by the distances of nearest neighbors (kNN), in part relative to those around these, and their labels.

    ``z = log d - 0.25 mean of log d over the neighbors + 0.3 H``: d is the mean distance to 10, H the entropy of the
    labels of 50, which agree where there is a class. Then in deviations from the median, of which the upper half of
    the samples tells how large one is. kNN: Sun et al., ICML 2022; LOF: Breunig et al., SIGMOD 2000.

    Args:
        neighbors: int64 (N, K), nearest first.
        distances: (N, up to K), one minus the cosine.
        labels: (N,), below 0 where there is none.
    """
    neighbors, distances = neighbors[:, :AROUND].cpu(), distances[:, :NEIGHBORS].double().cpu()
    samples, k = neighbors.shape
    if k == 0:
        return Outliers(np.zeros(samples, np.float32))
    log_d = distances.clamp_min(MIN_DISTANCE).mean(1).log().numpy()  # (N,)
    z = np.empty(samples)
    for rows in chunks(samples, k * k):
        z[rows] = log_d[rows] - DENSITY * log_d[neighbors[rows].numpy()].mean(1)
        if labels is not None:
            z[rows] += DISAGREEMENT * vote_entropy(labels[neighbors[rows].numpy()])
    middle, high = np.quantile(z, [0.5, 0.8413])  # where a normal distribution has 0 and 1
    z = ((z - middle) / max(high - middle, 1e-6)).clip(-50, 50)
    return Outliers((1 / (1 + np.exp(LIMIT - z))).astype(np.float32))


def vote_entropy(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entropy of the labels (n, K) of each row, (n,) in nats: the mean of minus log the share of each one's label.

    Those below 0 do not count.
    """
    known = labels >= 0
    same = ((labels[:, :, None] == labels[:, None, :]) & known[:, None, :]).sum(2)  # (n, K)
    count = known.sum(1).clip(1)
    entropy: NDArray[np.float64] = -(np.log(same.clip(1) / count[:, None]) * known).sum(1) / count
    return entropy


def outliers_of(features: Tensor, labels: NDArray[np.int64] | None = None) -> Outliers:
    """`outlier_scores` of features (N, D) of which no neighbors are known."""
    neighbors, _ = knn_indices(features, min(AROUND, len(features) - 1))
    return outlier_scores(neighbors, cosine_distances(features, neighbors[:, :NEIGHBORS]), labels)


def find_outliers(features: Any, labels: Any = None) -> Outliers:
    """Samples that are unlike all others, and may belong to no class, from embeddings.

    Args:
        features: (N, D) numbers, of any network; scaled as you like.
        labels: N labels, which help and may be wrong: numbers or names; None, NaN or "" where there is none.

    Raises:
        InputError: a shape or a value does not fit.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(100, 8)) + 6 * np.eye(2, 8)[np.repeat([0, 1], 50)]
        >>> features[7] = -6
        >>> found = find_outliers(features)
        >>> found.ranking[0].item(), np.flatnonzero(found.is_outlier).tolist()
        (7, [7])
    """
    given = None if labels is None else encoded_labels(labels)[1]
    return outliers_of(checked_features(features, None if given is None else len(given)), given)
