"""ELR step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network
from torch.nn.functional import cross_entropy

from mixnn.errors import InputError
from mixnn.methods.elr import ELR

BETA, LAM = 0.6, 2.5
COUNT, EPOCHS = 20, 4


def clamped(logits: np.ndarray) -> list[float]:
    e = [math.exp(z) for z in logits]
    return [min(max(v / sum(e), 1e-4), 1 - 1e-4) for v in e]


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def logits_of(method: ELR, batch) -> np.ndarray:
    with torch.no_grad():
        return method.network(batch.inputs).double().numpy()


def test_loss_gradient_and_targets_over_several_epochs():
    """L = CE + λ/n Σ log(1 - <p, t>) with t ← β t + (1 - β) p, and the paper's gradient of it by the logits."""
    data = make_data(COUNT, batch_size=COUNT)
    method = ELR(make_network(norm=False, dropout=0), data.labels, CLASSES, beta=BETA, lam=LAM)
    t = [[0.0] * CLASSES for _ in range(COUNT)]
    for epoch in range(EPOCHS):
        method.begin_epoch(epoch, data)
        [batch] = method.batches(epoch, data)
        loss, by_logits = 0.0, np.zeros(CLASSES)
        for z, i, y in zip(logits_of(method, batch), batch.index.tolist(), batch.y.tolist(), strict=True):
            p = clamped(z)
            t[i] = [BETA * old + (1 - BETA) * new / sum(p) for old, new in zip(t[i], p, strict=True)]
            loss += (-math.log(p[y]) + LAM * math.log(1 - dot(p, t[i]))) / COUNT
            for c in range(CLASSES):
                g = p[c] / (1 - dot(p, t[i])) * sum((t[i][k] - t[i][c]) * p[k] for k in range(CLASSES))
                by_logits[c] += (p[c] - (c == y) + LAM * g) / COUNT
        ours = method(batch)
        method.zero_grad()
        ours.backward()
        assert ours.item() == pytest.approx(loss, rel=1e-5, abs=1e-7)  # a difference of terms of about one
        bias = method.network.head.bias
        np.testing.assert_allclose(bias.grad, by_logits, rtol=1e-4, atol=1e-6)  # what reaches the bias is ∂L/∂logits
        with torch.no_grad():
            for parameter in method.parameters():
                parameter -= 0.5 * parameter.grad
        method.end_epoch()
        np.testing.assert_allclose(method.targets.rows, t, rtol=1e-5)
    np.testing.assert_allclose(method.soft_targets(), [[v / sum(row) for v in row] for row in t], rtol=1e-5)
    assert sum(t[0]) == pytest.approx(1 - BETA**EPOCHS)  # the sum tells how much was said so far


def test_a_certain_network_has_a_finite_loss():
    """p is cut to 1e-4 to 1 - 1e-4, and t is made to sum to one again."""
    data = make_data(COUNT, batch_size=COUNT)
    method = ELR(make_network(norm=False, dropout=0), data.labels, CLASSES, beta=0, lam=LAM)
    with torch.no_grad():
        method.network.head.bias[0] = 1000
    [batch] = method.batches(0, data)
    pull = method(batch) - cross_entropy(method.network(batch.inputs), batch.y)
    p = [1 - 1e-4, 1e-4, 1e-4]
    assert pull.item() == pytest.approx(LAM * math.log(1 - dot(p, p) / sum(p)), rel=1e-3)


def test_what_was_never_seen_has_a_uniform_target():
    data = make_data(COUNT, unlabeled=5)
    method = ELR(make_network(), data.labels, CLASSES)
    method.begin_epoch(0, data)
    for batch in method.batches(0, data):
        method(batch)
    method.end_epoch()
    unseen = (method.soft_targets() == 1 / CLASSES).all(1)
    assert torch.equal(unseen, data.labels < 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"beta": 1.5}, "elr.beta is 1.5: use 0 to 1"), ({"lam": -1.0}, "elr.lam is -1.0: use at least 0")],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        ELR(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, **options)
