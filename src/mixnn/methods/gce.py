"""Generalized cross-entropy: a loss between cross-entropy, which fits, and absolute error, which withstands noise.

Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
arXiv 1805.07836.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import gce_loss, nll
from mixnn.models.classifier import Classifier


class GCE(Method):
    """L_q loss: samples that the network disagrees with weigh less than in cross-entropy.

    Args:
        network, labels, num_classes: see `Method`.
        q: from 0.001, next to cross-entropy, to 1, which is mean absolute error (paper: 0.7).
        k: truncates the loss (section 3.3): labels that got a probability up to k do not train at all. From 0, which
            is no truncation, to below 1 (paper: both, with k 0.5).
        prune_from: first epoch with a truncated loss (paper: a third or half of the run: 40 of 120 for CIFAR-10).
        prune_every: epochs from one choice of these labels to the next (paper: 10 of 120).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Zhang & Sabuncu, arXiv 1805.07836"
    tables = Tables(probs=1, features=1, values=20)
    extra_passes = "– (`k` > 0: 1 every `prune_every`)"
    short_options: ClassVar = {"k": 0.3, "prune_from": 1, "prune_every": 2}
    verified_labels = "never pruned (`k` > 0); the loss itself stays what it is"

    kept: Tensor  # (N,) bool, w: whose label trains

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        q: float = 0.7,
        k: float = 0.0,
        prune_from: int = 15,
        prune_every: int = 5,
    ) -> None:
        super().__init__(network, labels, num_classes)
        if not 0 <= k < 1:
            raise InputError(f"gce.k is {k}: use a number from 0 to below 1")
        self.q, self.k = require_between("gce.q", q, 1e-3, 1), k
        self.prune_from = require_between("gce.prune_from", prune_from, 0)
        self.prune_every = require_between("gce.prune_every", prune_every, 1)
        self.register_buffer("kept", torch.ones(len(labels), dtype=torch.bool))

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        since = epoch - self.prune_from
        if self.k == 0 or since < 0:
            return
        labeled = data.labels >= 0
        if since % self.prune_every == 0:
            with self.phase("eval_pass"):
                p = eval_pass([self.network], data).log_label[:, 0].exp()  # (N,), of the given label
            self.kept.copy_((p > self.k) | self.verified)
        self.metrics["clean_fraction"] = self.kept[labeled].float().mean().item()

    def clean_labels(self) -> Tensor:
        return self.kept

    def forward(self, batch: Batch) -> Tensor:
        log_p = -nll(self.network(batch.inputs).log_softmax(1), batch.y)  # (B,), of the given label
        loss = gce_loss(log_p, self.q)  # (B,)
        bound = (1 - self.k**self.q) / self.q  # L_q(k)
        return loss.where(self.kept[batch.index], bound).mean()
