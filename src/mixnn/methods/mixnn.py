"""MixNN: mix each sample with its nearest neighbors, weighted by how probably each label is clean.

He & Lu, "Mitigating Noisy Supervision Using Synthetic Samples with Soft Labels", arXiv 2406.16966.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch, TrainData
from mixnn.distributed.ranks import shard
from mixnn.errors import require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.knn import knn_indices
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.evidence.neighbors.hnsw import require_faiss
from mixnn.evidence.neighbors.search import Backend, Metric
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import ema, mix, mixing_weights, neighbor_agreement, pair_weights, random_partners
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class MixNN(Method):
    """Mixes each sample with its nearest neighbors by clean probability, and corrects labels by a moving average.

    Epochs count from 0: cross-entropy before `warmup`, mixup with a random partner before
    `mixup_until`, mixing with neighbors from then on, correction from `correct_from`.

    Args:
        network, labels, num_classes: see `Method`.
        neighbors: K, other than the sample itself; 0 is plain training on soft targets.
        backend: of the neighbor search: "auto", "exact", "bfloat16", "ivf" or "hnsw" (the paper's, which needs the
            extra `ann`), see `nearest_neighbors`.
        metric: "l2" (the paper's) or "cosine".
        warmup: E_w, epochs of cross-entropy (paper: 10 for CIFAR-10, 30 for CIFAR-100).
        mixup_until: first epoch that mixes with neighbors; up to then, partners are random (paper: none are).
        correct_from: E_s, first epoch that corrects labels.
        alpha: α of the moving average, in 0–1 (Eq. 12; public code: 0.9).
        min_separation: leave all labels alone in epochs whose two components are closer than this, in units of
            their standard deviation (paper: 0).
        gmm_monotone: a loss outside the two means counts as the nearer mean (paper: no).

    Raises:
        InputError: an option is out of its range, or K ≥ N.
    """

    paper = "Lu & He, arXiv 2406.16966"
    tables = Tables(probs=7, features=2, values=30)
    extra_passes, cost, cost_by_phase = "1, from `mixup_until`", 1.4, "1, then 1.3"
    verified_labels = "its clean probability is 1, its target is never written"
    corrects_labels = True
    uses_loss_mixture = True
    short_options: ClassVar = {"warmup": 1, "mixup_until": 0, "correct_from": 1}

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        neighbors: int = 1,
        backend: Backend = "auto",
        metric: Metric = "l2",
        warmup: int = 10,
        mixup_until: int = 20,
        correct_from: int = 20,
        alpha: float = 0.95,
        min_separation: float = 0.0,
        gmm_monotone: bool = True,
    ) -> None:
        super().__init__(network, labels, num_classes)
        section = type(self).__module__.rpartition(".")[2]
        self.neighbors = require_between(f"{section}.neighbors", neighbors, 0, len(labels) - 1)
        self.alpha = require_between(f"{section}.alpha", alpha, 0, 1)
        self.warmup = require_between(f"{section}.warmup", warmup, 0)
        self.mixup_until = require_between(f"{section}.mixup_until", mixup_until, 0)
        self.correct_from = require_between(f"{section}.correct_from", correct_from, 0)
        self.min_separation = require_between(f"{section}.min_separation", min_separation, 0)
        if backend == "hnsw":
            require_faiss()
        self.backend, self.metric = backend, metric
        self.main_phase_start = max(warmup, mixup_until)
        self.gmm: dict[str, Any] = {"monotone": gmm_monotone, "min_separation": min_separation}
        self.targets = SampleTable(one_hot_or_uniform(labels, num_classes))  # t
        self.clean = torch.ones(len(labels))  # w, anew in every epoch that needs it

    @property
    def stage(self) -> Literal["warmup", "mixup", "neighbors"]:
        if self.epoch < self.warmup:
            return "warmup"
        return "mixup" if self.epoch < self.mixup_until else "neighbors"

    @property
    def correcting(self) -> bool:
        """Whether this epoch corrects labels."""
        return self.stage != "warmup" and self.epoch >= self.correct_from

    @property
    def needs_pass(self) -> bool:
        """Whether this epoch begins with a full pass."""
        return self.stage == "neighbors" or self.correcting

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if not self.needs_pass:
            return
        z, p = self._evaluate(data)  # (N, D), (N, C)
        if self.stage == "neighbors":
            with self.phase("neighbors"):
                self.nearest = self._search(z, data.labels)  # (N, K)
            t = self.targets.rows
            informative = (data.labels >= 0) | (t.amax(1) > t.amin(1))  # not the uniform target of an unlabeled sample
            self.weights = mixing_weights(self.clean, self.nearest, informative)  # a (N, 1 + K)
        if self.correcting and self.separated:  # takes effect when the epoch ends
            rows = torch.arange(len(data), device=data.labels.device)[shard(len(data))]
            rows = rows[~self.verified[rows]]
            self.targets.write(rows, ema(self.targets[rows], p[rows], self.alpha))

    def _evaluate(self, data: TrainData) -> tuple[Tensor, Tensor]:
        """A full pass: z (N, D) and p (N, C); and w (N,) from each loss against the current label, argmax t."""
        labeled = data.labels >= 0
        with self.phase("eval_pass"):
            z, p, log_p = eval_pass([self.network], data, labels=self.targets.rows.argmax(1))
        with self.phase("mixture"):
            losses = self._losses(min_max(-log_p[:, 0], labeled))  # l (N,)
            w, mixture = loss_mixture_clean_prob(losses, labeled, normalized=True, **self.gmm)
            self.clean = w.masked_fill(self.verified, 1.0)
        self.losses = losses.where(labeled, torch.nan)
        self.separated = mixture is not None and mixture.separation >= self.min_separation
        self.metrics["clean_fraction"] = w[labeled].gt(0.5).float().mean().item()
        if mixture is not None:
            self.mixture = torch.stack(mixture[:3])
            self.metrics["mixture_low"], self.metrics["mixture_high"] = mixture.means.tolist()
            self.metrics["mixture_separation"] = mixture.separation
        return z, p

    def _losses(self, losses: Tensor) -> Tensor:
        """What the mixture is fitted to, (N,), given the normalized losses of this epoch's pass."""
        return losses

    def _search(self, z: Tensor, labels: Tensor) -> Tensor:
        """The neighbors of every sample, int64 (N, K)."""
        nearest, info = knn_indices(z, self.neighbors, metric=self.metric, backend=self.backend)
        self.auto_selected["neighbors"] = info.search
        self.metrics |= info.metrics
        if self.neighbors > 0:
            agreement = neighbor_agreement(labels, nearest)[labels >= 0]
            self.metrics["neighbor_agreement"] = agreement.mean().item()
        return nearest

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        return data.train_batches(epoch, partners=self.nearest if self.stage == "neighbors" else None)

    def forward(self, batch: Batch) -> Tensor:
        if self.stage == "warmup":
            return cross_entropy(self.network(batch.inputs), batch.y)
        t = self.targets[batch.index]  # (B, C)
        if self.stage == "mixup":
            partners, lam = random_partners(len(t), t.device)  # (B, 1)
            x_near, t_near = batch.inputs[partners], t[partners]  # (B, 1, …), (B, 1, C)
            a = pair_weights(lam, len(t), t.device)  # (B, 2)
        else:
            assert batch.partners is not None
            x_near, t_near = batch.partners.inputs, self.targets[batch.partners.index]  # (B, K, …), (B, K, C)
            a = self.weights[batch.index]  # (B, 1 + K)
        return soft_cross_entropy(self.network(mix(batch.inputs, x_near, a)), mix(t, t_near, a))

    def clean_labels(self) -> Tensor:
        return self.clean == 1

    def soft_targets(self) -> Tensor:
        return self.targets.rows
