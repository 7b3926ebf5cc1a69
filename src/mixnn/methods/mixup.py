"""Mixup: train on random blends of two samples and of their labels.

Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412.
"""

from __future__ import annotations

from torch import Tensor

from mixnn.data.batches import Batch
from mixnn.errors import require_between
from mixnn.methods.base import Method
from mixnn.methods.mixing import BETA_RANGE, mixup_loss
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
        self.alpha = require_between("mixup.alpha", alpha, *BETA_RANGE)

    def forward(self, batch: Batch) -> Tensor:
        return mixup_loss(self.network, batch.x, batch.y, self.alpha)
