"""A linear classifier that is fitted to probabilities in place of labels. Must not know: label quality, files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.evidence.linear_probe import LinearProbe, folds_of, whitening
from mixnn.evidence.pca import project
from mixnn.label_quality.sampling import head_samples, sampled_rows

RIDGES = (0.3, 1.0, 3.0)  # that are compared, times the root of how many samples it is fitted to
MIN_LENGTH = 1e-12  # of a row that has a direction


class LinearClassifier(NamedTuple):
    """Softmax regression on rows at length one; numpy alone, so that predictions need no torch.

    Attributes:
        coef: float64 (D, C).
        intercept: float64 (C,).
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def predict_proba(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, D) -> (N, C), rows sum to one."""
        x = features.astype(np.float64)
        logits = x / np.linalg.norm(x, axis=1, keepdims=True).clip(MIN_LENGTH) @ self.coef + self.intercept
        odds = np.exp(logits - logits.max(1, keepdims=True))
        probs: NDArray[np.float64] = odds / odds.sum(1, keepdims=True)
        return probs


@torch.no_grad()
def fit_linear_classifier(features: Tensor, targets: NDArray[np.floating]) -> LinearClassifier:
    """The classifier of the ridge whose out-of-fold predictions fit the targets best.

    Args:
        features: (N, D).
        targets: (N, C), rows sum to one, or hold zeros where a sample is left out.

    Example:
        >>> x = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0]]).repeat(5, 1)
        >>> fitted = fit_linear_classifier(x, np.eye(2)[[0, 0, 1, 1] * 5])
        >>> fitted.predict_proba(np.array([[2.0, 0.0], [0.0, 3.0]])).argmax(1).tolist()
        [0, 1]
    """
    classes = targets.shape[1]
    likeliest = np.where(targets.sum(1) > 0, targets.argmax(1), -1)
    rows = sampled_rows(likeliest, classes, classes * head_samples(classes))
    mean, directions = whitening(features)
    x, wanted = project(features[rows], mean, directions), torch.from_numpy(targets[rows].astype(np.float32))
    probe = LinearProbe(x, folds_of(likeliest[rows]), wanted)
    heads = [probe.fit_all(ridge=ridge * len(rows) ** 0.5) for ridge in RIDGES]
    best = max(heads, key=lambda head: float((head.log_probs() * wanted).sum()))
    weights = best.fit([]).double()  # (M + 1, C), the intercept last
    coef = directions.double() @ weights[:-1]
    return LinearClassifier(coef.numpy(), (weights[-1] - mean.double() @ coef).numpy())
