"""Co-learning: a supervised and a self-supervised head on one encoder hold each other to what the images say.

Tan, Xia, Wu & Li, "Co-learning: Learning from Noisy Labels with Self-supervision", ACM MM 2021, arXiv 2108.04063.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import require_between
from mixnn.methods.base import Method
from mixnn.methods.mixing import BETA_RANGE, mixup_loss
from mixnn.models.classifier import Classifier


class CoLearning(Method):
    """Mixup on the given labels, contrast of two views, and the same structure in both heads.

    The network's own head is the supervised one and predicts alone; the projection serves training only.

    Args:
        network, labels, num_classes: see `Method`.
        mixup_alpha: α of λ ~ Beta(α, α), 0.001 to 1000 (public code: 5).
        temperature: τ ≥ 0.001 of the contrast (public code: 0.5).
        sigma: σ ≥ 0.001, how far two samples may lie apart and still count as similar (paper: 0.5; public code: 0.71).
        projection_width: P ≥ 1, outputs of the self-supervised head (public code: 512).
        contrast_weight: ≥ 0, of L_int in the loss (Eq. 4: 1).
        structure_weight: ≥ 0, of L_str in the loss (Eq. 4: 1).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Tan et al., arXiv 2108.04063"
    cost = 3.0
    depends_on_rank = True
    short_options: ClassVar = {"projection_width": 32}

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        mixup_alpha: float = 5.0,
        temperature: float = 0.5,
        sigma: float = 0.5,
        projection_width: int = 512,
        contrast_weight: float = 1.0,
        structure_weight: float = 1.0,
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.mixup_alpha = require_between("colearning.mixup_alpha", mixup_alpha, *BETA_RANGE)
        self.temperature = require_between("colearning.temperature", temperature, 1e-3)
        self.sigma = require_between("colearning.sigma", sigma, 1e-3)
        self.contrast_weight = require_between("colearning.contrast_weight", contrast_weight, 0)
        self.structure_weight = require_between("colearning.structure_weight", structure_weight, 0)
        require_between("colearning.projection_width", projection_width, 1, 65536)
        width = self.network.head.in_features  # D
        self.projection = nn.Sequential(  # h
            nn.Linear(width, width, bias=False), nn.ReLU(), nn.Linear(width, projection_width)
        )

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        return data.train_batches(epoch, views=2)

    def forward(self, batch: Batch) -> Tensor:
        assert batch.partners is not None
        size = len(batch.index)
        views = torch.cat([batch.inputs, batch.partners.inputs[:, 0]])  # (2B, …)
        u, y = self.network.features_and_logits(views)  # (2B, D), (2B, C)
        v = self.projection(u)  # (2B, P)
        intrinsic = contrastive_loss(v[:size], v[size:], self.temperature)
        structural = structural_loss(v[:size].detach(), y[:size], self.sigma)  # the labels do not move the projection
        supervised = mixup_loss(self.network, batch.x, batch.y, self.mixup_alpha)  # L_sup (Eq. 6–8)
        return supervised + self.contrast_weight * intrinsic + self.structure_weight * structural


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """L_int, which tells the other view of an image from all other images (Eq. 9, 10).

    Each of the 2B projections picks its own other view out of the 2B - 1 others by cosine similarity; SimCLR's
    NT-Xent, as in the public code, the mean over all where the paper has the sum.

    Args:
        first, second: (B, P), two views of the same B images.
        temperature: τ.
    """
    v = normalize(torch.cat([first, second]), dim=1)  # (2B, P)
    similarity = (v @ v.T / temperature).fill_diagonal_(-torch.inf)  # (2B, 2B), nobody is its own view
    return cross_entropy(similarity, torch.arange(len(v), device=v.device).roll(len(first)))


def structural_loss(v: Tensor, y: Tensor, sigma: float) -> Tensor:
    """L_str, which draws together in `y` what lies together in `v`: Σ p(d_v) log(p(d_v) / p(d_y)) (Eq. 11, 12).

    Distances become similarities by p(d) = exp(-d² / 2σ²); the mean over all B² pairs where the paper has the sum.

    Args:
        v: (B, P), projections.
        y: (B, C), logits.
        sigma: σ.
    """
    d_v, d_y = squared_distances(v) / (2 * sigma**2), squared_distances(y) / (2 * sigma**2)  # (B, B)
    return ((-d_v).exp() * (d_y - d_v)).mean()


def squared_distances(x: Tensor) -> Tensor:
    """Between all rows of `x` (B, D): (B, B), ≥ 0."""
    x = x - x.mean(0)  # the smaller the numbers, the less their squares cancel
    squares = x.square().sum(1)
    return (squares[:, None] + squares - 2 * x @ x.T).clamp_min(0)
