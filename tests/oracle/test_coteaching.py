"""Co-teaching step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, Case, build, make_data, make_network

from mixnn import fit
from mixnn.errors import InputError
from mixnn.methods.coteaching import CoTeaching

COUNT, TAU, T_K = 20, 0.3, 4


def losses(logits, labels) -> list[float]:
    return [math.log(sum(math.exp(v) for v in z)) - z[y] for z, y in zip(logits, labels, strict=True)]


def softmax(z) -> list[float]:
    e = [math.exp(v) for v in z]
    return [v / sum(e) for v in e]


def test_each_network_learns_from_what_the_other_one_picks():
    """D_f = argmin over D' with |D'| ≥ R(T) |D| of l(f, D'), R(T) = 1 - min(T / T_k τ, τ); f learns from D_g."""
    torch.manual_seed(0)
    data = make_data(COUNT, batch_size=COUNT)
    method = CoTeaching(
        [make_network(norm=False, dropout=0) for _ in range(2)], data.labels, CLASSES, forget_rate=TAU, rampup=T_K
    )
    picked_apart = 0
    for epoch in range(T_K + 2):
        method.begin_epoch(epoch, data)
        [batch] = method.batches(epoch, data)
        y = batch.y.tolist()
        with torch.no_grad():
            logits = [network(batch.inputs).double().numpy() for network in method.networks]
        each = [losses(z, y) for z in logits]
        r = 1 - min(epoch / T_K * TAU, TAU)
        size = math.ceil(r * COUNT - 1e-9)
        assert method.figures["clean_share"] == pytest.approx(r)
        picked = [sorted(range(COUNT), key=own.__getitem__)[:size] for own in each]
        picked_apart += set(picked[0]) != set(picked[1])
        expected = sum(each[0][i] for i in picked[1]) / size + sum(each[1][i] for i in picked[0]) / size
        ours = method(batch)
        method.zero_grad()
        ours.backward()
        assert ours.item() == pytest.approx(expected, rel=1e-5)
        for k in (0, 1):
            rows = [[p - (c == y[i]) for c, p in enumerate(softmax(logits[k][i]))] for i in picked[1 - k]]
            np.testing.assert_allclose(method.classifiers[k].head.bias.grad, np.mean(rows, 0), rtol=1e-4, atol=1e-6)
        with torch.no_grad():
            for parameter in method.parameters():
                parameter -= 0.5 * parameter.grad
    assert picked_apart > 0
    assert size == 14


def test_the_share_of_wrong_labels_is_estimated_until_the_share_left_out_is_full():
    data = make_data(150)  # every fifth label is wrong
    estimates = []

    class Watched(CoTeaching):
        def end_epoch(self):
            super().end_epoch()
            estimates.append(self.estimate.item())

    method, optimizer, scheduler = build(Case("coteaching", Watched, {"rampup": T_K}), data, dropout=0)
    fit(method, data, optimizer, scheduler, epochs=T_K + 3)
    assert estimates[0] == 0
    assert len(set(estimates[1:])) == T_K  # anew in each epoch up to T_k, and no more after
    assert estimates[T_K:] == [estimates[T_K]] * 3
    assert estimates[T_K] == pytest.approx(0.2, abs=0.02)
    assert method.figures["clean_share"] == pytest.approx(1 - estimates[T_K])


@pytest.mark.parametrize("forget_rate", [0.0, 0.999])
def test_somebody_always_stays(forget_rate):
    data = make_data(3)
    networks = [make_network(), make_network()]
    method = CoTeaching(networks, data.labels, CLASSES, forget_rate=forget_rate, rampup=1)
    method.begin_epoch(5, data)
    for batch in method.batches(5, data):
        assert method(batch).isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forget_rate": 1.0}, "coteaching.forget_rate is 1.0: use 0 to below 1, or leave it off"),
        ({"forget_rate": -0.1}, "coteaching.forget_rate is -0.1: use 0 to below 1, or leave it off"),
        ({"rampup": 0}, "coteaching.rampup is 0: use at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        CoTeaching([make_network(), make_network()], torch.zeros(4, dtype=torch.int64), CLASSES, **options)
