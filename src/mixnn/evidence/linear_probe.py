"""Out-of-fold probabilities of a linear head on features: no head judges a sample whose label it has seen.

Softmax regression with a ridge, for all folds at once, by Nesterov's accelerated steps in the metric of Böhning's
bound on the Hessian (Ann. Inst. Statist. Math. 44, 1992): ½ XᵀX + λ I, one factor for each set of folds, whatever the
number of classes. Must not know: label quality, methods, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.evidence.pca import project, sampled_components
from mixnn.tables.topk_rows import VALUES

FOLDS = 5
WIDTH = 256  # principal components that a head sees
STEPS = 15
MIN_STEPS = 2
OPERATIONS = 1e11  # that the steps of one head may take, about: fewer steps where there are very many classes


def folds_of(labels: NDArray[np.int64], folds: int = FOLDS, seed: int = 0) -> Tensor:
    """A fold for every sample, int64 (N,): each class, and what has no label, spread evenly over all."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return torch.from_numpy(fold)


@torch.no_grad()
def whitened(features: Tensor, width: int = WIDTH) -> Tensor:
    """The `width` first principal components of rows at length one, each with a variance of one: float32 (N, ≤ width).

    Args:
        features: (N, D), any floating point.
    """
    return project(features, *whitening(features, width))


def whitening(features: Tensor, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """What `whitened` projects by: mean (D,) and directions, float64 (D, ≤ width)."""
    mean, values, vectors = sampled_components(features, width)
    keep_from = int((values < 1e-10 * values[-1]).sum())  # constant directions say nothing
    return mean, (vectors / values.clamp_min(1e-30).sqrt())[:, keep_from:]


class Whitened:
    """Rows of `whitened`; of very many features worked out for the rows that are asked for: no second table of them.

    Args:
        features: (N, D), any floating point.

    Example:
        >>> Whitened(torch.eye(3))[:2].shape
        torch.Size([2, 2])
    """

    @torch.no_grad()
    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.mean, self.directions = whitening(features)
        self.table = None if features.numel() > VALUES else project(features, self.mean, self.directions)

    @property
    def width(self) -> int:
        return self.directions.shape[1]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Tensor:
        return project(self.features[rows], self.mean, self.directions) if self.table is None else self.table[rows]


class LinearProbe:
    """Heads of one ridge, for any set of folds left out.

    Args:
        x: (N, D), see `whitened`.
        fold: int64 (N,).
        targets: (N, C) soft or one-hot; rows of zeros take no part.
        ridge: λ.
    """

    def __init__(self, x: Tensor, fold: Tensor, targets: Tensor, ridge: float = 100.0) -> None:
        self.x, self.fold, self.targets, self.ridge = with_ones(x), fold, targets, ridge
        self.taking = targets.sum(1) > 0
        self.folds = [(fold == f).nonzero()[:, 0] for f in range(int(fold.max()) + 1)]
        self.grams = [gram(self.x[rows[self.taking[rows]]]) for rows in self.folds]
        work = 4.0 * self.x.shape[0] * self.x.shape[1] * targets.shape[1]
        self.steps = int(min(STEPS, max(MIN_STEPS, OPERATIONS / work)))
        self.heads: list[Tensor] = []

    @torch.no_grad()
    def fit(self, left_out: Sequence[int], targets: Tensor | None = None, start: Tensor | None = None) -> Tensor:
        """Weights (D + 1, C) of the head that has not seen the folds `left_out`.

        Args:
            targets: (N, C) in place of those given at the beginning.
            start: weights to begin with.
        """
        targets = self.targets if targets is None else targets
        rows = torch.cat([self.folds[f] for f in range(len(self.folds)) if f not in left_out])
        rows = rows[self.taking[rows]]
        x, t = self.x[rows], targets[rows]
        total = sum((self.grams[f] for f in range(len(self.folds)) if f not in left_out), torch.zeros(()))
        ridge = torch.full((x.shape[1],), float(self.ridge))
        ridge[-1] = 1e-3  # the intercept is free
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(0.5 * total + torch.diag(ridge)))
        if start is None:
            start = torch.zeros(x.shape[1], t.shape[1])
            start[-1] = t.mean(0).clamp_min(1e-6).log()
        weights, ahead, momentum = start, start.clone(), 1.0
        for _ in range(self.steps):
            residual = (x @ ahead).softmax(1).sub_(t)
            gradient = x.T @ residual + ridge[:, None] * ahead
            new = ahead - inverse @ gradient
            faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = new + (momentum - 1) / faster * (new - weights)
            weights, momentum = new, faster
        return weights

    def fit_all(self, targets: Sequence[Tensor] | None = None, ridge: float | None = None) -> LinearProbe:
        """The same with a head for each fold, that has not seen it; of targets that may differ from fold to fold."""
        other = copy(self)
        other.ridge = self.ridge if ridge is None else ridge
        starts: Sequence[Tensor | None] = self.heads or [None] * len(self.folds)
        given = [self.targets] * len(self.folds) if targets is None else targets
        other.heads = [other.fit([f], given[f], start=starts[f]) for f in range(len(self.folds))]
        return other

    @torch.no_grad()
    def log_probs(self, x: Tensor | None = None, fold: Tensor | None = None) -> Tensor:
        """Of each sample by the head that has not seen its fold: float32 (n, C); of other samples where given."""
        x, fold = (self.x, self.fold) if x is None else (with_ones(x), fold)
        assert fold is not None
        out = torch.empty(len(x), self.heads[0].shape[1])
        for f, head in enumerate(self.heads):
            rows = (fold == f).nonzero()[:, 0]
            out[rows] = (x[rows] @ head).log_softmax(1)
        return out


def with_ones(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


def gram(x: Tensor) -> Tensor:
    return x.T @ x
