"""What holds for the equations whatever the numbers."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from mixnn.errors import InputError
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob, min_max
from mixnn.methods.losses import linear_loss, nll, one_hot_or_uniform, soft_cross_entropy
from mixnn.methods.mixing import ema, mix, mixing_weights, neighbor_agreement
from mixnn.training.metrics import calibration_error, confidence_bins

# Losses as a training gives them, with ties now and then.
loss = st.one_of(st.floats(0, 20, width=32), st.sampled_from([0.0, 0.5, 2.0, 8.0]))
losses = st.lists(loss, min_size=2, max_size=40).map(torch.tensor)
unequal = losses.filter(lambda x: bool(x.min() < x.max()))
seeds = st.integers(0, 2**32 - 1)

# A broad lower component, a narrow upper one, and two losses above both.
NARROW_UPPER = torch.cat([torch.linspace(0, 3, 40), torch.linspace(3.9, 4.1, 40), torch.tensor([5.0, 6.0])])


def uniform(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def simplex(seed: int, n: int, c: int) -> torch.Tensor:
    return uniform(seed, n, c).add(1e-3).log().softmax(1)


@given(unequal)
def test_min_max_reaches_from_zero_to_one_and_keeps_the_order(x):
    y = min_max(x)
    assert y.min() == 0
    assert y.max() == 1
    assert (y[x.argsort()].diff() >= 0).all()


partly_known = unequal.flatmap(  # losses, and which of them count: at least two different ones
    lambda x: st.tuples(st.just(x), st.lists(st.booleans(), min_size=len(x), max_size=len(x)).map(torch.tensor))
).filter(lambda pair: len(pair[0][pair[1]].unique()) > 1)


@given(partly_known)
def test_min_max_of_the_known_cuts_the_others(pair):
    x, known = pair
    y = min_max(x, known)
    assert torch.equal(y[known], min_max(x[known]))
    assert ((y >= 0) & (y <= 1)).all()
    assert (y[x.argsort()].diff() >= 0).all()


@given(partly_known)
def test_clean_probability_of_the_known_does_not_see_the_others(pair):
    x, known = pair
    (w, mixture), (alone, expected) = loss_mixture_clean_prob(x, known), loss_mixture_clean_prob(x[known])
    assert torch.equal(w[known], alone)
    assert all(torch.equal(*both) for both in zip(mixture[:3], expected[:3], strict=True))
    assert (w[x.argsort()].diff() <= 1e-7).all()  # the others are judged by the same curve


def test_nothing_speaks_against_a_label_where_only_the_unknown_differ():
    w, mixture = loss_mixture_clean_prob(torch.tensor([1.0, 1.0, 7.0]), torch.tensor([True, True, False]))
    assert torch.equal(w, torch.ones(3))
    assert mixture is None


def test_a_label_nobody_knows_is_every_label():
    rows = one_hot_or_uniform(torch.tensor([2, -1, 0, -2]), 4)
    expected = [[0.0, 0.0, 1.0, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.25] * 4]
    assert torch.equal(rows, torch.tensor(expected))


@given(losses)
def test_clean_probability_is_a_probability(x):
    for monotone in (True, False):
        w, mixture = loss_mixture_clean_prob(x, monotone=monotone)
        assert w.dtype == torch.float32
        assert w.shape == x.shape
        assert ((w >= 0) & (w <= 1)).all()
        if mixture is not None:
            assert mixture.means[0] <= mixture.means[1]
            assert mixture.weights.sum().item() == pytest.approx(1)


@given(unequal)
@example(NARROW_UPPER)
def test_clean_probability_falls_with_the_loss(x):
    w, _ = loss_mixture_clean_prob(x, monotone=True)
    assert (w[x.argsort()].diff() <= 1e-7).all()


def test_without_monotone_the_plain_posterior_turns_back():
    """Left of a narrow lower component: what `monotone` is there for."""
    x = torch.cat([torch.tensor([0.0]), torch.linspace(0.9, 1.1, 40), torch.linspace(1, 9, 40)])
    plain, held = (loss_mixture_clean_prob(x, monotone=monotone)[0] for monotone in (False, True))
    assert plain[0] < 0.01
    assert held[0] == held.max() > 0.9


@given(unequal, st.randoms(use_true_random=False))
def test_clean_probability_of_permuted_losses(x, random):
    order = torch.tensor(random.sample(range(len(x)), len(x)))
    torch.testing.assert_close(
        loss_mixture_clean_prob(x[order])[0], loss_mixture_clean_prob(x)[0][order], atol=1e-6, rtol=0
    )


@given(unequal)
def test_clean_probability_does_not_depend_on_the_unit_of_the_loss(x):
    assert torch.equal(loss_mixture_clean_prob(4 * x)[0], loss_mixture_clean_prob(x)[0])  # a factor without rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 100])
def test_nothing_speaks_against_any_label_where_all_losses_are_equal(dtype, n):
    w, mixture = loss_mixture_clean_prob(torch.full((n,), 2.3, dtype=dtype))
    assert torch.equal(w, torch.ones(n))
    assert w.dtype == torch.float32
    assert mixture is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_losses_that_are_not_finite(bad):
    with pytest.raises(InputError, match=r"not finite.*lower --lr"):
        loss_mixture_clean_prob(torch.tensor([0.1, bad, 0.3]))


@given(seeds, st.integers(2, 10), st.integers(0, 5))
def test_mixing_weights_are_shares(seed, n, k):
    w = uniform(seed, n).mul(2).sub(0.5).clamp(0, 1)  # some are exactly 0, some exactly 1
    near = torch.randint(n, (n, k), generator=torch.Generator().manual_seed(seed))
    a = mixing_weights(w, near)
    assert a.shape == (n, 1 + k)
    assert (a >= 0).all()
    torch.testing.assert_close(a.sum(1), torch.ones(n))


def test_certainly_wrong_samples_share_equally():
    a = mixing_weights(torch.zeros(4), torch.tensor([[1, 2, 3]]).expand(4, 3))
    torch.testing.assert_close(a, torch.full((4, 4), 0.25))


def test_a_certainly_wrong_sample_leaves_all_to_its_clean_neighbor():
    a = mixing_weights(torch.tensor([0.0, 1.0]), torch.tensor([[1], [0]]))
    torch.testing.assert_close(a, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), atol=1e-6, rtol=0)


@given(seeds, st.integers(2, 10), st.randoms(use_true_random=False))
def test_mixing_weights_of_a_permuted_data_set(seed, n, random):
    w, near = uniform(seed, n), torch.randint(n, (n, 2), generator=torch.Generator().manual_seed(seed))
    order = torch.tensor(random.sample(range(n), n))
    place = order.argsort()  # where each sample went
    assert torch.equal(mixing_weights(w[order], place[near[order]]), mixing_weights(w, near)[order])


@given(seeds, st.integers(1, 5))
def test_without_neighbors_mixing_returns_the_sample_itself(seed, b):
    nobody = torch.empty(b, 0, dtype=torch.int64)
    a = mixing_weights(uniform(seed, b), nobody)
    x, t = uniform(seed, b, 3, 4, 4), simplex(seed, b, 3)
    assert torch.equal(mix(x, x[nobody], a), x)
    assert torch.equal(mix(t, t[nobody], a), t)


@given(seeds, st.integers(1, 5), st.integers(1, 4))
def test_mixing_stays_between_the_samples(seed, b, k):
    own, others = uniform(seed, b, 3), uniform(seed + 1, b, k, 3)
    members = torch.cat([own[:, None], others], 1)
    mixed = mix(own, others, simplex(seed, b, 1 + k))
    assert (mixed <= members.amax(1) + 1e-6).all()
    assert (mixed >= members.amin(1) - 1e-6).all()


@given(seeds, st.integers(1, 5), st.integers(2, 6))
def test_losses_of_certain_targets(seed, b, c):
    logits = 4 * uniform(seed, b, c)
    labels = torch.randint(c, (b,), generator=torch.Generator().manual_seed(seed))
    certain = one_hot(labels, c).float()
    torch.testing.assert_close(soft_cross_entropy(logits, certain), cross_entropy(logits, labels))
    torch.testing.assert_close(nll(logits.log_softmax(1), labels).mean(), cross_entropy(logits, labels))
    assert -1 <= linear_loss(logits, certain) <= 0


@given(seeds, st.integers(1, 5), st.integers(2, 6), st.floats(0, 1))
def test_corrected_targets_stay_probabilities(seed, n, c, alpha):
    t, p = simplex(seed, n, c), simplex(seed + 1, n, c)
    new = ema(t, p, alpha)
    torch.testing.assert_close(new.sum(1), torch.ones(n))
    assert torch.equal(ema(t, p, 1.0), t)
    assert torch.equal(ema(t, p, 0.0), p)


def test_neighbor_agreement_counts_equal_labels():
    labels = torch.tensor([0, 0, 1, 0])
    near = torch.tensor([[1, 3], [0, 2], [0, 1], [2, 2]])
    assert neighbor_agreement(labels, near).tolist() == [1.0, 0.5, 0.0, 0.0]


def test_bytes_mix_as_their_floats_do():
    own, others = (torch.randint(0, 256, shape, dtype=torch.uint8) for shape in ((5, 3, 4, 4), (5, 2, 3, 4, 4)))
    weights = torch.rand(5, 3).softmax(1)
    torch.testing.assert_close(mix(own, others, weights), mix(own / 255, others / 255, weights))


def test_neighbors_without_a_target_get_nothing():
    near, telling = torch.tensor([[1, 2], [0, 2], [0, 1]]), torch.tensor([True, True, False])
    a = mixing_weights(torch.tensor([0.0, 0.0, 0.9]), near, telling)
    torch.testing.assert_close(a[:2], torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]))  # equally bad ones share
    assert a[0, 2] == a[1, 2] == 0


@given(seeds, st.integers(1, 60), st.integers(2, 6))
def test_calibration_error_is_the_mean_gap_of_the_bins(seed, n, c):
    probs, labels = simplex(seed, n, c), torch.arange(n) % c
    confidence, right = probs.max(1).values, probs.argmax(1) == labels
    expected = 0.0
    for k in range(15):  # Guo et al., Eq. 3
        own = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if own.any():
            expected += own.sum() / n * abs(right[own].double().mean() - confidence[own].double().mean())
    assert calibration_error(confidence_bins(probs, labels)) == pytest.approx(float(expected), abs=1e-6)


@given(seeds, st.integers(2, 60))
def test_bins_of_batches_add_up(seed, n):
    probs, labels = simplex(seed, n, 4), torch.arange(n) % 4
    parts = [confidence_bins(probs[own], labels[own]) for own in (slice(0, n // 2), slice(n // 2, n))]
    torch.testing.assert_close(sum(parts), confidence_bins(probs, labels))


def test_one_who_is_always_sure_and_right_half_of_the_time_errs_by_half():
    assert calibration_error(confidence_bins(torch.eye(2)[[0, 0]], torch.tensor([0, 1]))) == 0.5
