"""Symmetric cross-entropy: the label judges the prediction, and the prediction judges the label.

Wang, Ma, Chen, Luo, Yi & Bailey, "Symmetric Cross Entropy for Robust Learning with Noisy Labels", arXiv 1908.06112.
"""

from __future__ import annotations

import math

from torch import Tensor

from mixnn.data.batches import Batch
from mixnn.errors import InputError, require_between
from mixnn.methods.base import Method
from mixnn.methods.losses import nll
from mixnn.models.classifier import Classifier


class SCE(Method):
    """Adds reverse cross-entropy, which is bounded and so withstands wrong labels, to cross-entropy, which fits.

    Args:
        network, labels, num_classes: see `Method`.
        alpha: α ≥ 0, weight of cross-entropy; low against overfitting, higher where a task is hard to fit
            (published: 0.1 for CIFAR-10, 6 for CIFAR-100).
        beta: β ≥ 0, weight of reverse cross-entropy (published: 1 for CIFAR-10, 0.1 for CIFAR-100).
        log_zero: A < 0, what log 0 is taken for (published: -4; the authors' code: log 1e-4 = -9.2).

    Raises:
        InputError: an option is out of its range, or alpha and beta are both 0.
    """

    paper = "Wang et al., arXiv 1908.06112"

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        log_zero: float = -4.0,
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.alpha, self.beta = require_between("sce.alpha", alpha, 0), require_between("sce.beta", beta, 0)
        if alpha == beta == 0:
            raise InputError("sce.alpha and sce.beta are 0: give one of them a weight above 0")
        if not -math.inf < log_zero < 0:
            raise InputError(f"sce.log_zero is {log_zero}: use a number below 0")
        self.log_zero = log_zero

    def forward(self, batch: Batch) -> Tensor:
        ce = nll(self.network(batch.inputs).log_softmax(1), batch.y)  # (B,), -log p_y
        # -Σ_c p_c log q_c with a one-hot q: log q_c is 0 at the label and A elsewhere, where 1 - p_y is.
        rce = self.log_zero * (-ce).expm1()  # (B,)
        return (self.alpha * ce + self.beta * rce).mean()
