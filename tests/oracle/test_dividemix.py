"""DivideMix, arXiv 2002.07394, Algorithm 1 a second time: plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, Case, build, make_data
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mixnn import Batch, Classifier, InputError
from mixnn.evidence.forward_pass import eval_pass
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob
from mixnn.methods.dividemix import DivideMix, prior_penalty, sharpen

B, D, C, M = 3, 4, 5, 2  # samples of each kind, width of the embeddings, classes, views


def softmax(z) -> np.ndarray:
    e = [math.exp(v) for v in z]
    return np.array([v / sum(e) for v in e])


def sharpened(p, temperature: float) -> np.ndarray:
    powers = [v ** (1 / temperature) for v in p]
    return np.array([v / sum(powers) for v in powers])


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.floats(0.2, 2))
def test_sharpen(p, temperature):
    p = np.array(p) / sum(p)
    np.testing.assert_allclose(sharpen(torch.tensor(p), temperature), sharpened(p, temperature), rtol=1e-9)


def test_a_certain_label_stays_certain():
    assert sharpen(torch.tensor([[0.0, 1.0, 0.0]]), 0.5).tolist() == [[0, 1, 0]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 5))
def test_prior_penalty(seed, batch, classes):
    logits = np.random.RandomState(seed).normal(size=(batch, classes))
    mean = sum(softmax(row) for row in logits) / batch
    expected = sum(1 / classes * math.log(1 / classes / mean[c]) for c in range(classes))
    np.testing.assert_allclose(prior_penalty(torch.tensor(logits)), expected, rtol=1e-9, atol=1e-12)


def linear(seed: int) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(nn.Identity(), D, C, torch.zeros(D), torch.ones(D))


def probabilities(network: Classifier, x) -> np.ndarray:
    weight, bias = (part.detach().double().numpy() for part in (network.head.weight, network.head.bias))
    return softmax([sum(weight[c][d] * x[d] for d in range(D)) + bias[c] for c in range(C)])


def expected_loss(networks, k, x, y, w, draws, *, temperature, lambda_u, ramp) -> float:
    """Lines 10 to 27 for network k: `x`[labeled or not][view][b], given labels `y`[b], the other's `w`[b]."""
    own, other, (share, order) = networks[k], networks[1 - k], draws
    inputs, targets = [], []
    for labeled in (True, False):
        for m in range(M):
            for b in range(B):
                p = [probabilities(own, x[0 if labeled else 1][view][b]) for view in range(M)]
                if labeled:  # co-refinement
                    one_hot = np.eye(C)[y[b]]
                    q = w[b] * one_hot + (1 - w[b]) * sum(p) / M
                else:  # co-guessing
                    q = (sum(p) + sum(probabilities(other, x[1][view][b]) for view in range(M))) / (2 * M)
                inputs.append(x[0 if labeled else 1][m][b])
                targets.append(sharpened(q, temperature))
    share = max(share, 1 - share)
    used = range(2 * M * B) if lambda_u > 0 else range(M * B)
    mixed = [share * inputs[i] + (1 - share) * inputs[order[i]] for i in used]
    q = [share * targets[i] + (1 - share) * targets[order[i]] for i in used]
    p = [probabilities(own, one) for one in mixed]
    loss_x = -sum(q[i][c] * math.log(p[i][c]) for i in range(M * B) for c in range(C)) / (M * B)
    mean = sum(p) / len(p)
    loss = loss_x + sum(math.log(1 / C / mean[c]) / C for c in range(C))
    if lambda_u > 0:  # the public code's mean over classes as well
        guessed = range(M * B, 2 * M * B)
        loss += lambda_u * ramp * sum((p[i][c] - q[i][c]) ** 2 for i in guessed for c in range(C)) / (M * B * C)
    return loss


