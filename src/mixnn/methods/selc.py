"""SELC: labels give way to a moving average of predictions.

Lu & He, "SELC: Self-Ensemble Label Correction Improves Learning with Noisy Labels", IJCAI 2022, arXiv 2205.01156.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch
from mixnn.errors import require_between
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import ema
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class SELC(Method):
    """Self-ensemble label correction: from epoch E_s on, targets move from the labels to the predictions.

    Args:
        network, labels, num_classes: see `Method`.
        correct_from: E_s, first epoch that corrects, counted from 0; cross-entropy before (authors' code: 20 to 40
            of 200 for CIFAR, 5 of 40 for Clothing1M).
        alpha: α of the moving average, in 0–1 (authors' code: 0.9; for Clothing1M 0.8).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Lu & He, arXiv 2205.01156"
    tables = Tables(probs=4, values=20)
    verified_labels = "its target is never written"
    corrects_labels = True
    short_options: ClassVar = {"correct_from": 1}

    def __init__(
        self, network: Classifier, labels: Tensor, num_classes: int, *, correct_from: int = 10, alpha: float = 0.9
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.correct_from = self.main_phase_start = require_between("selc.correct_from", correct_from, 0)
        self.alpha = require_between("selc.alpha", alpha, 0, 1)
        self.targets = SampleTable(one_hot_or_uniform(labels, num_classes))  # t

    def forward(self, batch: Batch) -> Tensor:
        logits = self.network(batch.inputs)  # (B, C)
        if self.epoch < self.correct_from:
            return cross_entropy(logits, batch.y)
        t = self.targets[batch.index]  # (B, C)
        corrected = ema(t, logits.detach().softmax(1), self.alpha)  # this step's p in it
        t = t.where(self.verified[batch.index, None], corrected)
        self.targets.write(batch.index, t)
        return soft_cross_entropy(logits, t)

    def soft_targets(self) -> Tensor:
        return self.targets.rows
