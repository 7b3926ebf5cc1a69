"""Noise that was drawn is found again from neighbours; where nothing speaks against labels they are believed."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from mixnn.belief import believed, calibration, equalized, powered
from mixnn.bounds import estimate_bounds
from mixnn.confusion import (
    estimate_confusion,
    fit_transition,
    label_posterior,
    neighbor_vote,
    normalized,
    some_known,
)
from mixnn.data.noise import transition_matrix

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def neighborhoods(true, purity, k, seed):
    """(N, k) neighbours, of the same true class with probability `purity`."""
    random = np.random.default_rng(seed)
    rows = np.arange(len(true))
    by_class = [rows[true == label] for label in range(true.max() + 1)]
    same = np.stack([random.choice(by_class[label], k) for label in true])
    near = np.where(random.random(same.shape) < purity, same, random.integers(0, len(true), same.shape))
    return np.where(near == rows[:, None], (near + 1) % len(true), near)


def noisy(kind, rate, *, n=4000, purity=0.8, k=10, seed=0):
    """True labels, given ones, neighbours, and the matrix the given ones were drawn from."""
    random = np.random.default_rng(seed)
    true = np.arange(n) % 10
    matrix = transition_matrix(kind, rate, NAMES)
    given = np.array([random.choice(10, p=matrix[label]) for label in true])
    return true, given, neighborhoods(true, purity, k, seed), matrix


@pytest.mark.parametrize(
    ("kind", "rate"), [("symmetric", 0.0), ("symmetric", 0.2), ("symmetric", 0.5), ("asymmetric", 0.4)]
)
def test_the_rate_and_the_matrix_are_found_again(kind, rate):
    true, given, near, matrix = noisy(kind, rate)
    found = estimate_confusion(given, near, 10)
    assert found.rate == pytest.approx((given != true).mean(), abs=0.05)
    assert np.abs(found.transition - matrix).sum(1).mean() / 2 < 0.08
    np.testing.assert_allclose(found.transition.sum(1), 1)
    np.testing.assert_allclose(found.joint.sum(1), np.bincount(true) / len(true), atol=0.02)


@pytest.mark.parametrize("in_turn", [True, False])
def test_of_many_classes_a_few_rows_each_tell(in_turn):
    """Only some rows are looked at, and most kinds of wrong label are not among them."""
    classes, n = 200, 6000
    random = np.random.default_rng(0)
    true = np.arange(n) % classes
    true = true if in_turn else random.permutation(true)
    given = np.where(random.random(n) < 0.2, (true + random.integers(1, classes, n)) % classes, true)
    near, wrong = neighborhoods(true, 0.7, 20, 0), given != true
    assert len(some_known(given, classes, 500_000)) < n / 2
    found = estimate_confusion(given, near[:, :10], classes, cells=500_000)
    bounds = estimate_bounds(given, near, classes)
    assert found.rate == pytest.approx(wrong.mean(), abs=0.02)
    assert found.joint.sum() == pytest.approx(1)
    assert bounds.rate[0] < 0.25
    assert bounds.rate[1] > 0.15
    looks = normalized(neighbor_vote(given, near, classes) ** 1.5)
    likely = np.concatenate([q for _, _, q in believed(lambda rows: looks[rows], given, found.joint)])
    assert 1 - likely[np.arange(n), given].mean() == pytest.approx(wrong.mean(), abs=0.06)
    assert (likely.argmax(1) == true).mean() > 0.95


@pytest.mark.parametrize("in_pairs", [False, True])
def test_of_many_classes_with_few_samples_others_tell_only_where_they_are_like_them(in_pairs, monkeypatch):
    """With wrong labels of any kind, less than one of each, T of one class is chance, and that of all is not."""
    classes, n = 40, 3000
    random = np.random.default_rng(0)
    true = np.arange(n) % classes
    other = true + 1 if in_pairs else true + random.integers(1, classes, n)
    given = np.where(random.random(n) < 0.4, other % classes, true)
    near = neighborhoods(true, 0.35, 40, 0)
    matrix = 0.6 * np.eye(classes)
    matrix += 0.4 * np.roll(np.eye(classes), 1, 1) if in_pairs else 0.4 / (classes - 1) * (1 - np.eye(classes))
    found = estimate_confusion(given, near[:, :10], classes)
    monkeypatch.setattr("mixnn.confusion.FEW", 0)
    alone = estimate_confusion(given, near[:, :10], classes)
    looks = normalized(neighbor_vote(given, near, classes) ** 1.5)
    right, right_alone = (
        np.mean(np.concatenate([q.argmax(1) for *_, q in believed(lambda rows: looks[rows], given, one.joint)]) == true)
        for one in (found, alone)
    )
    off, off_alone = (np.abs(one.transition - matrix).sum(1).mean() / 2 for one in (found, alone))
    if in_pairs:
        assert found.alike <= 0.1
        assert off < off_alone + 0.01
        assert right > right_alone - 0.01
    else:
        assert found.alike >= 1
        assert off < 0.5 * off_alone
        assert right > right_alone + 0.05


def test_a_class_that_nothing_is_labelled_as_is_left_out():
    _, given, near, _ = noisy("symmetric", 0.2, n=2000)
    given = given + (given > 3)  # nothing is labelled 4 any more, and there are 11 classes
    found = estimate_confusion(given, near, 11, cells=11 * 500)
    assert found.joint.sum() == pytest.approx(1)
    assert found.joint[4].sum() < 1e-3
    assert found.joint[:, 4].sum() < 1e-3
    assert found.rate == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize(("kind", "rate"), [("symmetric", 0.5), ("asymmetric", 0.4)])
def test_bounds_enclose_the_estimate(kind, rate):
    _, given, near, _ = noisy(kind, rate, n=2000, k=40)
    found, bounds = estimate_confusion(given, near[:, :20], 10), estimate_bounds(given, near, 10)
    low, high = bounds.rate
    assert low < found.rate < high < low + 0.3
    inside = (bounds.transition[0] <= found.transition) & (found.transition <= bounds.transition[1])
    assert inside.mean() > 0.7
    np.testing.assert_array_equal(estimate_bounds(given, near, 10).rate, bounds.rate)  # the same every time


def test_bounds_are_of_the_same_kind_as_the_estimate():
    """Also where more than a fifth of `CELLS` are looked at, and classes tell of each other."""
    classes, n = 40, 10_400
    random = np.random.default_rng(0)
    true = np.arange(n) % classes
    given = np.where(random.random(n) < 0.4, random.integers(0, classes, n), true)
    near = neighborhoods(true, 0.35, 40, 0)
    found, bounds = estimate_confusion(given, near[:, :10], classes), estimate_bounds(given, near, classes)
    assert found.alike > 0
    assert bounds.rate[0] < found.rate < bounds.rate[1]
    inside = (bounds.transition[0] <= found.transition) & (found.transition <= bounds.transition[1])
    assert inside.mean() > 0.95


def test_bounds_without_labels_or_neighbours_say_that_none_is_wrong():
    for given, near in (
        (np.full(5, -1), np.ones((5, 3), np.int64)),
        (np.zeros(5, np.int64), np.ones((5, 0), np.int64)),
    ):
        bounds = estimate_bounds(given, near, 3)
        assert bounds.rate.tolist() == [0, 0]
        np.testing.assert_array_equal(bounds.transition, [np.eye(3)] * 2)


def test_labels_after_the_posterior_are_better_than_the_given_ones():
    for kind, rate in (("symmetric", 0.5), ("asymmetric", 0.4)):
        true, given, near, _ = noisy(kind, rate)
        found = estimate_confusion(given, near, 10)
        likely = neighbor_vote(given, near, 10) ** found.sharpness
        q = label_posterior(likely / likely.sum(1, keepdims=True), given, found.transition)
        assert (q.argmax(1) == true).mean() > (given == true).mean() + 0.1


def test_a_rare_class_is_not_held_to_be_wrong_wholesale():
    """40 of 4 040 samples, whose neighbours are of other classes as often as not."""
    random = np.random.default_rng(1)
    true = np.concatenate([np.arange(4000) % 9, np.full(40, 9)])
    given = true.copy()
    flipped = random.random(len(true)) < 0.2
    given[flipped] = random.integers(0, 10, flipped.sum())
    near = neighborhoods(true, 0.6, 10, 1)
    found = estimate_confusion(given, near, 10)
    likely = neighbor_vote(given, near, 10) ** found.sharpness
    q = label_posterior(likely / likely.sum(1, keepdims=True), given, found.transition)
    rightly_rare = (true == 9) & (given == 9)
    assert (q.argmax(1) == 9)[rightly_rare].mean() > 0.8


@drawn(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 5))
def test_posterior_is_a_distribution_and_follows_bayes(seed, n, c):
    random = np.random.default_rng(seed)
    likely, transition = random.dirichlet(np.ones(c), n), random.dirichlet(np.ones(c), c)
    labels = random.integers(-1, c, n)
    q = label_posterior(likely, labels, transition)
    np.testing.assert_allclose(q.sum(1), 1)
    for i in range(n):
        expected = likely[i] if labels[i] < 0 else likely[i] * (transition[:, labels[i]] + 1e-6)
        np.testing.assert_allclose(q[i], expected / expected.sum())


def test_one_step_of_the_fit_raises_the_likelihood_of_the_labels():
    _, given, near, _ = noisy("symmetric", 0.4, n=500)
    likely = neighbor_vote(given, near, 10)
    transition, likelihood = fit_transition(likely, given)
    start = 0.7 * np.eye(10) + 0.03
    assert likelihood > np.log((likely * start[:, given].T).sum(1)).mean()
    np.testing.assert_allclose(transition.sum(1), 1)


def test_unlabelled_neighbors_have_no_vote():
    given = np.array([0, 1, -1, -2])
    vote = neighbor_vote(given, np.array([[2, 3], [0, 2]]), 2)
    np.testing.assert_allclose(vote[0], [0.5, 0.5])
    assert vote[1, 0] > vote[1, 1]


def test_nothing_to_learn_from():
    for given, near in ((np.array([-1, -1]), np.array([[1], [0]])), (np.array([0, 1]), np.zeros((2, 0), np.int64))):
        found = estimate_confusion(given, near, 2)
        assert found.rate == 0
        np.testing.assert_array_equal(found.transition, np.eye(2))


def test_a_class_that_is_hardly_ever_said_counts_by_how_much_more_it_is():
    likely = np.array([[0.99, 0.01], [0.97, 0.03], [0.995, 0.005], [0.5, 0.5]])
    equal = equalized(likely, likely[:3].mean(0))  # the last one does not count
    np.testing.assert_allclose(equal.sum(1), 1)
    assert equal.argmax(1).tolist() == [0, 1, 0, 1]


def drawn_from_looks(rate, sure):
    """What samples look like, their classes, drawn from that, and labels, of which a share is drawn anew; and J."""
    random = np.random.default_rng(0)
    looks = normalized(random.dirichlet(np.full(10, 0.3), 5000) + 1e-4)
    true = np.array([random.choice(10, p=row) for row in looks])
    given = np.where(random.random(5000) < rate, random.integers(0, 10, 5000), true)
    joint = ((1 - rate) * np.eye(10) + rate / 10) / 10
    return powered(looks, sure), true, given, joint


@pytest.mark.parametrize("rate", [0.1, 0.6])
@pytest.mark.parametrize("sure", [0.5, 1.0, 2.0])
def test_looks_are_made_as_sure_as_they_are_right(rate, sure):
    looks, true, given, joint = drawn_from_looks(rate, sure)
    power = calibration(looks, given, joint)
    assert power == pytest.approx(1 / sure, rel=0.5)
    likely = powered(looks, power)
    q = label_posterior(equalized(likely, likely.mean(0)), given, joint)
    assert q.max(1).mean() == pytest.approx((q.argmax(1) == true).mean(), abs=0.02)


def test_a_network_that_is_too_modest_is_made_as_sure_as_it_is_right():
    true, given, near, _ = noisy("symmetric", 0.4)
    joint = estimate_confusion(given, near, 10).joint
    modest = np.where(np.eye(10)[true] == 1, 0.16, 0.84 / 9)  # always right, hardly sure
    before = label_posterior(equalized(modest, modest.mean(0)), given, joint)
    assert (before.argmax(1) != given).mean() < 0.05
    sure = powered(modest, calibration(modest, given, joint))
    after = label_posterior(equalized(sure, sure.mean(0)), given, joint)
    assert (after.argmax(1) == true).mean() > 0.95
    assert after.max(1).mean() > 0.9


def test_what_is_believed_does_not_go_by_how_many_are_looked_at_together(monkeypatch):
    _, given, near, _ = noisy("symmetric", 0.4, n=1000)
    joint, looks = estimate_confusion(given, near, 10).joint, neighbor_vote(given, near, 10)
    given[::7] = -1  # among them all of the last part
    given[-5:] = -1

    def all_of_it():
        rows, seen, likely = zip(*believed(lambda rows: looks[rows], given, joint), strict=True)
        assert [part.stop - part.start for part in rows] == [len(part) for part in likely]
        np.testing.assert_array_equal(np.concatenate(seen), looks)
        return np.concatenate(likely), len(rows)

    at_once, one = all_of_it()
    monkeypatch.setattr("mixnn.rows.PART", 50)
    in_parts, many = all_of_it()
    assert (one, many) == (1, 200)
    np.testing.assert_allclose(in_parts, at_once, rtol=1e-9)
    np.testing.assert_array_equal(at_once[given < 0], looks[given < 0])
    np.testing.assert_allclose(at_once.sum(1), 1)


def test_nothing_is_made_of_what_samples_look_like_where_no_label_is_known():
    looks = np.array([[0.7, 0.3], [0.2, 0.8]])
    [(_, _, likely)] = believed(lambda rows: looks[rows], np.array([-1, -2]), np.eye(2) / 2)
    np.testing.assert_array_equal(likely, looks)