@pytest.mark.parametrize(
    ("epoch", "rampup", "ramp"), [(2, 8, 0.0), (6, 8, 0.5), (10, 8, 1.0), (30, 8, 1.0), (2, 0, 1.0)]
)
@pytest.mark.parametrize("lambda_u", [0.0, 25.0])
def test_the_loss_of_a_step(epoch, rampup, ramp, lambda_u):
    options = {"temperature": 0.7, "alpha": 2.0, "lambda_u": lambda_u}
    networks, random = [linear(0), linear(1)], np.random.RandomState(epoch)
    labels = torch.tensor(random.randint(C, size=20))
    method = DivideMix(networks, labels, C, warmup=2, rampup=rampup, **options)
    method.epoch, method.w = epoch, torch.tensor(random.uniform(size=(2, 20)))
    index = torch.tensor(random.randint(20, size=4 * B))  # labeled, unlabeled, of the first and of the second
    views = random.normal(size=(M, 4 * B, D))
    first, second = torch.tensor(views, dtype=torch.float32)
    near = Batch(index[:, None], second[:, None], labels[index][:, None])
    torch.manual_seed(0)  # the shares are 0.78 and 0.34: the second is turned round
    loss = method(Batch(index, first, labels[index], near))

    torch.manual_seed(0)
    expected = 0.0
    for k in (0, 1):
        share = torch.distributions.Beta(2.0, 2.0).sample().item()
        draws = (share, torch.randperm(2 * M * B).tolist())
        x = [views[:, (2 * k + part) * B : (2 * k + part + 1) * B] for part in (0, 1)]
        rows = index[2 * k * B : (2 * k + 1) * B]
        y, w = labels[rows].tolist(), method.w[k, rows].tolist()
        expected += expected_loss(networks, k, x, y, w, draws, temperature=0.7, lambda_u=lambda_u, ramp=ramp)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_warmup_loss(penalty):
    networks, random = [linear(0), linear(1)], np.random.RandomState(0)
    x, y = random.normal(size=(6, D)), random.randint(C, size=6)
    method = DivideMix(networks, torch.tensor(y), C, confidence_penalty=penalty)
    loss = method(Batch(torch.arange(6), torch.tensor(x, dtype=torch.float32), torch.tensor(y)))
    expected = 0.0
    for network in networks:
        p = [probabilities(network, one) for one in x]
        expected -= sum(math.log(p[i][y[i]]) for i in range(6)) / 6
        expected += penalty * sum(p[i][c] * math.log(p[i][c]) for i in range(6) for c in range(C)) / 6
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def divided(**options):
    """Two networks on data of which seven have no label, and what begins an epoch after the warm-up."""
    data = make_data(60, unlabeled=7)
    method, *_ = build(Case("dividemix", DivideMix, {"warmup": 0} | options), data)
    assert isinstance(method, DivideMix)
    method.begin_epoch(0, data)
    return method, data


def judged(method, data):
    """Each network's normalized losses, (2, N), and probabilities, (2, N, C)."""
    known, losses, probs = data.labels >= 0, [], []
    for network in method.classifiers:
        _, p, log_label = eval_pass([network], data)
        loss = -log_label[:, 0]
        losses.append(((loss - loss[known].min()) / (loss[known].max() - loss[known].min())).clamp(0, 1))
        probs.append(p)
    return torch.stack(losses), torch.stack(probs)


