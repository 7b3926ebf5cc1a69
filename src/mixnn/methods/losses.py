"""Losses, and the targets they compare with, as pure functions of tensors.

Must not know: networks, data sets, epochs, ranks, files. Letters: N samples, C classes, B batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def nll(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each sample: `log_probs` (N, C), `labels` int64 (N,) -> (N,), ≥ 0."""
    return -log_probs.gather(1, labels[:, None])[:, 0]


def one_hot_or_uniform(labels: Tensor, num_classes: int) -> Tensor:
    """One-hot rows (N, C) for `labels` int64 (N,); uniform ones where a label is below 0, which nobody knows."""
    rows = torch.zeros(len(labels), num_classes, device=labels.device)
    rows.scatter_(1, labels.clamp_min(0)[:, None], 1.0)  # `one_hot` has three times the memory on its way
    return rows.masked_fill_((labels < 0)[:, None], 1 / num_classes)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ_c t_c log p_c, mean over the batch: both (B, C) -> scalar."""
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def linear_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ_c t_c p_c, mean over the batch: the public code's loss between warm-up and correction."""
    return -(targets * logits.softmax(1)).sum(1).mean()


def gce_loss(log_p: Tensor, q: float) -> Tensor:
    """L_q = (1 - p^q) / q (arXiv 1805.07836): `log_p` (B,), log-probability of the label -> (B,) in 0 to 1/q."""
    return -torch.expm1(q * log_p) / q
