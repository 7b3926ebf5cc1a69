"""MixNN as its authors' public code has it, which the paper differs from.

He & Lu, "Mitigating Noisy Supervision Using Synthetic Samples with Soft Labels", arXiv 2406.16966; code for CIFAR only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import require_between
from mixnn.evidence.neighbors.search import nearest_neighbors
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import linear_loss, soft_cross_entropy
from mixnn.methods.mixing import ema, mix, mixing_weights, pair_weights, random_partners
from mixnn.methods.mixnn import MixNN
from mixnn.models.classifier import Classifier


class MixNNPublicCode(MixNN):
    """MixNN by its authors' code: neighbors from the batch, a plain warm-up, a linear loss until labels are corrected.

    Its epochs count from 1, these from 0. Features and predictions are those of a second, train-mode forward.

    Args:
        network, labels, num_classes: see `Method`.
        neighbors: K, other than the sample itself (its K = 2 counts that).
        warmup: epochs of cross-entropy, neither augmented nor shuffled (CIFAR-100: 29).
        mixup_until: first epoch that mixes with neighbors; up to then, partners are random.
        correct_from: first epoch that corrects labels; before it the loss is -p_y.
        correct_every: epochs from one correction to the next.
        alpha: α of the moving average, in 0–1.
        loss_window: the mixture sees the mean loss of so many passes (5 at 80 % noise).

    Raises:
        InputError: an option is out of its range, or K is not below the size of a batch.
    """

    tables = Tables(probs=4, features=1, values=30)
    extra_passes, cost, cost_by_phase = "1, from `mixup_until`", 1.5, "1, then 1.3, then 1.7"
    depends_on_rank = True
    short_options: ClassVar = {"warmup": 1, "mixup_until": 2, "correct_from": 1, "correct_every": 1}

    history: Tensor  # (loss_window, N) normalized losses of the latest passes, NaN where there was none

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        neighbors: int = 1,
        warmup: int = 9,
        mixup_until: int = 60,
        correct_from: int = 59,
        correct_every: int = 10,
        alpha: float = 0.9,
        loss_window: int = 1,
    ) -> None:
        super().__init__(
            network,
            labels,
            num_classes,
            neighbors=neighbors,
            warmup=warmup,
            mixup_until=mixup_until,
            correct_from=correct_from,
            alpha=alpha,
        )
        self.correct_every = require_between("mixnn_public_code.correct_every", correct_every, 1)
        require_between("mixnn_public_code.loss_window", loss_window, 1)
        self.gmm = {"max_iter": 10, "tol": 1e-2, "reg": 5e-4, "monotone": False}
        self.register_buffer("history", torch.full((loss_window, len(labels)), torch.nan))

    @property
    def correcting(self) -> bool:
        return super().correcting and (self.epoch - self.correct_from) % self.correct_every == 0

    @property
    def needs_pass(self) -> bool:
        remembering = self.stage != "warmup" and self.epoch > self.mixup_until - len(self.history)
        return super().needs_pass or remembering

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        Method.begin_epoch(self, epoch, data)
        require_between("mixnn_public_code.neighbors (in a batch)", self.neighbors, 0, data.smallest_batch - 1)
        if self.needs_pass:
            self._evaluate(data)

    def _losses(self, losses: Tensor) -> Tensor:
        self.history.copy_(torch.cat([self.history[1:], losses[None]]))
        return self.history.nanmean(0)

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        plain = self.stage == "warmup"
        return data.train_batches(epoch, shuffle=not plain, augment=not plain)

    def forward(self, batch: Batch) -> Tensor:
        x, t = batch.inputs, self.targets[batch.index]  # (B, …), (B, C)
        if self.stage == "warmup":
            return cross_entropy(self.network(x), batch.y)
        with torch.no_grad():
            z, logits = self.network.features_and_logits(x)  # (B, D), (B, C)
        if self.correcting:
            t = ema(t, logits.softmax(1), self.alpha).where(~self.verified[batch.index, None], t)
            self.targets.write(batch.index, t)
        if self.stage == "neighbors":
            near = nearest_neighbors(z, self.neighbors, metric="l2")  # (B, K)
            a = mixing_weights(self.clean[batch.index], near)  # (B, 1 + K)
        else:
            near, lam = random_partners(len(t), t.device)
            a = pair_weights(lam, len(t), t.device)
        loss = linear_loss if self.epoch < self.correct_from else soft_cross_entropy
        return loss(self.network(mix(x, x[near], a)), mix(t, t[near], a))
