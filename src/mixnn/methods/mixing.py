"""Mixing a sample with its neighbors: the paper's equations as pure functions of tensors (arXiv 2406.16966).

Must not know: networks, data sets, epochs, ranks, files.

Letters: N samples, C classes, B batch, K neighbors other than the sample itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

BETA_RANGE = 1e-3, 1e3  # of α: beyond, draws from Beta(α, α) lose their digits


def mixing_weights(clean: Tensor, neighbors: Tensor, informative: Tensor | None = None) -> Tensor:
    """a_i = normalize(w_i, w_n1, …, w_nK): `clean` (N,), `neighbors` int64 (N, K) -> (N, 1 + K).

    Rows sum to one; a sample and neighbors that are all certainly wrong share equally.

    Args:
        informative: bool (N,), whose targets say something, all where None; neighbors of no such target get nothing.
    """
    weights = torch.cat([clean[:, None], clean[neighbors]], 1) + 1e-10
    if informative is not None:
        weights[:, 1:] *= informative[neighbors]
    return weights / weights.sum(1, keepdim=True)


def mix(samples: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """Σ_j a_ij x_j (Eq. 4 for images, Eq. 5 for targets).

    Args:
        samples: (B, …), the samples; uint8 pixels come out as floats in 0–1.
        others: (B, K, …), their partners.
        weights: (B, 1 + K), the sample's own weight first.
    """
    if others.shape[1] == 0:  # alone, a sample has all the weight
        return samples
    dtype = torch.promote_types(samples.dtype, weights.dtype)
    a = weights.to(dtype).view(*weights.shape, *[1] * (samples.dim() - 1))  # (B, 1 + K, 1, …)
    if samples.dtype == torch.uint8:
        a = a / 255
    mixed = samples.to(dtype, copy=True).mul_(a[:, 0])  # in one piece of memory
    for k in range(others.shape[1]):  # K is small, and no (B, 1 + K, …) copy is made
        mixed.addcmul_(a[:, k + 1], others[:, k].to(dtype))
    return mixed


def pair_weights(lam: float, count: int, device: torch.device) -> Tensor:
    """Weights for `mix` of samples with one partner each: `lam` in 0–1 and the rest, the same for all: (count, 2).

    Made where they are used: copied there, they would be waited for at each step.
    """
    first = torch.full((count, 1), lam, device=device)
    return torch.cat([first, 1 - first], 1)


def random_partners(size: int, device: torch.device, alpha: float = 1.0) -> tuple[Tensor, float]:
    """One for each of a batch, by its place int64 (B, 1); and λ ~ Beta(α, α), one for all."""
    partners = torch.randperm(size, device=device)[:, None]
    return partners, Beta(alpha, alpha).sample().item()


def mixup_loss(network: nn.Module, x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """Cross-entropy of random blends against both of their labels: `x` (B, …), `y` int64 (B,) -> scalar."""
    lam = Beta(alpha, alpha).sample().item()  # λ, one for the batch
    j = torch.randperm(len(y), device=y.device)  # whom each sample is blended with
    logits = network(lam * x + (1 - lam) * x[j])  # (B, C)
    return lam * cross_entropy(logits, y) + (1 - lam) * cross_entropy(logits, y[j])


def ema(targets: Tensor, probs: Tensor, alpha: float) -> Tensor:
    """t ← α t + (1 − α) p (Eq. 12): both (N, C), α in 0–1."""
    return alpha * targets + (1 - alpha) * probs


def neighbor_agreement(labels: Tensor, neighbors: Tensor) -> Tensor:
    """Share of each sample's neighbors that carry its label: (N,), (N, K) -> (N,) in 0–1; NaN where K is 0."""
    return (labels[neighbors] == labels[:, None]).float().mean(1)
