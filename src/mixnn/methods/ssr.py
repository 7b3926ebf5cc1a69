"""SSR: relabel what the network is sure of, train on the labels that their neighbors agree with.

Feng, Tzimiropoulos & Patras, "SSR: An Efficient and Robust Framework for Learning with Unknown Label Noise",
BMVC 2022, arXiv 2111.11288.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mixnn.data.batches import Batch, TrainData
from mixnn.errors import require_between
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.knn import knn_indices
from mixnn.methods.base import Method, Tables
from mixnn.methods.losses import one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import BETA_RANGE, mix, pair_weights, random_partners
from mixnn.models.classifier import Classifier

HIDDEN, PROJECTED = 256, 128  # widths of the two heads (public code, CIFAR)


class SSR(Method):
    """Relabels what the network is sure of, and trains on the samples whose neighbors agree with their label.

    Each epoch begins anew with the given labels. A class of which no sample is selected is left out of that epoch;
    where none is selected at all, all samples are.

    Args:
        network, labels, num_classes: see `Method`.
        warmup: epochs that select everything, as it is labeled (the paper: none, random features do).
        theta_r: θ_r in 0–1, a sample is relabeled above this probability (public code: 0.9; CIFAR-100 with 50 % or
            more of noise 0.8, mini-WebVision and ANIMAL-10N 0.95, Clothing1M 0.99).
        theta_s: θ_s in 0–1, a sample is selected from this consistency on (paper: 1, its label wins the vote).
        neighbors: K in 1 to N - 1, how many vote, other than the sample itself (paper: 200); where None,
            200, or N / C where a mean class has fewer.
        mixup_alpha: α, 0.001 to 1000, of the mixing coefficient's Beta(α, α) (public code: 4 for CIFAR, elsewhere 0.5).
        feature_consistency: λ ≥ 0, weight of the feature-consistency loss; 1 is SSR+, 0 SSR, without its two heads
            and at about half the cost.

    Raises:
        InputError: an option is out of its range.
    """

    paper = "Feng et al., arXiv 2111.11288"
    tables = Tables(probs=4, features=2, values=1_500)  # values: the votes of 200 neighbors
    extra_passes, cost, cost_by_phase = "1", 4.0, "3.7"
    needs_noise_rate = "no (published θ_r: CIFAR-100)"
    verified_labels = "never relabeled, always selected"
    corrects_labels = True
    depends_on_rank = True

    relabeled: Tensor  # l^r int64 (N,), this epoch's labels

    def __init__(
        self,
        network: Classifier,
        labels: Tensor,
        num_classes: int,
        *,
        warmup: int = 0,
        theta_r: float = 0.9,
        theta_s: float = 1.0,
        neighbors: int | None = None,
        mixup_alpha: float = 4.0,
        feature_consistency: float = 1.0,
    ) -> None:
        super().__init__(network, labels, num_classes)
        if neighbors is None:
            neighbors = max(1, min(200, len(labels) // num_classes))
        self.warmup = self.main_phase_start = require_between("ssr.warmup", warmup, 0)
        self.theta_r = require_between("ssr.theta_r", theta_r, 0, 1)
        self.theta_s = require_between("ssr.theta_s", theta_s, 0, 1)
        self.neighbors = require_between("ssr.neighbors", neighbors, 1, len(labels) - 1)
        self.mixup_alpha = require_between("ssr.mixup_alpha", mixup_alpha, *BETA_RANGE)
        self.feature_consistency = require_between("ssr.feature_consistency", feature_consistency, 0)
        if feature_consistency > 0:
            self.h_proj = perceptron(self.network.head.in_features)
            self.h_pred = perceptron(PROJECTED)
        self.register_buffer("relabeled", labels.clone())

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        super().begin_epoch(epoch, data)
        labeled = data.labels >= 0
        self.relabeled.copy_(data.labels)
        self.selected = labeled  # (N,)
        if epoch >= self.warmup:
            with self.phase("eval_pass"):
                f, p, _ = eval_pass([self.network], data)  # (N, D), (N, C)
            self.relabeled.copy_(data.labels.where(self.verified, relabel(data.labels, p, self.theta_r)))
            with self.phase("neighbors"):
                indices, info = knn_indices(f, self.neighbors)  # (N, K)
                q = balanced_vote(self.relabeled, indices, self.num_classes)  # (N, C)
            self.auto_selected["neighbors"] = info.search
            self.metrics |= info.metrics
            c = consistency(q, self.relabeled)  # (N,)
            self.selected = labeled & ((c >= self.theta_s) | self.verified)
        self.metrics["clean_fraction"] = self.selected[labeled].float().mean().item()
        self.metrics["relabeled_share"] = (self.relabeled != data.labels)[labeled].float().mean().item()

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        chosen = (self.selected if self.selected.any() else data.labels >= 0).nonzero()[:, 0]
        groups = [class_balanced(chosen, self.relabeled[chosen])]
        if self.feature_consistency > 0:
            groups.append(data.labeled)
        return data.grouped_batches(epoch, groups, data.num_batches, views=2)

    def forward(self, batch: Batch) -> Tensor:
        """The selected come first, b of them; then, for SSR+, b of all."""
        assert batch.partners is not None
        view1, view2 = batch.inputs, batch.partners.inputs[:, 0]
        b = len(view1) // 2 if self.feature_consistency > 0 else len(view1)
        x = torch.cat([view1[:b], view2[:b]])  # (2b, …)
        t = one_hot_or_uniform(self.relabeled[batch.index[:b]], self.num_classes).repeat(2, 1)  # (2b, C)
        partner, lam = random_partners(2 * b, t.device, self.mixup_alpha)
        a = pair_weights(max(lam, 1 - lam), 2 * b, t.device)  # (2b, 2)
        loss = soft_cross_entropy(self.network(mix(x, x[partner], a)), mix(t, t[partner], a))
        if self.feature_consistency > 0:
            loss = loss + self.feature_consistency * self._feature_loss(view1[b:], view2[b:])
        return loss

    def _feature_loss(self, x1: Tensor, x2: Tensor) -> Tensor:
        """L_fc: minus the cosine of one view's projection, which learns nothing, and its prediction from the other."""
        with torch.no_grad():
            z1 = self.h_proj(self.network.features_and_logits(x1)[0])  # (b, PROJECTED)
        h2 = self.h_pred(self.h_proj(self.network.features_and_logits(x2)[0]))
        return -cosine_similarity(h2, z1).mean()

    def clean_labels(self) -> Tensor:
        return self.selected

    def soft_targets(self) -> Tensor:
        return one_hot_or_uniform(self.relabeled, self.num_classes)


