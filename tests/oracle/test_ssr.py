"""SSR's equations a second time, in plain Python: relabeling, balanced vote, consistency, sampling, both losses."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network
from hypothesis import given
from hypothesis import strategies as st

from mixnn import InputError
from mixnn.methods import ssr as ours
from mixnn.methods.ssr import SSR

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 8), st.integers(2, 5), st.floats(0, 1))
def test_what_the_classifier_is_sure_of_is_relabeled(seed, n, c, theta_r):
    random = np.random.RandomState(seed)
    p, labels = random.dirichlet(np.full(c, 0.3), size=n), random.randint(-1, c, size=n)
    expected = []
    for i in range(n):
        best = max(range(c), key=lambda k: p[i][k])
        expected.append(best if p[i][best] > theta_r else labels[i])
    assert ours.relabel(torch.tensor(labels), torch.tensor(p), theta_r).tolist() == expected


@given(seeds, st.integers(2, 12), st.integers(2, 4), st.integers(1, 6))
def test_selected_is_whose_label_wins_the_balanced_vote(seed, n, c, k):
    random = np.random.RandomState(seed)
    labels, neighbors = random.randint(-1, c, size=n), random.randint(n, size=(n, k))  # -1: nobody knows
    pi = [max(1, sum(1 for y in labels if y == kind)) for kind in range(c)]
    q = ours.balanced_vote(torch.tensor(labels), torch.tensor(neighbors), c)
    share = ours.consistency(q, torch.tensor(labels))
    for i in range(n):
        votes = [sum(1 for j in neighbors[i] if labels[j] == kind) for kind in range(c)]
        expected = [votes[kind] / k / pi[kind] for kind in range(c)]
        np.testing.assert_allclose(q[i], expected, rtol=1e-6)
        if labels[i] < 0 or max(expected) == 0:
            assert share[i] == 0
        else:
            np.testing.assert_allclose(share[i], expected[labels[i]] / max(expected), rtol=1e-6)
            # At θ_s = 1 it must be exact, in whole numbers: v_l / π_l ≥ v_j / π_j for all j.
            wins = all(votes[labels[i]] * pi[j] >= votes[j] * pi[labels[i]] for j in range(c))
            assert (share[i] >= 1) == wins


@given(seeds, st.integers(1, 20), st.integers(1, 5))
def test_every_class_comes_as_often_as_the_most_frequent(seed, m, c):
    random = np.random.RandomState(seed)
    rows, labels = random.permutation(100)[:m], random.randint(c, size=m)
    drawn = ours.class_balanced(torch.tensor(rows), torch.tensor(labels)).tolist()
    label_of = dict(zip(rows, labels, strict=True))
    largest = max(np.bincount(labels))
    assert set(drawn) == set(rows)
    for kind in set(labels):
        own = [row for row in drawn if label_of[row] == kind]
        assert len(own) == largest
        counts = [own.count(row) for row in set(own)]
        assert max(counts) - min(counts) <= 1


def built(**options) -> SSR:
    torch.manual_seed(0)
    data = make_data()
    method = SSR(make_network(norm=False, dropout=0), data.labels, CLASSES, **options)
    method.begin_epoch(0, data)
    return method


def pixels(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


def projected(method: SSR, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Projections and predictions of these pixels, (B, …) each."""
    z = method.h_proj(method.network.features(method.network.normalized(pixels(images))))
    return z.detach().double().numpy(), method.h_pred(z).detach().double().numpy()


@pytest.mark.parametrize("theta_s", [0.6, 1.0])
def test_an_epoch_begins_with_a_vote_of_the_nearest_on_new_labels(theta_s: float) -> None:
    """l^r, the neighbors, q, c and the selection, from the network's answers for each image."""
    torch.manual_seed(0)
    data, k = make_data(unlabeled=10), 5
    n = len(data)
    method = SSR(make_network(), data.labels, CLASSES, theta_r=0.37, theta_s=theta_s, neighbors=k)
    method.begin_epoch(0, data)

    with torch.no_grad():
        features, logits = method.network.eval().features_and_logits(torch.cat(list(data.full_batches())))
    z, given = features.double().numpy(), data.labels.tolist()
    cosine = [[np.dot(z[i], z[j]) / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) for j in range(n)] for i in range(n)]
    labels = []
    for i, p in enumerate(logits.softmax(1).tolist()):
        labels.append(p.index(max(p)) if max(p) > 0.37 else given[i])
    assert method.relabeled.tolist() == labels
    assert 0 < sum(new != old for new, old in zip(labels, given, strict=True)) < n

    selected = []
    for i in range(n):
        neighbors = sorted((j for j in range(n) if j != i), key=lambda j: -cosine[i][j])[:k]
        q = [Fraction(sum(labels[j] == c for j in neighbors), k * max(1, labels.count(c))) for c in range(CLASSES)]
        selected.append(given[i] >= 0 and q[labels[i]] / max(q) >= theta_s)
    assert method.selected.tolist() == selected
    assert method.metrics["clean_fraction"] == pytest.approx(sum(selected) / 47)


