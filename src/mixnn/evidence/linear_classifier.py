"""A linear classifier that is fitted to probabilities in place of labels. Must not know: label issues, files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mixnn.evidence.linear_probe import LinearProbe, folds_of
from mixnn.evidence.pca import SAMPLED, principal_components
from mixnn.label_quality.sampling import head_samples, sampled_rows

WIDTH = 512  # principal components that it sees
RIDGES = (0.01, 0.03, 0.1, 0.3)  # that are compared, times the root of how many samples it is fitted to
STEPS = 2  # times as many as the heads take that are fitted in great number


class LinearClassifier(NamedTuple):
    """Softmax regression; numpy alone, so that predictions need no torch.

    Attributes:
        coef: float64 (D, C).
        intercept: float64 (C,).
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def predict_proba(self, features: NDArray[np.number]) -> NDArray[np.float64]:
        """(N, D) -> (N, C), rows sum to one."""
        logits = features.astype(np.float64) @ self.coef + self.intercept
        odds = np.exp(logits - logits.max(1, keepdims=True))
        probs: NDArray[np.float64] = odds / odds.sum(1, keepdims=True)
        return probs


@torch.no_grad()
def fit_linear_classifier(features: NDArray[np.number], targets: NDArray[np.floating]) -> LinearClassifier:
    """The classifier of the ridge whose out-of-fold predictions fit the targets best.

    It sees principal components as large as they are: small ones hold less of the class, and the ridge holds them down.

    Args:
        features: (N, D), columns of a like size.
        targets: (N, C), rows sum to one, or hold zeros where a sample is left out.

    Example:
        >>> x = np.array([[1, 0.1], [1, 0], [0, 1], [0.1, 1]] * 5)
        >>> fitted = fit_linear_classifier(x, np.eye(2)[[0, 0, 1, 1] * 5])
        >>> fitted.predict_proba(np.array([[2, 0], [0, 3]])).argmax(1).tolist()
        [0, 1]
    """
    classes = targets.shape[1]
    likeliest = np.where(targets.any(1), targets.argmax(1), -1)
    rows = sampled_rows(likeliest, classes, classes * head_samples(classes))
    x = features[rows].astype(np.float64)
    mean, scale = x.mean(0), x.std() or 1.0
    z = torch.from_numpy(((x - mean) / scale).astype(np.float32))
    sizes, directions = principal_components([z[:: max(1, len(z) // SAMPLED)]], min(WIDTH, len(z)))
    directions /= sizes.mean().clamp_min(1e-12).sqrt()
    wanted = torch.from_numpy(targets[rows].astype(np.float32))
    probe = LinearProbe(z @ directions.float(), folds_of(likeliest[rows]), wanted)
    probe.steps *= STEPS
    heads = [probe.fit_all(ridge=ridge * len(rows) ** 0.5) for ridge in RIDGES]
    best = max(heads, key=lambda head: float((head.log_probs() * wanted).sum()))
    weights = best.fit([]).double()  # (M + 1, C), the intercept last
    coef = (directions @ weights[:-1]).numpy() / scale
    return LinearClassifier(coef, weights[-1].numpy() - mean @ coef)
