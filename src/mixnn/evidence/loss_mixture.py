"""How probably each label is right, by a mixture of two Gaussians fitted to the losses (N,) of all samples.

Must not know: networks, data sets, epochs, ranks, files.
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
        """Ashman's D, the distance of the means in units of the mean spread; above 2 the density is bimodal."""
        return float((self.means[1] - self.means[0]) / self.variances.mean().sqrt())


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
    """Two-component Gaussian mixture of `x` (N,) by expectation maximization, in float64.

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


def loss_mixture_clean_prob(
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
    """How probably each label is right, from the two components of the losses (the paper's w_i).

    Args:
        losses: (N,), any scale.
        known: bool (N,), those that the mixture is fitted to; all where None.
        normalized: they are in 0–1 already; otherwise they are stretched to it before the fit.
        max_iter, tol, reg: see `fit_mixture`.
        monotone: a loss outside the two means counts as the nearer mean. The plain posterior turns
            round there, on the side of the narrower component.
        min_separation: below this distance of the components (`Mixture.separation`) the evidence is too
            poor to doubt any label: w is one.

    Returns:
        w (N,) float32 in 0–1, and the mixture of the normalized losses. Where all losses are equal
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
