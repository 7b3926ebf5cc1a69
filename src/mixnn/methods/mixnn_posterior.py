"""MixNN with the weights and targets of label quality, in place of loss mixture and moving average.

Ours. The mixing is that of He & Lu, "Mitigating Noisy Supervision Using Synthetic Samples with Soft Labels", arXiv
2406.16966; what a label probably is comes from `mixnn.evidence`, as in `posterior`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.errors import require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.label_issues import targets_from
from mixnn.evidence.loss_mixture import min_max
from mixnn.evidence.neighbors.search import Backend, Metric
from mixnn.methods.base import Method, Tables
from mixnn.methods.mixing import mixing_weights
from mixnn.methods.mixnn import MixNN
from mixnn.models.classifier import Classifier
from mixnn.tables.topk_tensors import dense_chunks


class MixNNPosterior(MixNN):
    """MixNN by label quality: weights are P(given label is right), targets the posterior over the true label.

    Cross-entropy before `warmup`, mixup with a random partner on the given labels before `mixup_until`. From then on
    samples are mixed with their neighbors by Eq. 4 and 5; no mixture of losses is fitted and no average moves.

    Args:
        network, labels, num_classes: see `Method`.
        neighbors: K, other than the sample itself.
        backend: of the neighbor search, see `mixnn`.
        metric: "l2" or "cosine".
        warmup: epochs of cross-entropy.
        mixup_until: first epoch that mixes with neighbors; up to then, partners are random.
        correct_every: epochs from one posterior, and one search for neighbors, to the next.

    Raises:
        InputError: an option is out of its range, or K ≥ N.
    """

    paper = "ours, after Lu & He, arXiv 2406.16966"
    tables = Tables(probs=5, features=2, values=30)
    extra_passes, cost_by_phase = "1 every 6 epochs, from `mixup_until`", "1, then 1.1"
    cost = 1.1
    verified_labels = "its weight is 1, its target is that label"
    uses_loss_mixture = False
    short_options: ClassVar = {"warmup": 1, "mixup_until": 1, "correct_every": 3}  # mixup draws on each rank

    nearest: Tensor  # (N, K), since they stay for some epochs
    weights: Tensor  # a, (N, 1 + K)
    due: Tensor  # (), epoch of the next posterior

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
        correct_every: int = 6,
    ) -> None:
        super().__init__(
            network,
            labels,
            num_classes,
            neighbors=neighbors,
            backend=backend,
            metric=metric,
            warmup=warmup,
            mixup_until=mixup_until,
        )
        self.correct_every = require_between("mixnn_posterior.correct_every", correct_every, 1)
        self.register_buffer("nearest", torch.zeros(len(labels), neighbors, dtype=torch.int64))
        self.register_buffer("weights", torch.ones(len(labels), 1 + neighbors) / (1 + neighbors))
        self.register_buffer("due", torch.tensor(0))

    @property
    def correcting(self) -> bool:
        return self.stage == "neighbors"

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        Method.begin_epoch(self, epoch, data)
        if self.stage != "neighbors":
            return
        if epoch >= int(self.due):
            self._correct(data)
            self.due.fill_(epoch + self.correct_every)
        self.clean = self._label_quality(data.labels)
        self.metrics["clean_fraction"] = self.clean[data.labels >= 0].gt(0.5).float().mean().item()

    def _correct(self, data: TrainData) -> None:
        """New targets, neighbors and weights, from the features as they are now."""
        labeled = data.labels >= 0
        with self.phase("eval_pass"):
            z, _, log_given = eval_pass([self.network], data)  # (N, D), (N, C), (N, 1)
        self.losses = min_max(-log_given[:, 0], labeled).where(labeled, torch.nan)
        with self.phase("evidence"):
            table, _ = targets_from(z, data.labels, self.num_classes, self.verified)
        for rows, t in dense_chunks(table, self.num_classes):
            self.targets.rows[rows] = t
        with self.phase("neighbors"):
            self.nearest.copy_(self._search(z, data.labels))
        self.weights.copy_(mixing_weights(self._label_quality(data.labels), self.nearest))  # Eq. 4, 5

    def _label_quality(self, labels: Tensor) -> Tensor:
        """w (N,): P(given label is right); of a sample without a label, P(the likeliest one is)."""
        t = self.targets.rows
        given = t.gather(1, labels.clamp_min(0)[:, None])[:, 0]
        return given.where(labels >= 0, t.amax(1)).masked_fill(self.verified, 1.0)

    def clean_labels(self) -> Tensor:
        return self.clean > 0.5
