"""Co-teaching step by step: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, Case, build, make_data, make_network
from torch.nn.functional import one_hot

from mixnn import fit
from mixnn.errors import InputError
from mixnn.methods.coteaching import CoTeaching, estimate_noise_rate

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
        assert method.metrics["clean_fraction"] == pytest.approx(r)
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


def wrong_by_hand(p, labels) -> float:
    """Of the surest tenth of those predicted as c, at least one, the part with another label; all classes together."""
    predicted = [max(range(CLASSES), key=row.__getitem__) for row in p]
    wrong = 0.0
    for c in range(CLASSES):
        own = sorted((i for i in range(len(p)) if predicted[i] == c), key=lambda i: -p[i][c])
        surest = own[: math.ceil(len(own) / 10)]
        wrong += len(own) * sum(labels[i] != c for i in surest) / max(len(surest), 1)
    return wrong / len(p)


def test_the_share_of_wrong_labels_is_estimated_until_the_share_left_out_is_full():
    data = make_data(150, unlabeled=7)
    known = data.labels >= 0
    estimates, expected = [], []

    class Watched(CoTeaching):
        def begin_epoch(self, epoch, data):
            x = torch.cat(list(data.full_batches()))[known]
            p = self.eval().predict(x).tolist()
            expected.append(wrong_by_hand(p, data.labels[known].tolist()))
            self.train()
            super().begin_epoch(epoch, data)
            estimates.append(self.estimate.item())

    method, optimizer, scheduler = build(Case("coteaching", Watched, {"rampup": T_K}), data)
    fit(method, data, optimizer, scheduler, epochs=T_K + 3)
    expected = [0.0, *expected[1 : T_K + 1], *[expected[T_K]] * 2]  # anew up to T_k, and no more after
    np.testing.assert_allclose(estimates, expected, atol=1e-6)
    assert expected[T_K] > 0
    assert method.metrics["clean_fraction"] == pytest.approx(1 - expected[T_K])


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.6])
def test_wrong_share_is_the_rate_of_the_noise_where_sure_predictions_are_right(rate):
    random = torch.Generator().manual_seed(0)
    true = torch.randint(0, CLASSES, (20_000,), generator=random)
    sure = torch.rand(20_000, generator=random)
    right = torch.rand(20_000, generator=random) < 0.4 + sure  # the surest four tenths at least
    predicted = torch.where(right, true, (true + 1) % CLASSES)
    probs = 0.2 * (1 - sure[:, None]) + 0.8 * sure[:, None] * one_hot(predicted, CLASSES)
    wrong = torch.rand(20_000, generator=random) < rate
    labels = torch.where(wrong, (true + 1 + torch.randint(0, 2, (20_000,), generator=random)) % CLASSES, true)
    assert estimate_noise_rate(probs, labels).item() == pytest.approx(rate, abs=0.03)


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
