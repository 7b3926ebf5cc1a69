"""Label noise that depends on the image. Must not know: files, names of classes, torch.

Xia et al., "Part-dependent label noise" (arXiv 2006.07836), algorithm 2, as in their code: on raw pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.1  # deviation of the flip rates, in the paper
ROWS = 4096  # projected at once, to bound memory


def corrupt_by_image(
    labels: NDArray[np.int64], images: NDArray[Any], *, rate: float, classes: int, seed: int
) -> NDArray[np.int64]:
    """Draw a label for each sample, by its own flip rate and a random projection of its image.

    Each place has draws of its own: the first n labels are the same, however many follow. Sums are in float64, so
    that machines which add in another order give another label to fewer than one sample in 10^12.

    Args:
        labels: (N,); below 0 is no class, and stays.
        images: uint8 (N, H, W, 3), or float (N, D) embeddings.
        rate: the flip rates' mean, in 0–1; 0 leaves all labels as they are.
        classes: C.
    """
    inputs = images.reshape(len(images), -1)
    of_rates, of_labels, of_weights = (np.random.RandomState([seed, purpose]) for purpose in range(3))
    rates = flip_rates(len(labels), rate, of_rates)
    draws = of_labels.random_sample(len(labels))
    noisy = labels.copy()
    for label in range(classes):
        weights = of_weights.standard_normal((inputs.shape[1], classes))
        class_rows = np.flatnonzero(labels == label)
        for rows in (class_rows[start : start + ROWS] for start in range(0, len(class_rows), ROWS)):
            probs = wrong_classes(inputs[rows].astype(np.float64) @ weights, label) * rates[rows, None]
            probs[:, label] = 1 - rates[rows]
            drawn = (draws[rows, None] >= probs.cumsum(1)).sum(1)
            noisy[rows] = np.minimum(drawn, classes - 1)
    return noisy


def flip_rates(n: int, rate: float, random: np.random.RandomState) -> NDArray[np.float64]:
    """(n,) in 0–1, normal around `rate`; what falls outside is drawn again."""
    rates = np.empty(0)
    while len(rates) < n:
        more = random.normal(rate, SPREAD if rate > 0 else 0.0, size=n)
        rates = np.concatenate([rates, more[(more >= 0) & (more <= 1)]])
    return rates[:n]


def wrong_classes(scores: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """Softmax (n, C) over the classes other than `label`."""
    scores[:, label] = -np.inf
    probs = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(probs / probs.sum(1, keepdims=True), dtype=np.float64)
