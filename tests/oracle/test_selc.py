"""SELC step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network

from mixnn.errors import InputError
from mixnn.methods.selc import SELC

ALPHA, CORRECT_FROM = 0.7, 2
COUNT, EPOCHS = 20, 6


def softmax(logits: np.ndarray) -> list[float]:
    e = [math.exp(z) for z in logits]
    return [v / sum(e) for v in e]


def test_loss_gradient_and_targets_over_several_epochs():
    """Cross-entropy first; then L = -1/n Σ t·log p with t = α^m y + (1 - α) Σ_j α^(m - j) p_j after m corrections."""
    data = make_data(COUNT, batch_size=COUNT)
    method = SELC(make_network(norm=False, dropout=0), data.labels, CLASSES, correct_from=CORRECT_FROM, alpha=ALPHA)
    said: list[list[list[float]]] = [[] for _ in range(COUNT)]  # p of every correction, by sample
    for epoch in range(EPOCHS):
        method.begin_epoch(epoch, data)
        [batch] = method.batches(epoch, data)
        with torch.no_grad():
            logits = method.network(batch.inputs).double().numpy()
        loss, by_logits, targets = 0.0, np.zeros(CLASSES), np.zeros((COUNT, CLASSES))
        for z, i, y in zip(logits, batch.index.tolist(), batch.y.tolist(), strict=True):
            p = softmax(z)
            if epoch >= CORRECT_FROM:
                said[i].append(p)
            m = len(said[i])
            for c in range(CLASSES):
                ensemble = sum(ALPHA ** (m - j) * said[i][j - 1][c] for j in range(1, m + 1))
                targets[i][c] = ALPHA**m * (c == y) + (1 - ALPHA) * ensemble
                loss -= targets[i][c] * math.log(p[c]) / COUNT
                by_logits[c] += (p[c] - targets[i][c]) / COUNT
        ours = method(batch)
        method.zero_grad()
        ours.backward()
        assert ours.item() == pytest.approx(loss, rel=1e-5)
        bias = method.network.head.bias
        np.testing.assert_allclose(bias.grad, by_logits, rtol=1e-4, atol=1e-6)  # what reaches the bias is ∂L/∂logits
        with torch.no_grad():
            for parameter in method.parameters():
                parameter -= 0.5 * parameter.grad
        method.end_epoch()
        np.testing.assert_allclose(method.soft_targets(), targets, rtol=1e-5, atol=1e-7)
    assert len(said[0]) == EPOCHS - CORRECT_FROM


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "selc.alpha is -0.1: use 0 to 1"),
        ({"correct_from": -1}, "selc.correct_from is -1: use at least 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        SELC(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, **options)