def test_selected_samples_are_mixed_and_all_views_agree() -> None:
    """L = L_ce + λ L_fc, with the random numbers drawn as the method draws them."""
    method = built(feature_consistency=0.7, theta_r=0.36, mixup_alpha=2.0)
    batch = next(method.batches(0, make_data()))
    partners, b = batch.partners, 16
    assert partners is not None
    assert method.selected[batch.index[:b]].all()
    assert (method.relabeled != make_data().labels)[batch.index[:b]].any()
    assert len(batch.index) == 2 * b

    torch.manual_seed(5)
    order = torch.randperm(2 * b).tolist()
    share = torch.distributions.Beta(2.0, 2.0).sample().item()
    share = max(share, 1 - share)
    x = [pixels(image) for image in [*batch.inputs[:b], *partners.inputs[:b, 0]]]
    labels = [int(method.relabeled[i]) for i in [*batch.index[:b], *batch.index[:b]]]
    cross = 0.0
    for i, j in enumerate(order):
        logits = method.network((share * x[i] + (1 - share) * x[j])[None])[0].tolist()
        total = math.log(sum(math.exp(z) for z in logits))
        cross -= share * (logits[labels[i]] - total) + (1 - share) * (logits[labels[j]] - total)

    z1, _ = projected(method, batch.inputs[b:])
    _, h2 = projected(method, partners.inputs[b:, 0])
    cosines = [np.dot(z1[i], h2[i]) / np.linalg.norm(z1[i]) / np.linalg.norm(h2[i]) for i in range(b)]

    torch.manual_seed(5)
    expected = cross / (2 * b) - 0.7 * sum(cosines) / b
    assert method(batch).item() == pytest.approx(expected, rel=1e-5)  # float32


def test_only_the_predicted_view_is_learned_from() -> None:
    method = built()
    x1, x2 = torch.rand(2, 8, 3, 8, 8).requires_grad_().unbind()
    x1.retain_grad()
    x2.retain_grad()
    method._feature_loss(x1, x2).backward()
    assert x1.grad is None
    assert x2.grad is not None
    assert x2.grad.abs().sum() > 0


def test_warm_up_selects_all_as_they_are_labeled() -> None:
    method = built(warmup=1, theta_r=0.0)
    data = make_data()
    assert method.metrics["clean_fraction"] == 1
    assert torch.equal(method.relabeled, data.labels)
    method.begin_epoch(1, data)  # θ_r = 0 believes the classifier throughout
    assert not torch.equal(method.relabeled, data.labels)


def test_where_nothing_is_selected_all_are_drawn() -> None:
    method = built(feature_consistency=0.0)
    method.selected = torch.zeros_like(method.selected)
    drawn = torch.cat([batch.index for batch in method.batches(0, make_data(batch_size=47))])
    assert len(drawn.unique()) > 40


def test_fewer_neighbors_vote_in_small_classes() -> None:
    labels = torch.arange(47) % CLASSES
    assert SSR(make_network(), labels, CLASSES).neighbors == 15
    assert SSR(make_network(), labels.repeat(20), CLASSES).neighbors == 200
    assert SSR(make_network(), labels[:2], CLASSES).neighbors == 1


OUT_OF_RANGE = [
    *({"neighbors": value} for value in (0, 47)),
    *({"theta_r": value} for value in (-0.1, 1.1, math.nan)),
    *({"mixup_alpha": value} for value in (0.0, math.inf)),
    {"theta_s": -0.1},
    {"warmup": -1},
    {"feature_consistency": -1.0},
]


@pytest.mark.parametrize("option", OUT_OF_RANGE, ids=str)
def test_options_out_of_range_are_named(option) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        built(**option)
