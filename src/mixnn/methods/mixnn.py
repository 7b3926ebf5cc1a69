"""MixNN: mix each sample with its nearest neighbors, weighted by how probably each label is clean.

He & Lu, "Mitigating Noisy Supervision Using Synthetic Samples with Soft Labels", arXiv 2406.16966.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch, TrainData
from mixnn.distributed.ranks import gather_rows, shard
from mixnn.errors import require_between
from mixnn.evidence.feature_bank import Bank, Origin
from mixnn.evidence.loss_mixture import clean_probability, min_max
from mixnn.evidence.neighbors.search import Backend, Metric, nearest_neighbors, require_backend
from mixnn.evidence.neighbors.sharded import search_share
from mixnn.methods.base import Method
from mixnn.methods.losses import linear_loss, sample_losses, soft_cross_entropy, soft_labels
from mixnn.methods.mixing import ema, mix, mixing_weights, neighbor_agreement, pair_weights
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class MixNN(Method):
    """Mixes each sample with its nearest neighbors by clean probability, and corrects labels on the way.

    Epochs count from 0: cross-entropy before `warmup`, mixup with a random partner before
    `mixup_until`, mixing with neighbors from then on, correction from `correct_from`.

    Args:
        network, labels, num_classes: see `Method`.
        neighbors: K, other than the sample itself; 0 is plain training on soft targets.
        scope: neighbors from the whole "dataset", by the full pass (the paper), or from the "batch",
            by a second train-mode forward of it (the public code).
        backend: of the neighbor search: "auto", "exact", "bfloat16", "ivf" or "hnsw" (the paper's), see
            `nearest_neighbors`; the last two need the extra `ann`.
        metric: "l2" (the paper's) or "cosine".
        bank: features and predictions come from a "pass" over all samples (the paper), or from the "steps", see `Bank`.
        bank_every: epochs from one pass to the next; in between neighbors and p stay, losses follow the targets.
        warmup: E_w, epochs of cross-entropy (paper: 10 for CIFAR-10, 30 for CIFAR-100).
        warmup_plain: warm up without augmentation and shuffling (the public code).
        mixup_until: first epoch that mixes with neighbors (public code: 60); up to then, partners are random.
        early_loss: before correction starts, "ce" or "linear", the public code's -p_y.
        correct_from: E_s, first epoch that corrects labels (public code: 60 of 300).
        correct_every: epochs from one correction to the next (public code: 10).
        alpha: α of the moving average, in 0–1 (Eq. 12; public code: 0.9).
        loss_window: the mixture sees the mean loss of so many passes (public code: 5 at 80 % noise).
        min_separation: leave all labels alone in epochs whose two humps are closer than this, in units of
            their spread (the paper and the public code: 0).
        gmm_max_iter, gmm_tol, gmm_reg, gmm_monotone: of the mixture, see `clean_probability`
            (public code: 10, 1e-2, 5e-4, False).

    Raises:
        InputError: an option is out of its range, or K ≥ N.
    """

    history: Tensor  # (loss_window, N) normalized losses of the latest passes, NaN where there was none

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        neighbors: int = 1,
        scope: Literal["dataset", "batch"] = "dataset",
        backend: Backend = "auto",
        metric: Metric = "l2",
        bank: Origin = "pass",
        bank_every: int = 1,
        warmup: int = 10,
        warmup_plain: bool = False,
        mixup_until: int = 20,
        early_loss: Literal["ce", "linear"] = "ce",
        correct_from: int = 20,
        correct_every: int = 1,
        alpha: float = 0.95,
        loss_window: int = 1,
        min_separation: float = 0.0,
        gmm_max_iter: int = 100,
        gmm_tol: float = 1e-3,
        gmm_reg: float = 5e-4,
        gmm_monotone: bool = True,
    ) -> None:
        super().__init__(network, labels, num_classes)
        require_between("mixnn.neighbors", neighbors, 0, len(labels) - 1)
        require_between("mixnn.alpha", alpha, 0, 1)
        for name, value in {"warmup": warmup, "mixup_until": mixup_until, "correct_from": correct_from}.items():
            require_between(f"mixnn.{name}", value, 0)
        for name, value in {"correct_every": correct_every, "loss_window": loss_window}.items():
            require_between(f"mixnn.{name}", value, 1)
        require_between("mixnn.gmm_max_iter", gmm_max_iter, 1)
        require_between("mixnn.gmm_tol", gmm_tol, 0)
        require_between("mixnn.gmm_reg", gmm_reg, 1e-12)
        require_between("mixnn.min_separation", min_separation, 0)
        require_backend(backend)
        self.neighbors, self.scope, self.backend, self.metric = neighbors, scope, backend, metric
        self.bank = Bank(bank, bank_every, self.network, labels, num_classes, name="mixnn")
        self.nearest: Tensor | None = None  # int64 (N, K)
        self.warmup, self.warmup_plain = warmup, warmup_plain
        self.first_own_epoch = max(warmup, mixup_until)
        self.mixup_until, self.early_loss = mixup_until, early_loss
        self.correct_from, self.correct_every, self.alpha = correct_from, correct_every, alpha
        self.clean_probability = partial(
            clean_probability,
            normalized=True,
            max_iter=gmm_max_iter,
            tol=gmm_tol,
            reg=gmm_reg,
            monotone=gmm_monotone,
            min_separation=min_separation,
        )
        self.targets = SampleTable(soft_labels(labels, num_classes))  # t
        self.register_buffer("history", torch.full((loss_window, len(labels)), torch.nan))
        self.min_separation, self.unsure = min_separation, False
        self.clean = torch.ones(len(labels))  # w, anew in every epoch that needs it

    @property
    def stage(self) -> Literal["warmup", "mixup", "neighbors"]:
        if self.epoch < self.warmup:
            return "warmup"
        return "mixup" if self.epoch < self.mixup_until else "neighbors"

    @property
    def correcting(self) -> bool:
        """Whether this epoch corrects labels."""
        since = self.epoch - self.correct_from
        return self.stage != "warmup" and since >= 0 and since % self.correct_every == 0

    @property
    def looking(self) -> bool:
        """Whether this epoch needs the full pass: to mix, to correct, or to remember losses for the mixture."""
        remembering = self.epoch > self.mixup_until - len(self.history)
        return self.stage != "warmup" and (self.stage == "neighbors" or self.correcting or remembering)

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if self.scope == "batch":
            require_between("mixnn.neighbors (in a batch)", self.neighbors, 0, data.smallest_batch - 1)
        if not self.looking:
            return
        with self.phase("full_pass"):
            features, log_probs = self.bank.look(self.network, data, epoch)  # z (N, D), log p (N, C)
        with self.phase("mixture"):
            self.clean = self._judge(log_probs, data.labels >= 0)  # w (N,)
        if self.scope == "batch":
            return
        if self.stage == "neighbors":
            if self.bank.renewed or self.nearest is None:
                with self.phase("neighbors"):
                    self.nearest = self._search(features)
            self.weights = mixing_weights(self.clean, self.nearest, self._telling(data.labels))  # a (N, 1 + K)
            if self.neighbors > 0:
                agreement = neighbor_agreement(data.labels, self.nearest)[data.labels >= 0]
                self.figures["neighbor_agreement"] = agreement.mean().item()
        if self.correcting and not self.unsure:  # takes effect when the epoch ends
            rows = torch.arange(len(data), device=data.labels.device)[shard(len(data))]
            rows = rows[~self.certain[rows]]
            self.targets.write(rows, ema(self.targets[rows], log_probs[rows].exp(), self.alpha))

    def _judge(self, log_probs: Tensor, labeled: Tensor) -> Tensor:
        """The clean probability of every sample from its loss against its current label; `labeled` (N,) had one."""
        t = self.targets.rows
        losses = sample_losses(log_probs, t.argmax(1))
        self.history.copy_(torch.cat([self.history[1:], min_max(losses, labeled)[None]]))
        seen = self.history.nanmean(0)
        clean, mixture = self.clean_probability(seen, labeled)
        self.losses = seen.where(labeled, torch.nan)
        self.unsure = mixture is None or mixture.separation < self.min_separation
        self.figures["clean_share"] = clean[labeled].gt(0.5).float().mean().item()
        if mixture is not None:
            self.mixture = torch.stack(mixture[:3])
            self.figures["mixture_low"], self.figures["mixture_high"] = mixture.means.tolist()
            self.figures["mixture_separation"] = mixture.separation
        return clean.masked_fill(self.certain, 1.0)

    def _telling(self, labels: Tensor) -> Tensor:
        """Whose target says something, (N,); not that of an unlabeled sample before its first correction."""
        t = self.targets.rows
        return (labels >= 0) | (t.amax(1) > t.amin(1))

    def _search(self, features: Tensor) -> Tensor:
        """The neighbors of every sample; each rank searches for its share."""
        near, how = search_share(features, self.neighbors, metric=self.metric, backend=self.backend)
        self.choices["neighbors"] = how.search
        self.figures |= how.figures
        return gather_rows(near)

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        if self.stage == "warmup":
            return data.train_batches(epoch, shuffle=not self.warmup_plain, augment=not self.warmup_plain)
        partners = self.nearest if self.stage == "neighbors" and self.scope == "dataset" else None
        return data.train_batches(epoch, partners=partners)

    def forward(self, batch: Batch) -> Tensor:
        if self.stage == "warmup":
            return cross_entropy(self._logits(batch, batch.inputs), batch.y)
        t = self.targets[batch.index]  # (B, C)
        if self.stage == "neighbors" and self.scope == "dataset":
            assert batch.partners is not None
            x_near, t_near = batch.partners.inputs, self.targets[batch.partners.index]  # (B, K, …), (B, K, C)
            a = self.weights[batch.index]  # (B, 1 + K)
        else:
            near, a, t = self._partners_in_batch(batch, t)
            x_near, t_near = batch.inputs[near], t[near]
        logits = self._logits(batch, mix(batch.inputs, x_near, a))
        loss = linear_loss if self.early_loss == "linear" and self.epoch < self.correct_from else soft_cross_entropy
        return loss(logits, mix(t, t_near, a))

    def _logits(self, batch: Batch, inputs: Tensor) -> Tensor:
        features, logits = self.network.features_and_logits(inputs)
        self.bank.note(self.epoch, batch.index, features, logits)
        return logits

    def _partners_in_batch(self, batch: Batch, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Partners by their place in the batch (B, K), weights (B, 1 + K), and the batch's targets (B, C)."""
        size = len(batch.index)
        if self.scope == "batch":  # the public code: a train-mode forward gives features and p
            with torch.no_grad():
                features, logits = self.network.features_and_logits(batch.inputs)
            if self.correcting and not self.unsure:
                t = ema(t, logits.softmax(1), self.alpha).where(~self.certain[batch.index, None], t)
                self.targets.write(batch.index, t)
            if self.stage == "neighbors":
                near = nearest_neighbors(features, self.neighbors, metric=self.metric, backend=self.backend)
                return near, mixing_weights(self.clean[batch.index], near), t
        near = torch.randperm(size, device=t.device)[:, None]
        own_share = Beta(1.0, 1.0).sample().item()  # λ, one for the batch
        return near, pair_weights(own_share, size, t.device), t

    def soft_targets(self) -> Tensor:
        return self.targets.rows
