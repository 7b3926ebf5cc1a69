"""Co-learning's losses, pair by pair in plain Python over float64, against ours."""

import math

import numpy as np
import pytest
import torch
from contract.cases import CLASSES, make_data, make_network
from hypothesis import given
from hypothesis import strategies as st

from mixnn.errors import InputError
from mixnn.methods.colearning import CoLearning, contrastive_loss, structural_loss

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return sum(a * b) / math.sqrt(sum(a * a) * sum(b * b))


def squared(a: np.ndarray, b: np.ndarray) -> float:
    return sum((a - b) ** 2)


def contrast(views: np.ndarray, tau: float) -> float:
    """Eq. 9 and 10 over views (2, B, P), the mean for the sum; SimCLR's denominator, in which the positive stands."""
    places = [(t, i) for t in range(2) for i in range(views.shape[1])]

    def e(one: tuple[int, int], other: tuple[int, int]) -> float:
        return math.exp(cosine(views[one], views[other]) / tau)

    losses = []
    for t, i in places:
        others = [place for place in places if place != (t, i)]
        losses.append(-math.log(e((t, i), (1 - t, i)) / sum(e((t, i), other) for other in others)))
    return sum(losses) / len(losses)


def structure(v: np.ndarray, y: np.ndarray, sigma: float) -> float:
    """Eq. 11 and 12, over the B² pairs; a pair of one sample with itself adds nothing."""

    def p(d: float) -> float:
        c = sigma * math.sqrt(2 * math.pi)
        return c / (sigma * math.sqrt(2 * math.pi)) * math.exp(-0.5 * (d / sigma) ** 2)

    total = 0.0
    for i in range(len(v)):
        for j in range(len(v)):
            if i != j:
                p_v, p_y = p(math.sqrt(squared(v[i], v[j]))), p(math.sqrt(squared(y[i], y[j])))
                total += p_v * math.log(p_v / p_y)
    return total / len(v) ** 2


@given(seeds, sizes, st.integers(1, 5), st.floats(0.1, 2))
def test_intrinsic_similarity(seed, b, width, tau):
    views = np.random.RandomState(seed).normal(size=(2, b, width))
    ours = contrastive_loss(torch.tensor(views[0]), torch.tensor(views[1]), tau)
    np.testing.assert_allclose(ours, contrast(views, tau), rtol=1e-9, atol=1e-12)


@given(seeds, sizes, st.integers(1, 5), st.floats(0.3, 2))
def test_structural_similarity(seed, b, width, sigma):
    random = np.random.RandomState(seed)
    v, y = random.normal(size=(b, width)), random.normal(size=(b, 3))
    ours = structural_loss(torch.tensor(v), torch.tensor(y), sigma)
    np.testing.assert_allclose(ours, structure(v, y, sigma), rtol=1e-9, atol=1e-12)


def test_logits_as_far_apart_as_projections_have_the_same_structure():
    v = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    turned = v[:, [2, 0, 1]] + 7  # same distances
    torch.testing.assert_close(structural_loss(v, turned, 0.5), torch.tensor(0.0), rtol=0, atol=1e-5)


def test_the_loss_of_a_step_is_the_sum_of_three():
    """Eq. 4, from the network's answers for the two views of one batch, without batch norm and dropout."""
    data = make_data(augment="crop-flip")
    method = CoLearning(
        make_network(norm=False, dropout=0),
        data.labels,
        CLASSES,
        mixup_alpha=2.0,
        contrast_weight=0.5,
        structure_weight=3.0,
    )
    batch = next(method.batches(0, data))
    torch.manual_seed(0)
    ours = method(batch)

    torch.manual_seed(0)  # the draws of a step: who is mixed with whom, and how much of each
    share, partner = torch.distributions.Beta(2.0, 2.0).sample().item(), torch.randperm(len(batch.y))
    with torch.no_grad():
        mixed = share * batch.x + (1 - share) * batch.x[partner]
        log_p = method.network(mixed).log_softmax(1).double()
        features, logits = method.network.features_and_logits(batch.inputs)
        other_features, _ = method.network.features_and_logits(batch.partners.inputs[:, 0])
        views = method.projection(torch.stack([features, other_features])).double().numpy()  # (2, B, P)
    supervised = 0.0
    for i, m in enumerate(partner.tolist()):
        supervised -= share * log_p[i, batch.y[i]].item() + (1 - share) * log_p[i, batch.y[m]].item()
    intrinsic, structural = contrast(views, 0.5), structure(views[0], logits.double().numpy(), 0.5)
    expected = supervised / len(batch.y) + 0.5 * intrinsic + 3 * structural
    assert ours.item() == pytest.approx(expected, rel=1e-5)


def test_structure_teaches_the_classifier_and_not_the_projection():
    data = make_data()
    method = CoLearning(make_network(), data.labels, CLASSES)
    batch = next(method.batches(0, data))
    gradients = []
    for weight in (0.0, 5.0):
        method.structure_weight = weight
        method.zero_grad()
        torch.manual_seed(0)
        method(batch).backward()
        gradients.append((method.projection[0].weight.grad.clone(), method.network.head.weight.grad.clone()))
    (projection, head), (same_projection, other_head) = gradients
    assert torch.equal(projection, same_projection)
    assert not torch.allclose(head, other_head)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("mixup_alpha", 0.0),
        ("temperature", float("inf")),
        ("sigma", -1.0),
        ("projection_width", 0),
        ("contrast_weight", -1.0),
        ("structure_weight", float("nan")),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(InputError, match=f"colearning.{option} is {value}: use "):
        CoLearning(make_network(), make_data().labels, CLASSES, **{option: value})
