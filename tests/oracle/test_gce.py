"""GCE step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network
from torch.nn.functional import cross_entropy

from mixnn.errors import InputError
from mixnn.methods.gce import GCE

COUNT = 20


def softmax(z) -> list[float]:
    e = [math.exp(v) for v in z]
    return [v / sum(e) for v in e]


def prepared(**options):
    """A method with its one batch, and the network's probabilities for it."""
    torch.manual_seed(0)
    data = make_data(COUNT, batch_size=COUNT, augment="none")
    method = GCE(make_network(norm=False, dropout=0), data.labels, CLASSES, **options)
    with torch.no_grad():
        method.network.head.weight *= 8  # opinions, so that probabilities differ
    method.begin_epoch(0, data)
    [batch] = method.batches(0, data)
    with torch.no_grad():
        logits = method.network(batch.inputs).double().numpy()
    return method, data, batch, [softmax(z) for z in logits]


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_loss_and_its_gradient(q):
    """L_q = (1 - f_y^q) / q; its gradient is that of cross-entropy times f_y^q."""
    method, _, batch, p = prepared(q=q)
    y = batch.y.tolist()
    loss = method(batch)
    loss.backward()
    assert loss.item() == pytest.approx(sum((1 - p[i][y[i]] ** q) / q for i in range(COUNT)) / COUNT, rel=1e-5)
    by_logits = [sum(p[i][y[i]] ** q * (p[i][c] - (c == y[i])) for i in range(COUNT)) / COUNT for c in range(CLASSES)]
    np.testing.assert_allclose(method.network.head.bias.grad, by_logits, rtol=1e-4, atol=1e-6)


def test_it_ends_at_absolute_error_and_at_cross_entropy():
    method, _, batch, p = prepared(q=1.0)
    absolute = sum(abs((c == y) - row[c]) for row, y in zip(p, batch.y.tolist(), strict=True) for c in range(CLASSES))
    assert method(batch).item() == pytest.approx(absolute / 2 / COUNT, rel=1e-5)
    method.q = 1e-3
    assert method(batch).item() == pytest.approx(cross_entropy(method.network(batch.inputs), batch.y).item(), rel=1e-2)


def test_truncation():
    """L_trunc = L_q(k) where f_y ≤ k at the latest choice, else L_q(f): the former does not train."""
    q, k = 0.7, 0.4
    method, data, batch, p = prepared(q=q, k=k, prune_from=1, prune_every=2)
    y = batch.y.tolist()

    def truncated(p, chosen) -> float:
        each = [(1 - (p[i][y[i]] if chosen[i] else k) ** q) / q for i in range(COUNT)]
        return sum(each) / COUNT

    assert method(batch).item() == pytest.approx(truncated(p, [True] * COUNT), rel=1e-5)  # too early
    method.begin_epoch(1, data)
    chosen = [p[i][y[i]] > k for i in range(COUNT)]
    assert 3 < sum(chosen) < COUNT - 3
    assert method.metrics["clean_fraction"] == pytest.approx(sum(chosen) / COUNT)
    loss = method(batch)
    loss.backward()
    assert loss.item() == pytest.approx(truncated(p, chosen), rel=1e-5)
    by_logits = [
        sum(p[i][y[i]] ** q * (p[i][c] - (c == y[i])) for i in range(COUNT) if chosen[i]) / COUNT
        for c in range(CLASSES)
    ]
    np.testing.assert_allclose(method.network.head.bias.grad, by_logits, rtol=1e-4, atol=1e-6)

    with torch.no_grad():
        method.network.head.bias += torch.tensor([3.0, 0.0, -3.0])
        p = [softmax(z) for z in method.network(batch.inputs).double().numpy()]
    method.begin_epoch(2, data)  # no new choice
    assert method(batch).item() == pytest.approx(truncated(p, chosen), rel=1e-5)
    method.begin_epoch(3, data)
    assert method(batch).item() == pytest.approx(truncated(p, [p[i][y[i]] > k for i in range(COUNT)]), rel=1e-5)


def test_a_certainly_wrong_network_has_a_finite_loss_and_gradient():
    method, _, batch, _ = prepared()
    with torch.no_grad():
        method.network.head.bias += torch.tensor([1000.0, 0.0, 0.0])
    loss = method(batch)
    loss.backward()
    wrong = (batch.y != 0).float().mean().item()
    assert loss.item() == pytest.approx(wrong / 0.7, rel=1e-5)
    assert method.network.head.bias.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q": 0.0}, "gce.q is 0.0: use 0.001 to 1"),
        ({"q": 1.5}, "gce.q is 1.5: use 0.001 to 1"),
        ({"k": 1.0}, "gce.k is 1.0: use a number from 0 to below 1"),
        ({"prune_from": -1}, "gce.prune_from is -1: use at least 0"),
        ({"prune_every": 0}, "gce.prune_every is 0: use at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        GCE(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, **options)
