"""Mixup: train on random blends of two samples and of their labels.

Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch
from mixnn.errors import require_between
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier


class Mixup(Method):
    """Blends each sample with a random one of its batch: a wrong label is then rarely learned alone.

    Args:
        network, labels, num_classes: see `Method`.
        alpha: α of λ ~ Beta(α, α), 0.001 to 1000: the higher, the stronger the blend. 1, where λ is uniform, is the
            authors' for CIFAR (section 3.2) and usual against label noise; they took 8 and 32 there (table 2).

    Raises:
        InputError: alpha is out of its range.
    """

    paper = "Zhang et al., arXiv 1710.09412"
    depends_on_rank = True

    def __init__(self, network: Classifier, labels: Tensor, num_classes: int, *, alpha: float = 1.0) -> None:
        super().__init__(network, labels, num_classes)
        require_between("mixup.alpha", alpha, 1e-3, 1e3)  # beyond, draws from the Beta distribution lose their digits
        self.alpha = alpha

    def forward(self, batch: Batch) -> Tensor:
        x, y = batch.x, batch.y
        lam = Beta(self.alpha, self.alpha).sample().item()  # λ, one for the batch
        j = torch.randperm(len(y), device=y.device)  # whom each sample is blended with
        logits = self.network(lam * x + (1 - lam) * x[j])  # (B, C)
        return lam * cross_entropy(logits, y) + (1 - lam) * cross_entropy(logits, y[j])
