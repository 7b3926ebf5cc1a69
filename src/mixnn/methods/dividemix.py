"""DivideMix: two networks; each sorts out the clean labels for the other, which learns from the rest without labels.

Li, Socher & Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", ICLR 2020, arXiv 2002.07394.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import cross_entropy, mse_loss

from mixnn.data.batches import Batch, TrainData
from mixnn.distributed.ranks import shard
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import mix, pair_weights
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class DivideMix(Method):
    """Trains two networks by MixMatch on the samples that the other one thinks clean, and on the rest without labels.

    Each epoch a mixture of two Gaussians divides each network's losses; the other network takes the division
    (co-divide), refines the labels of its clean part and guesses those of the rest. Both train in the same step.

    Args:
        networks, labels, num_classes: see `Method`.
        warmup: epochs of cross-entropy (paper: 10 of 300 for CIFAR-10, 30 for CIFAR-100).
        confidence_penalty: weight of -H(p) in the warm-up (Eq. 2; paper: 1 for asymmetric noise, else 0).
        threshold: τ, above it a clean probability makes a labeled sample (paper: 0.5; 0.6 at 90 % noise).
        temperature: T of the sharpening (Eq. 4; paper: 0.5).
        alpha: α of Beta(α, α), of which the share of a sample in its mixture is drawn (Eq. 5; paper: 4).
        lambda_u: λ_u, weight of the loss of guessed labels (Eq. 12; paper: 0 to 150, public code: 25). Where it is 0,
            unlabeled samples are only mixed into labeled ones, as in the public code for Clothing1M.
        rampup: epochs after the warm-up in which the weight grows from 0 to λ_u (public code: 16).
        loss_window: the mixture sees the mean loss of so many passes (public code: 5 at 90 % noise, else 1).

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Li et al., arXiv 2002.07394"
    network_count = 2
    tables = Tables(probs=12, features=1, values=60)
    extra_passes, cost, cost_by_phase = "2, after warm-up", 6.0, "12 × clean share + 0.7; warm-up 2"
    needs_noise_rate = "no (published λ_u: yes)"
    verified_labels = "its clean probability is 1: always labeled, its refined label is that label"
    corrects_labels = True
    uses_loss_mixture = True
    depends_on_rank = True
    short_options: ClassVar = {"warmup": 1}

    history: Tensor  # (2, loss_window, N) normalized losses of the latest passes, NaN where there was none

    def __init__(
        self,
        networks: Sequence[Classifier],
        labels: Tensor,
        num_classes: int,
        *,
        warmup: int = 10,
        confidence_penalty: float = 0.0,
        threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 25.0,
        rampup: int = 16,
        loss_window: int = 1,
    ) -> None:
        super().__init__(networks, labels, num_classes)
        self.warmup = self.main_phase_start = require_between("dividemix.warmup", warmup, 0)
        self.rampup = require_between("dividemix.rampup", rampup, 0)
        self.lambda_u = require_between("dividemix.lambda_u", lambda_u, 0)
        self.temperature = require_between("dividemix.temperature", temperature, 0.01)
        self.alpha = require_between("dividemix.alpha", alpha, 0.01)
        self.confidence_penalty = require_between("dividemix.confidence_penalty", confidence_penalty, 0)
        self.threshold = require_between("dividemix.threshold", threshold, 0, 0.999)
        require_between("dividemix.loss_window", loss_window, 1)
        # To be told; training makes its own at each step.
        self.targets = SampleTable(one_hot_or_uniform(labels, num_classes))
        self.register_buffer("history", torch.full((2, loss_window, len(labels)), torch.nan))

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        if data.balanced:
            raise InputError("dividemix draws from a labeled and an unlabeled set: leave --balanced off")
        if epoch < self.warmup:
            return
        with self.phase("eval_pass"):
            probs, log_y = zip(*(eval_pass([network], data)[1:] for network in self.classifiers), strict=True)
        with self.phase("mixture"):
            w = [self._loss_mixture_clean_prob(k, -log_y[k][:, 0], data.labels >= 0) for k in (0, 1)]
        self.w = torch.stack(w[::-1])  # (2, N), co-divide: each network works with the other's
        self.metrics["clean_fraction"] = (self.w > self.threshold)[:, data.labels >= 0].float().mean().item()
        rows = torch.arange(len(data), device=data.labels.device)[shard(len(data))]
        p = torch.stack([whole[rows] for whole in probs])  # (2, n, C)
        self.targets.write(rows, self._refined_labels(p, self.w[:, rows], data.labels[rows]))

    def _loss_mixture_clean_prob(self, k: int, losses: Tensor, known: Tensor) -> Tensor:
        """Clean probabilities (N,) by the losses (N,) of network k; 0 where nobody knows the label."""
        losses = min_max(losses, known)
        self.history[k] = torch.cat([self.history[k, 1:], losses[None]])
        w, _ = loss_mixture_clean_prob(self.history[k].nanmean(0), known, normalized=True)
        return (w * known).masked_fill(self.verified, 1.0)

    def _refined_labels(self, p: Tensor, w: Tensor, labels: Tensor) -> Tensor:
        """Refined or guessed labels (n, C), mean over the networks; `p` (2, n, C), `w` (2, n), `labels` (n,)."""
        y, a = one_hot_or_uniform(labels, self.num_classes), w[..., None]
        blended = torch.where(a > self.threshold, a * y + (1 - a) * p, p.mean(0))
        return sharpen(blended, self.temperature).mean(0)

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        if epoch < self.warmup:
            return data.train_batches(epoch)
        clean, known = self.w > self.threshold, data.labels >= 0  # (2, N), (N,)
        labeled = [rows_of(part, known) for part in clean]
        unlabeled = [rows_of(~part, torch.ones_like(known)) for part in clean]
        groups = [labeled[0], unlabeled[0], labeled[1], unlabeled[1]]
        # Labeled, and as many unlabeled ones (public code: 64, where the warm-up has 128).
        size = max(data.batch_size // 2, 1)
        steps = data.steps_per_epoch or -(-max(map(len, labeled)) // size)
        return data.grouped_batches(epoch, groups, steps, size=size, views=2)

    def forward(self, batch: Batch) -> Tensor:
        if self.epoch < self.warmup:
            losses = [self._warmup_loss(network(batch.inputs), batch.y) for network in self.classifiers]
            return torch.stack(losses).sum()
        assert batch.partners is not None
        views = torch.stack([batch.inputs, batch.partners.inputs[:, 0]])  # (M, 4 b, …), M = 2
        x = views.unflatten(1, (2, 2, -1)).movedim(0, 2)  # (network, labeled or not, M, b, …)
        index, labels = (part.unflatten(0, (2, 2, -1))[:, 0] for part in (batch.index, batch.y))  # (2, b), labeled
        y = [one_hot_or_uniform(labels[k], self.num_classes) for k in (0, 1)]  # (b, C)
        q = [self._targets(k, x[k], y[k], self.w[k, index[k], None]) for k in (0, 1)]  # before either learns
        losses = [self._mixmatch_loss(self.classifiers[k], x[k].flatten(0, 2), q[k].flatten(0, 2)) for k in (0, 1)]
        return torch.stack(losses).sum()

    def _warmup_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """CE - weight · H(p) (Eq. 1 and 2): `logits` (B, C), `y` (B,) -> scalar."""
        entropy = soft_cross_entropy(logits, logits.softmax(1))
        return cross_entropy(logits, y) - self.confidence_penalty * entropy

    @torch.no_grad()
    def _targets(self, k: int, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Labels for network k, (2, M, b, C), the same for all M views: refined (Eq. 3), then guessed (Algorithm 1).

        Args:
            x: (2, M, b, …), labeled and unlabeled samples.
            y: (b, C), given labels of the labeled ones.
            w: (b, 1), their clean probabilities.
        """
        network, other = self.classifiers[k], self.classifiers[1 - k]
        p = torch.stack([network(view).softmax(1) for view in x.flatten(0, 1)])  # (4, b, C), batch norm as in training
        p = p.unflatten(0, x.shape[:2]).mean(1)  # (2, b, C)
        other.eval()
        p_other = torch.stack([other(view).softmax(1) for view in x[1]]).mean(0)  # (b, C)
        other.train(self.training)
        refined = w * y + (1 - w) * p[0]
        guessed = (p[1] + p_other) / 2
        q = sharpen(torch.stack([refined, guessed]), self.temperature)
        return q[:, None].expand(-1, x.shape[1], -1, -1)

    def _mixmatch_loss(self, network: Classifier, x: Tensor, q: Tensor) -> Tensor:
        """L_X + λ_u L_U + L_reg (Eq. 12): `x` (n, …) and `q` (n, C), the first half labeled -> scalar."""
        half = len(x) // 2
        used = len(x) if self.lambda_u > 0 else half
        lam = Beta(self.alpha, self.alpha).sample().item()
        other = torch.randperm(len(x), device=x.device)[:used]
        weights = pair_weights(max(lam, 1 - lam), used, x.device)  # λ' (Eq. 6), one for the batch
        logits = network(mix(x[:used], x[other, None], weights))
        q = mix(q[:used], q[other, None], weights)
        loss = soft_cross_entropy(logits[:half], q[:half]) + prior_penalty(logits)  # L_X + L_reg
        if self.lambda_u > 0:
            since = self.epoch - self.warmup
            ramp = since / self.rampup if since < self.rampup else 1.0
            loss = loss + ramp * self.lambda_u * mse_loss(logits[half:].softmax(1), q[half:])
        return loss

    def clean_labels(self) -> Tensor:
        return (self.w == 1).all(0)

    def soft_targets(self) -> Tensor:
        return self.targets.rows


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """p^(1/T), rows summing to one again (Eq. 4): (…, C) -> (…, C)."""
    return (p.log() / temperature).softmax(-1)


def prior_penalty(logits: Tensor) -> Tensor:
    """L_reg = Σ_c π_c log(π_c / mean p_c) with π_c = 1/C (Eq. 11): `logits` (B, C) -> scalar, ≥ 0."""
    batch, classes = logits.shape
    log_mean = logits.log_softmax(1).logsumexp(0) - math.log(batch)  # (C,)
    return -math.log(classes) - log_mean.mean()


def rows_of(part: Tensor, whole: Tensor) -> Tensor:
    """Where `part`, bool (N,), holds, int64 (M,); if that is nowhere, where `whole` does."""
    return (part if part.any() else whole).nonzero()[:, 0]
