"""Co-teaching: two networks, each of which picks the samples of small loss that the other one learns from.

Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", arXiv 1804.06872.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batch import Batch
from mixnn.data.train_data import TrainData
from mixnn.errors import InputError
from mixnn.functional import clean_probability, sample_losses
from mixnn.methods.base import Method
from mixnn.networks import Classifier
from mixnn.passes import full_pass


class CoTeaching(Method):
    """Two networks teach each other the samples of small loss in each batch; they do not make the same mistakes.

    Args:
        networks, labels, num_classes: see `Method`.
        forget_rate: τ, share of each batch that is left out in the end, from 0 to below 1; the paper's is the rate of
            the noise, which it takes for known. None estimates it: the share of wrong labels by the mixture of the
            losses, anew in each epoch of `rampup` and once after.
        rampup: T_k, epochs in which the share grows from 0 to τ (paper: 10 of 200).

    Raises:
        InputError: an option is out of its range.
    """

    network_count: ClassVar[int] = 2
    estimate: Tensor  # scalar, the latest τ of our own

    def __init__(
        self,
        networks: Sequence[Classifier],
        labels: Tensor,
        num_classes: int,
        *,
        forget_rate: float | None = None,
        rampup: int = 10,
    ) -> None:
        super().__init__(networks, labels, num_classes)
        if forget_rate is not None and not 0 <= forget_rate < 1:
            raise InputError(f"coteaching.forget_rate is {forget_rate}: use 0 to below 1, or leave it off")
        if rampup < 1:
            raise InputError(f"coteaching.rampup is {rampup}: use at least 1")
        self.forget_rate, self.rampup = forget_rate, rampup
        self.first_own_epoch = 1
        self.register_buffer("estimate", torch.zeros(()))

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if self.forget_rate is None and 0 < epoch <= self.rampup:
            self.estimate.copy_(self._wrong_share(data))
        tau = self.estimate.item() if self.forget_rate is None else self.forget_rate
        self.forgotten = min(epoch / self.rampup, 1) * tau  # 1 - R(T), epochs counted from 0
        self.figures["clean_share"] = 1 - self.forgotten

    def _wrong_share(self, data: TrainData) -> Tensor:
        """How many of the labels are wrong, by the mean of both networks."""
        known, shares = data.labels >= 0, []
        for network in self.classifiers:
            with self.phase("full_pass"):
                log_probs = full_pass(network, data).log_probs  # (N, C)
            with self.phase("mixture"):
                clean, _ = clean_probability(sample_losses(log_probs, data.labels.clamp_min(0)), known)
            shares.append(1 - clean[known].mean())
        return torch.stack(shares).mean()

    def forward(self, batch: Batch) -> Tensor:
        kept = len(batch.y) - int(self.forgotten * len(batch.y))  # R(T) · B, of this rank's share of the batch
        loss_f, loss_g = (cross_entropy(network(batch.inputs), batch.y, reduction="none") for network in self.networks)
        small_f = loss_f.detach().topk(kept, largest=False).indices  # what f would learn from: D_f
        small_g = loss_g.detach().topk(kept, largest=False).indices
        return loss_f[small_g].mean() + loss_g[small_f].mean()