def test_each_network_takes_the_division_of_the_other():
    method, data = divided()
    known, (losses, _) = data.labels >= 0, judged(method, data)
    w = [loss_mixture_clean_prob(loss, known)[0] * known for loss in losses]
    clean = [set((one > 0.5).nonzero()[:, 0].tolist()) for one in w]
    assert clean[0] != clean[1]
    assert method.metrics["clean_fraction"] == pytest.approx(sum(map(len, clean)) / 2 / 60)
    drawn = [set(), set(), set(), set()]
    batches = list(method.batches(0, data))
    assert len(batches) == -(-max(map(len, clean)) // (data.batch_size // 2))  # an epoch over the larger labeled set
    for batch in batches:
        for group, index in zip(drawn, batch.index.view(4, -1).tolist(), strict=True):
            group.update(index)
    assert drawn[0] == clean[1] or drawn[2] == clean[0]  # the larger one is gone through to the end
    assert all(drawn[2 * k] <= clean[1 - k] for k in (0, 1))
    assert all(drawn[2 * k + 1].isdisjoint(clean[1 - k]) for k in (0, 1))
    assert not known[list(drawn[1] | drawn[3])].all()  # without a label a sample is one of the unlabeled
    torch.testing.assert_close(method.w, torch.stack([w[1], w[0]]), rtol=1e-4, atol=1e-5)


def test_the_mixture_sees_the_mean_of_the_latest_passes():
    method, data = divided(loss_window=2)
    passes = [judged(method, data)[0]]
    for epoch in (1, 2):
        with torch.no_grad():
            for network in method.classifiers:
                network.head.weight.add_(torch.randn_like(network.head.weight))
        method.begin_epoch(epoch, data)
        passes.append(judged(method, data)[0])
    known, mean = data.labels >= 0, (passes[1] + passes[2]) / 2
    w = [loss_mixture_clean_prob(loss, known, normalized=True)[0] * known for loss in mean]
    torch.testing.assert_close(method.w, torch.stack([w[1], w[0]]), rtol=1e-3, atol=1e-4)


def test_what_it_says_of_every_label():
    """Refined where the other network thinks it clean, else guessed by both; without augmentation."""
    method, data = divided(temperature=0.6)
    _, probs = judged(method, data)
    method.end_epoch()
    p, w = probs.double().numpy(), method.w.double().numpy()
    for i, label in enumerate(data.labels.tolist()):
        expected = np.zeros(CLASSES)
        for k in (0, 1):
            q = (p[0][i] + p[1][i]) / 2
            if w[k][i] > 0.5:
                q = w[k][i] * np.eye(CLASSES)[label] + (1 - w[k][i]) * p[k][i]
            expected += sharpened(q, 0.6) / 2
        np.testing.assert_allclose(method.soft_targets()[i], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("clean", [0.0, 1.0])
def test_a_part_that_is_empty_is_the_whole(clean):
    method, data = divided()
    known = data.labels >= 0
    method.w = torch.full((2, 67), clean) * known
    groups = torch.cat([batch.index.view(4, -1) for batch in method.batches(0, data)], 1)
    for labeled, unlabeled in (groups[:2], groups[2:]):
        assert set(labeled.tolist()) == set(known.nonzero()[:, 0].tolist())
        assert set(unlabeled.tolist()) <= (set(range(67)) if clean == 0 else set((~known).nonzero()[:, 0].tolist()))
    method.w = torch.ones(2, 67)  # as where every sample has a label
    groups = torch.cat([batch.index.view(4, -1) for batch in method.batches(0, data)], 1)
    assert len(set(groups[1].tolist())) == 67


def test_batch_norm_learns_from_the_own_passes_only():
    """Four that guess and one that learns; the other network guesses in eval mode."""
    method, data = divided()
    method.train()
    method(next(method.batches(0, data)))
    counts = [part.num_batches_tracked.item() for part in method.modules() if isinstance(part, nn.BatchNorm2d)]
    assert counts == [5, 5]
    assert all(network.training for network in method.classifiers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("warmup", -1), ("confidence_penalty", -1.0), ("threshold", 1.0), ("threshold", -0.1), ("temperature", 0.0)],
        *[("alpha", 0.0), ("lambda_u", -1.0), ("lambda_u", math.inf), ("rampup", -1), ("loss_window", 0)],
    ],
)
def test_options_out_of_range(name, value):
    with pytest.raises(InputError, match=rf"^dividemix\.{name} is {value}: use "):
        DivideMix([linear(0), linear(1)], torch.zeros(4, dtype=torch.int64), C, **{name: value})


def test_balanced_batches_are_refused():
    data = make_data()
    method, *_ = build(Case("dividemix", DivideMix), data)
    data.balanced = True
    with pytest.raises(InputError, match="--balanced"):
        method.begin_epoch(0, data)
