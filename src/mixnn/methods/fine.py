"""FINE: train on the samples whose features lie along their class's main direction.

Kim, Ko, Cho, Choi & Yun, "FINE Samples for Learning with Noisy Labels", NeurIPS 2021, arXiv 2102.11628. The paper's
sample selection with one network; its F-Co-teaching and F-DivideMix put the same scores into other methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob
from mixnn.methods.base import Method, Tables
from mixnn.models.classifier import Classifier

MIN_PER_CLASS = 2  # samples that are left of a class, or it stays whole


class FINE(Method):
    """Cross-entropy on the samples whose features are aligned with the first eigenvector of their class.

    Args:
        network, labels, num_classes: see `Method`.
        warmup: epochs on all samples (authors' code: 40 of 120 for CIFAR, 1 of 10 for Clothing1M).
        zeta: ζ, clean are those whose probability is above it, in 0–1 (authors' code: 0.5).
        select_every: epochs from one selection to the next (authors' code: 10 for CIFAR, 1 for Clothing1M).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Kim et al., arXiv 2102.11628"
    tables = Tables(probs=1, features=4, values=20)
    extra_passes, cost_by_phase = "1, after warm-up", "clean share + 0.3; warm-up 1"
    verified_labels = "always selected"
    depends_on_rank = True
    short_options: ClassVar = {"warmup": 1}

    clean: Tensor  # bool (N,), the latest selection; all that have a label before the first one

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        warmup: int = 10,
        zeta: float = 0.5,
        select_every: int = 1,
    ) -> None:
        super().__init__(network, labels, num_classes)
        self.warmup = self.main_phase_start = require_between("fine.warmup", warmup, 0)
        self.zeta = require_between("fine.zeta", zeta, 0, 1)
        self.select_every = require_between("fine.select_every", select_every, 1)
        self.register_buffer("clean", labels >= 0)

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        since = epoch - self.warmup
        if since < 0:
            return
        if since % self.select_every == 0:
            with self.phase("eval_pass"):
                z = normalize(eval_pass([self.network], data).features)  # (N, D)
            with self.phase("mixture"):
                u = principal_components(z[self.clean], data.labels[self.clean], self.num_classes)  # (C, D)
                f = alignment(z, data.labels, u)  # (N,)
                self.clean.copy_(select(f, data.labels, self.zeta) | self.verified)
        self.metrics["clean_fraction"] = self.clean[data.labels >= 0].float().mean().item()

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        return data.train_batches(epoch, rows=self.clean.nonzero()[:, 0])

    def clean_labels(self) -> Tensor:
        return self.clean

    def forward(self, batch: Batch) -> Tensor:
        return cross_entropy(self.network(batch.inputs), batch.y)


def principal_components(z: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """u_k, the first eigenvector of Σ_k = Σ_{y_i = k} z_i z_iᵀ; its sign is open.

    Args:
        z: (n, D), features of unit length.
        labels: int64 (n,), 0 and above.

    Returns:
        (C, D), unit vectors, zero for a class without samples.

    Raises:
        InputError: a feature is not finite.
    """
    if not z.isfinite().all():
        raise InputError("the features are not finite: training diverged; use a lower --lr")
    u = z.new_zeros(num_classes, z.shape[1])
    for k in labels.unique().tolist():  # one at a time: no (C, D, D) table
        class_features = z[labels == k]
        u[k] = torch.linalg.eigh(class_features.T @ class_features).eigenvectors[:, -1]
    return u


def alignment(z: Tensor, labels: Tensor, u: Tensor) -> Tensor:
    """f_i = <u_{y_i}, z_i>²: `z` (N, D), `labels` int64 (N,), `u` (C, D) -> (N,), in 0–1 for unit vectors."""
    return (u[labels.clamp_min(0)] * z).sum(1).square()


def select(f: Tensor, labels: Tensor, zeta: float) -> Tensor:
    """Which labels are selected as clean: bool (N,), never one below 0.

    In each class a mixture of two Gaussians is fitted to `f` (N,), and those are taken whose probability to come
    from the upper one is above `zeta`. A class of which fewer than two would be left, or whose scores are all the
    same, stays whole: without it the network would forget it, and never take it back.
    """
    clean = torch.zeros_like(labels, dtype=torch.bool)
    for k in labels[labels >= 0].unique().tolist():
        in_class = labels == k
        # Upside down, since the mixture is one of losses; tol and reg as in the authors' code.
        chosen = loss_mixture_clean_prob(-f[in_class], tol=1e-6, reg=1e-6)[0] > zeta
        clean[in_class] = chosen if chosen.sum() >= MIN_PER_CLASS else torch.ones_like(chosen)
    return clean
