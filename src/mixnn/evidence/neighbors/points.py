"""Features as a search compares them. Must not know: how it searches, methods, ranks."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from mixnn.evidence.pca import principal_components
from mixnn.tables.topk_rows import chunks


class Points:
    """Features as they are compared, worked out for the rows that are asked for: no second table of them all.

    They are float32, whatever the features are, of length 1 for "cosine", and around their mean: distances do not
    change with the origin, and rounding is least there.
    """

    def __init__(self, features: Tensor, metric: str) -> None:
        self.features = features
        self.lengths = features.new_empty(len(features), dtype=torch.float32) if metric == "cosine" else None  # (N,)
        self.components: Tensor | None = None  # (D, M)
        self.center = features.new_zeros(features.shape[1], dtype=torch.float32)  # (D,)
        sums = torch.zeros_like(self.center)
        for part in chunks(*self.features.shape):
            if self.lengths is not None:
                self.lengths[part] = features[part].float().norm(dim=1).clamp_min(1e-12)
            sums += self[part].sum(0)  # as they are, while the center is 0
        self.center = sums / len(features)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        x = self.features[rows].float()
        if self.lengths is not None:
            x = x / self.lengths[rows][..., None]
        x = x - self.center
        return x if self.components is None else x @ self.components

    @property
    def width(self) -> int:
        return (self.features if self.components is None else self.components).shape[1]

    def pca_project(self, count: int) -> Points:
        """The same points by their first principal components."""
        seen = copy(self)
        _, directions = principal_components((self[rows] for rows in chunks(*self.features.shape)), count)
        seen.components = directions.float()  # (D, M)
        return seen
