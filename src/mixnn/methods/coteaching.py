"""Co-teaching: two networks, each of which picks the samples of small loss that the other one learns from.

Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", arXiv 1804.06872.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.methods.base import Method, Tables
from mixnn.models.classifier import Classifier


class CoTeaching(Method):
    """Two networks teach each other the samples of small loss in each batch; they do not make the same mistakes.

    Args:
        networks, labels, num_classes: see `Method`.
        forget_rate: τ, share of each batch that is left out in the end, from 0 to below 1; the paper's is the rate of
            the noise, which it takes for known. None estimates it, see `estimate_noise_rate`: anew in each epoch of
            `rampup` and a last time after.
        rampup: T_k, epochs in which the share grows from 0 to τ (paper: 10 of 200).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Han et al., arXiv 1804.06872"
    network_count = 2
    tables = Tables(probs=2, features=1, values=20)
    extra_passes, cost, cost_by_phase = "2, while the share grows", 2.1, "2.7, then 2"
    needs_noise_rate = "no, estimated (paper: yes)"
    verified_labels = "always among the samples that are picked, in front of all others"
    depends_on_rank = True
    short_options: ClassVar = {"rampup": 2}

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
        self.forget_rate, self.rampup = forget_rate, require_between("coteaching.rampup", rampup, 1)
        self.main_phase_start = 1
        self.register_buffer("estimate", torch.zeros(()))

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if self.forget_rate is None and 0 < epoch <= self.rampup:
            with self.phase("eval_pass"):
                probs = eval_pass(self.classifiers, data).probs  # (N, C)
            known = data.labels >= 0
            self.estimate.copy_(estimate_noise_rate(probs[known], data.labels[known]))
        tau = self.estimate.item() if self.forget_rate is None else self.forget_rate
        self.forgotten = min(epoch / self.rampup, 1) * tau  # 1 - R(T), epochs counted from 0
        self.metrics["clean_fraction"] = 1 - self.forgotten

    def forward(self, batch: Batch) -> Tensor:
        size = len(batch.y)  # of this rank's share of the batch
        verified = self.verified[batch.index]  # (B,), in front of all others
        count = verified.sum().clamp_min(max(size - int(self.forgotten * size), 1))  # R(T) · B
        loss_f, loss_g = (cross_entropy(network(batch.inputs), batch.y, reduction="none") for network in self.networks)
        # What each would learn from, D_f and D_g, as masks: how many there are, only the device knows.
        small_f, small_g = (places(loss.detach().masked_fill(verified, -1)) < count for loss in (loss_f, loss_g))
        return (loss_f.where(small_g, 0).sum() + loss_g.where(small_f, 0).sum()) / count


def places(values: Tensor) -> Tensor:
    """The place of each in their order, from 0 for the least: (B,) -> int64 (B,)."""
    return values.argsort(stable=True).argsort()


def estimate_noise_rate(probs: Tensor, labels: Tensor) -> Tensor:
    """About how many labels are wrong, in 0–1: those that differ where the prediction is surest.

    There it is nearly always right, even early on. The surest tenth of each predicted class stands for all of it, so
    that classes that are hard, and so seldom sure, count as well.

    Args:
        probs: (N, C), predictions for the training samples.
        labels: int64 (N,), the given ones.
    """
    confidence, predicted = probs.max(1)
    wrong = torch.zeros((), device=labels.device)
    for c in predicted.unique():
        rows = (predicted == c).nonzero()[:, 0]
        most_confident = rows[confidence[rows].topk(-(-len(rows) // 10)).indices]
        wrong += (labels[most_confident] != c).float().mean() * len(rows) / len(labels)
    return wrong
