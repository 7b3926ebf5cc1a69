"""ELR: hold predictions close to what the network said early on.

Liu, Niles-Weed, Razavian & Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of Noisy
Labels", NeurIPS 2020, arXiv 2007.00151. One network; the paper's ELR+ has two of them, with mixup.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch
from mixnn.errors import require_between
from mixnn.methods.base import Method, Tables
from mixnn.methods.mixing import ema
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable

LOW = 1e-4  # the authors' code cuts p to LOW to 1 - LOW, so that log(1 - <p, t>) stays finite


class ELR(Method):
    """Early-learning regularization: cross-entropy, and a pull towards each sample's earlier predictions.

    Args:
        network, labels, num_classes: see `Method`.
        beta: β of the moving average of predictions, in 0–1 (the paper: 0.7; for CIFAR-100 0.9).
        lam: λ, weight of the pull, at least 0 (the paper: 3; for CIFAR-100 7).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Liu et al., arXiv 2007.00151"
    tables = Tables(probs=4, values=20)
    verified_labels = "no pull away from it: plain cross-entropy"

    def __init__(
        self, network: Classifier, labels: Tensor, num_classes: int, *, beta: float = 0.7, lam: float = 3.0
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.beta, self.lam = require_between("elr.beta", beta, 0, 1), require_between("elr.lam", lam, 0)
        self.targets = SampleTable(torch.zeros(len(labels), num_classes))  # t, zero as in the authors' code

    def forward(self, batch: Batch) -> Tensor:
        logits = self.network(batch.inputs)  # (B, C)
        p = logits.softmax(1).clamp(LOW, 1 - LOW)
        probs = p.detach()
        t = ema(self.targets[batch.index], probs / probs.sum(1, keepdim=True), self.beta)  # (B, C), this step's p in it
        self.targets.write(batch.index, t)
        pull = torch.log1p(-(p * t).sum(1)).masked_fill(self.verified[batch.index], 0)  # (B,)
        return cross_entropy(logits, batch.y) + self.lam * pull.mean()

    def soft_targets(self) -> Tensor:
        t = self.targets.rows + 1e-12  # uniform where nothing was ever said
        return t / t.sum(1, keepdim=True)
