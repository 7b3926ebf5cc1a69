"""The paper's equations as pure functions of tensors (arXiv 2406.16966).

Must not know: networks, data sets, epochs, ranks, files.

Letters: N samples, C classes, B batch, K neighbours other than the sample itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.errors import InputError


class Mixture(NamedTuple):
    """Two 1-D Gaussians, float64, the one with the lower mean first."""

    means: Tensor  # (2,)
    variances: Tensor  # (2,)
    weights: Tensor  # (2,), sum to one
    converged: bool

    def log_joint(self, x: Tensor) -> Tensor:
        """log(weight · density) of every component at `x` (N,): (N, 2)."""
        squared = (x.double()[:, None] - self.means) ** 2 / self.variances
        return self.weights.log() - 0.5 * (squared + (2 * torch.pi * self.variances).log())

    def low_posterior(self, x: Tensor) -> Tensor:
        """P(lower component | x): (N,), in 0–1."""
        return self.log_joint(x).softmax(1)[:, 0]

    @property
    def separation(self) -> float:
        """Ashman's D, the distance of the means in units of the mean spread; above 2 two humps are seen."""
        return float((self.means[1] - self.means[0]) / self.variances.mean().sqrt())


def sample_losses(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each sample: `log_probs` (N, C), `labels` int64 (N,) -> (N,), ≥ 0."""
    return -log_probs.gather(1, labels[:, None])[:, 0]


def soft_labels(labels: Tensor, num_classes: int) -> Tensor:
    """One-hot rows (N, C) for `labels` int64 (N,); uniform ones where a label is below 0, which nobody knows."""
    rows = torch.zeros(len(labels), num_classes, device=labels.device)
    rows.scatter_(1, labels.clamp_min(0)[:, None], 1.0)  # `one_hot` has three times the memory on its way
    return rows.masked_fill_((labels < 0)[:, None], 1 / num_classes)


def min_max(x: Tensor, known: Tensor | None = None) -> Tensor:
    """`x` (N,) stretched to 0–1; all zero where every value is the same.

    Args:
        known: bool (N,), those whose range counts, all where None; others are cut to it.

    Raises:
        InputError: a value is infinite or not a number.
    """
    if not torch.isfinite(x).all():
        raise InputError("the losses are not finite: training diverged; use a lower --lr")
    within = x if known is None else x[known]
    low, high = within.min(), within.max()
    return ((x - low) / (high - low).clamp_min(torch.finfo(x.dtype).tiny)).clamp(0, 1)


def two_means(x: Tensor) -> Tensor:
    """The best split of `x` (N,) into a lower and an upper part: bool (N,), true in the upper one.

    Exact in one dimension: of all N - 1 cuts through the sorted values, the one with the least
    squared distance to the parts' means. It starts the mixture where k-means would, without a seed.
    """
    values = x.double().sort().values
    count = torch.arange(1, len(values), dtype=torch.float64, device=x.device)
    total, lower = values.sum(), values.cumsum(0)[:-1]
    between = lower**2 / count + (total - lower) ** 2 / (len(values) - count)
    # A cut inside a run of equal values is no cut.
    between = between.where(values[:-1] < values[1:], between.new_tensor(-torch.inf))
    return x.double() > values[between.argmax()]


def fit_mixture(x: Tensor, *, max_iter: int = 100, tol: float = 1e-3, reg: float = 5e-4) -> Mixture:
    """Two-component Gaussian mixture of `x` (N,) by expectation maximisation, in float64.

    The steps, the stopping rule (change of the mean log-likelihood below `tol`) and `reg` (added
    to the variances) are scikit-learn's `GaussianMixture`.
    """
    x = x.double()
    upper = two_means(x).double()
    responsibility = torch.stack([1 - upper, upper], 1)  # (N, 2)
    likelihood, converged = -float("inf"), False
    for step in range(max_iter + 1):
        mass = responsibility.sum(0) + 10 * torch.finfo(torch.float64).eps
        means = (responsibility * x[:, None]).sum(0) / mass
        variances = (responsibility * (x[:, None] - means) ** 2).sum(0) / mass + reg
        mixture = Mixture(means, variances, mass / mass.sum(), converged)
        if converged or step == max_iter:
            break
        log_joint = mixture.log_joint(x)
        log_density = log_joint.logsumexp(1)
        responsibility = (log_joint - log_density[:, None]).exp()
        previous, likelihood = likelihood, log_density.mean().item()
        converged = abs(likelihood - previous) < tol
    order = mixture.means.argsort()
    return Mixture(mixture.means[order], mixture.variances[order], mixture.weights[order], converged)


def clean_probability(
    losses: Tensor,
    known: Tensor | None = None,
    *,
    normalized: bool = False,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg: float = 5e-4,
    monotone: bool = True,
    min_separation: float = 0.0,
) -> tuple[Tensor, Mixture | None]:
    """How probably each label is right, from the two humps of the losses (the paper's w_i).

    Args:
        losses: (N,), any scale.
        known: bool (N,), those that the mixture is fitted to; all where None.
        normalized: they are in 0–1 already; otherwise they are stretched to it before the fit.
        max_iter, tol, reg: see `fit_mixture`.
        monotone: a loss outside the two means counts as the nearer mean. The plain posterior turns
            round there, on the side of the narrower hump.
        min_separation: below this distance of the humps (`Mixture.separation`) the evidence is too
            poor to doubt any label: w is one.

    Returns:
        w (N,) float32 in 0–1, and the mixture of the normalised losses. Where all losses are equal
        there is no mixture (None) and nothing speaks against any label: w is one.

    Raises:
        InputError: a loss is not finite.
    """
    x = losses if normalized else min_max(losses, known)
    fitted = x if known is None else x[known]
    if len(fitted) < 2 or fitted.max() == fitted.min():
        return torch.ones_like(x, dtype=torch.float32), None
    mixture = fit_mixture(fitted, max_iter=max_iter, tol=tol, reg=reg)
    if mixture.separation < min_separation:
        return torch.ones_like(x, dtype=torch.float32), mixture
    seen = x.double().clamp(*mixture.means) if monotone else x
    return mixture.low_posterior(seen).float(), mixture


def mixing_weights(clean: Tensor, neighbors: Tensor, telling: Tensor | None = None) -> Tensor:
    """a_i = normalise(w_i, w_n1, …, w_nK): `clean` (N,), `neighbors` int64 (N, K) -> (N, 1 + K).

    Rows sum to one; a sample and neighbours that are all certainly wrong share equally.

    Args:
        telling: bool (N,), whose targets say something, all where None; neighbours of no such target get nothing.
    """
    weights = torch.cat([clean[:, None], clean[neighbors]], 1) + 1e-10
    if telling is not None:
        weights[:, 1:] *= telling[neighbors]
    return weights / weights.sum(1, keepdim=True)


def mix(own: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """Σ_j a_ij x_j (Eq. 4 for images, Eq. 5 for targets).

    Args:
        own: (B, …), the samples; uint8 pixels come out as floats in 0–1.
        others: (B, K, …), their partners.
        weights: (B, 1 + K), the sample's own weight first.
    """
    if others.shape[1] == 0:  # alone, a sample has all the weight
        return own
    a = weights.view(*weights.shape, *[1] * (own.dim() - 1))  # (B, 1 + K, 1, …)
    if own.dtype == torch.uint8:  # in one piece of memory
        a = a / 255
        mixed = own.float().mul_(a[:, 0])
        for k in range(others.shape[1]):
            mixed.addcmul_(a[:, k + 1], others[:, k].float())
        return mixed
    mixed = a[:, 0] * own
    for k in range(others.shape[1]):  # K is small, and no (B, 1 + K, …) copy is made
        mixed = torch.addcmul(mixed, a[:, k + 1].to(mixed.dtype), others[:, k])
    return mixed


def pair_weights(own: float, count: int, device: torch.device) -> Tensor:
    """Weights for `mix` of samples with one partner each: `own` in 0–1 and the rest, the same for all: (count, 2).

    Made where they are used: copied there, they would be waited for at each step.
    """
    first = torch.full((count, 1), own, device=device)
    return torch.cat([first, 1 - first], 1)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ_c t_c log p_c, mean over the batch: both (B, C) -> scalar."""
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def linear_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ_c t_c p_c, mean over the batch: the public code's loss between warm-up and correction."""
    return -(targets * logits.softmax(1)).sum(1).mean()


def gce_loss(log_p: Tensor, q: float) -> Tensor:
    """L_q = (1 - p^q) / q (arXiv 1805.07836): `log_p` (B,), log-probability of the label -> (B,) in 0 to 1/q."""
    return -torch.expm1(q * log_p) / q


def ema(targets: Tensor, probs: Tensor, alpha: float) -> Tensor:
    """t ← α t + (1 − α) p (Eq. 12): both (N, C), α in 0–1."""
    return alpha * targets + (1 - alpha) * probs


def neighbor_agreement(labels: Tensor, neighbors: Tensor) -> Tensor:
    """Share of each sample's neighbours that carry its label: (N,), (N, K) -> (N,) in 0–1; NaN where K is 0."""
    return (labels[neighbors] == labels[:, None]).float().mean(1)


def confidence_bins(probs: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """Predictions by how sure they are, in `bins` of equal width: (3, bins), to be added up over batches.

    Rows: how many, how many of them right, the sum of their confidences (Guo et al., arXiv 1706.04599).

    Args:
        probs: (B, C), rows sum to one.
        labels: int64 (B,).
    """
    confidence, predicted = probs.double().max(1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1  # (B,)
    counted = torch.stack([torch.ones_like(confidence), (predicted == labels).double(), confidence])
    return counted.new_zeros(3, bins).index_add_(1, place, counted)


def calibration_error(bins: Tensor) -> float:
    """ECE, the mean distance of confidence from accuracy, in 0–1, of what `confidence_bins` added up (3, bins)."""
    count, right, confidence = bins
    return float((right - confidence).abs().sum() / count.sum())