def perceptron(width: int) -> nn.Sequential:
    """(B, width) -> (B, PROJECTED). It only ever trains, so that its batch norm needs no running statistics."""
    norm = nn.BatchNorm1d(HIDDEN, track_running_stats=False)
    return nn.Sequential(nn.Linear(width, HIDDEN, bias=False), norm, nn.ReLU(), nn.Linear(HIDDEN, PROJECTED))


def relabel(labels: Tensor, p: Tensor, theta_r: float) -> Tensor:
    """l^r: the likeliest class where its probability is above θ_r, else the given label.

    Args:
        labels: int64 (N,).
        p: (N, C), rows sum to one.
    """
    confidence, predicted = p.max(1)
    return predicted.where(confidence > theta_r, labels)


def balanced_vote(labels: Tensor, neighbors: Tensor, num_classes: int) -> Tensor:
    """q_i = π⁻¹ · (1/K) Σ_j y_j over the neighbors (Eq. 1), π counting the samples of each class: (n, C), ≥ 0.

    Args:
        labels: int64 (N,); those below 0 have no vote.
        neighbors: int64 (n, K), rows of `labels`.
    """
    votes = labels[neighbors]  # (n, K)
    q = torch.zeros(len(votes), num_classes, device=labels.device)
    q.scatter_add_(1, votes.clamp_min(0), (votes >= 0).float())  # whole numbers: the same in any order
    pi = labels[labels >= 0].bincount(minlength=num_classes).clamp_min(1)
    return q / (votes.shape[1] * pi)  # one rounding: classes whose votes are equal stay equal


def consistency(q: Tensor, labels: Tensor) -> Tensor:
    """c_i = q_i(l_i) / max q_i (Eq. 2): `q` (N, C), `labels` int64 (N,) -> (N,) in 0–1; 0 where there is no label."""
    given = q.gather(1, labels.clamp_min(0)[:, None])[:, 0]
    return given / q.amax(1).clamp_min(torch.finfo(q.dtype).tiny) * (labels >= 0)


def class_balanced(rows: Tensor, labels: Tensor) -> Tensor:
    """`rows` int64 (M,), repeated so that every class of their `labels` (M,) comes as often as the most frequent."""
    classes = [rows[labels == label] for label in labels.unique()]
    largest = max(len(members) for members in classes)
    return torch.cat([members[torch.arange(largest, device=members.device) % len(members)] for members in classes])
