"""SCE step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network

from mixnn.errors import InputError
from mixnn.methods.sce import SCE

COUNT = 20


def softmax(z) -> list[float]:
    e = [math.exp(v) for v in z]
    return [v / sum(e) for v in e]


def prepared(**options):
    """A method with its one batch, and the network's probabilities for it."""
    torch.manual_seed(0)
    data = make_data(COUNT, batch_size=COUNT)
    method = SCE(make_network(norm=False, dropout=0), data.labels, CLASSES, **options)
    with torch.no_grad():
        method.network.head.weight *= 8  # opinions, so that probabilities differ
    [batch] = method.batches(0, data)
    with torch.no_grad():
        logits = method.network(batch.inputs).double().numpy()
    return method, batch, [softmax(z) for z in logits]


@pytest.mark.parametrize(("alpha", "beta", "a"), [(0.1, 1.0, -4.0), (6.0, 0.1, -4.0), (0.0, 1.0, math.log(1e-4))])
def test_loss_and_its_gradient(alpha, beta, a):
    """α · -Σ q log p + β · -Σ p log q with log 0 = A; the gradient by the logits as the paper derives it."""
    method, batch, p = prepared(alpha=alpha, beta=beta, log_zero=a)
    loss, by_logits = 0.0, np.zeros(CLASSES)
    for row, y in zip(p, batch.y.tolist(), strict=True):
        q = [float(c == y) for c in range(CLASSES)]
        log_q = [0.0 if c == y else a for c in range(CLASSES)]
        ce = -sum(q[c] * math.log(row[c]) for c in range(CLASSES))
        rce = -sum(row[c] * log_q[c] for c in range(CLASSES))
        loss += (alpha * ce + beta * rce) / COUNT
        mean_log_q = sum(row[c] * log_q[c] for c in range(CLASSES))
        for c in range(CLASSES):
            by_logits[c] += (alpha * (row[c] - q[c]) + beta * row[c] * (mean_log_q - log_q[c])) / COUNT
    ours = method(batch)
    ours.backward()
    assert ours.item() == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(method.network.head.bias.grad, by_logits, rtol=1e-4, atol=1e-6)


def test_reverse_cross_entropy_is_absolute_error_where_log_zero_is_minus_two():
    method, batch, p = prepared(alpha=0.0, beta=1.0, log_zero=-2.0)
    absolute = sum(abs((c == y) - row[c]) for row, y in zip(p, batch.y.tolist(), strict=True) for c in range(CLASSES))
    assert method(batch).item() == pytest.approx(absolute / COUNT, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "sce.alpha is -0.1: use at least 0"),
        ({"beta": math.inf}, "sce.beta is inf: use 0 to 1000000000"),
        ({"alpha": 0.0, "beta": 0.0}, "sce.alpha and sce.beta are 0: give one of them a weight above 0"),
        ({"log_zero": 4.0}, "sce.log_zero is 4.0: use a number below 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        SCE(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, **options)
