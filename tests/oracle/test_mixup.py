"""Mixup step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network

from mixnn.errors import InputError
from mixnn.methods.mixup import Mixup

COUNT, TOLERANCE = 12, 1e-6


def watched(count, **options):
    """A method with its one batch, and a list of what the network is given and answers."""
    data = make_data(count, batch_size=count)
    method = Mixup(make_network(norm=False, dropout=0), data.labels, CLASSES, **options)
    seen = []
    method.network.register_forward_hook(lambda _, given, answer: seen.append((given[0].double().numpy(), answer)))
    [batch] = method.batches(0, data)
    return method, batch, batch.inputs.double().numpy() / 255, seen


def blend_of(mixed, x, i):
    """The j and the λ with mixed = λ x_i + (1 - λ) x_j; where j is i itself, λ can be anything."""
    if np.abs(x[i] - mixed).max() < TOLERANCE:
        return i, None
    for j in set(range(len(x))) - {i}:
        line = (x[i] - x[j]).ravel()
        lam = (mixed - x[j]).ravel() @ line / (line @ line)
        if np.abs(lam * x[i] + (1 - lam) * x[j] - mixed).max() < TOLERANCE:
            return j, lam
    raise AssertionError(f"sample {i} is no blend with one other")


@pytest.mark.parametrize("seed", range(5))
def test_one_lambda_a_permutation_and_the_loss_of_both_labels(seed):
    """x̃ = λ x_i + (1 - λ) x_j, ỹ = λ y_i + (1 - λ) y_j, and the cross-entropy of the blend."""
    torch.manual_seed(seed)
    method, batch, x, seen = watched(COUNT)
    loss, y = method(batch).item(), batch.y.tolist()
    [(mixed, logits)] = seen
    partners, lams = zip(*(blend_of(mixed[i], x, i) for i in range(COUNT)), strict=True)
    assert sorted(partners) == list(range(COUNT))
    lam = next(value for value in lams if value is not None)
    assert 0 < lam < 1
    np.testing.assert_allclose([value for value in lams if value is not None], lam, atol=1e-5)
    expected = 0.0
    for z, i, j in zip(logits.tolist(), range(COUNT), partners, strict=True):
        total = sum(math.exp(v) for v in z)
        target = [lam * (c == y[i]) + (1 - lam) * (c == y[j]) for c in range(CLASSES)]
        expected -= sum(t * math.log(math.exp(v) / total) for t, v in zip(target, z, strict=True)) / COUNT
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lambda_has_the_spread_of_a_beta_distribution(alpha):
    """λ ~ Beta(α, α): mean 1/2, variance 1 / (4 (2α + 1))."""
    torch.manual_seed(0)
    method, batch, x, seen = watched(2, alpha=alpha)
    for _ in range(800):
        method(batch)
    lams = [lam for mixed, _ in seen for _, lam in [blend_of(mixed[0], x, 0)] if lam is not None]
    assert len(lams) == pytest.approx(400, abs=60)  # with two samples, the partner is itself half of the time
    assert np.mean(lams) == pytest.approx(0.5, abs=0.05)
    assert np.var(lams) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.2)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1e9, math.nan])
def test_options_out_of_range(alpha):
    with pytest.raises(InputError, match=r"mixup.alpha is .*: use 0.001 to 1000"):
        Mixup(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, alpha=alpha)
