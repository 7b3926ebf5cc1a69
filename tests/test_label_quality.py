"""Label quality from given evidence: drawn noise is found again; what nothing speaks against is believed."""

import math

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from mixnn.label_quality import posterior
from mixnn.label_quality.combination import Combination, Comparison, Fit, combine, knn_vote
from mixnn.label_quality.duplicates import reconcile
from mixnn.label_quality.issues import LabelIssues
from mixnn.label_quality.noise_matrix import (
    NoiseModel,
    class_independent_matrix,
    fit_noise_model,
    from_anchors,
    log_gamma,
)
from mixnn.label_quality.posterior import estimate_label_quality, noise_rate_interval
from mixnn.label_quality.probabilities import normalized
from mixnn.tables.topk_rows import TopkTable, empty_table

PLAIN = Combination(0, 10, (1.0, 1.0), 1.0)


def redrawn(truth, matrix, seed=1):
    return (np.random.default_rng(seed).random(len(truth))[:, None] > matrix[truth].cumsum(1)[:, :-1]).sum(1)


def symmetric(rate, classes):
    return class_independent_matrix(rate, np.full(classes, 1 / classes))


def gaussian_likelihood(points):
    """p(x | class) of points around the unit vectors, up to a factor for each row, with a variance of one."""
    return normalized(np.exp(points - points.max(1, keepdims=True)))


def evidence(n=1000, classes=5, matrix=None, distance=6.0, seed=0):
    """Points around one for each class: truth, labels, probabilities that have not seen these, labels of neighbors."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(n) % classes)
    x = distance * np.eye(classes)[truth] + random.normal(size=(n, classes))
    given = truth if matrix is None else redrawn(truth, matrix, seed + 1)
    far = np.square(x).sum(1) - 2 * x @ x.T
    np.fill_diagonal(far, np.inf)
    probs = gaussian_likelihood(x * distance / 2).astype(np.float32)
    return truth, given, probs, given[far.argsort(1)[:, :50]]


def test_a_vote_counts_by_how_near_it_is_and_how_rare_its_label():
    votes, even = np.array([[0, 1], [1, 0]] * 2), np.array([0.5, 0.5])
    assert knn_vote(votes, even).argmax(1).tolist() == [0, 1, 0, 1]
    many = np.tile(votes[:1], 10)
    assert knn_vote(many, even)[0] == pytest.approx([0.5, 0.5], abs=0.05)
    assert knn_vote(many, np.array([0.9, 0.1]))[0, 1] > 0.8


def test_neighbors_without_a_label_have_no_vote_and_no_class_is_impossible():
    share = np.array([0.5, 0.5, 0.0])  # nothing is labeled as the third
    vote = knn_vote(np.array([[-1, -1, -1], [-1, 1, -2], [1, 1, 1], [0, 0, 1]]), share)
    np.testing.assert_allclose(vote.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(vote[0], 1 / 3, rtol=1e-6)
    assert (vote > 0).all()
    assert vote[2, 1] > vote[1, 1] > vote[1, 0]
    assert vote[3].argmax() == 0


def test_opinions_are_multiplied_and_the_prior_of_classes_is_taken_out():
    p, v, even = np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([0.5, 0.5])
    found, mean = combine(np.log(p), np.log(v), PLAIN)
    both = normalized(p * v)
    np.testing.assert_allclose(mean, both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found, normalized(both / mean), rtol=1e-5)
    np.testing.assert_allclose(combine(np.log(p), None, PLAIN, even)[0], p, rtol=1e-5)
    np.testing.assert_allclose(combine(None, np.log(v), PLAIN, even)[0], v, rtol=1e-5)
    sure, _ = combine(np.log(p), np.log(v), PLAIN._replace(inverse_temperature=2.0, weights=(1.5, 0.5)), even)
    np.testing.assert_allclose(sure, normalized(p**3 * v), rtol=1e-5)


def test_an_asymmetric_noise_matrix_is_found_again():
    random, share = np.random.default_rng(0), np.array([0.4, 0.3, 0.2, 0.1])
    truth = random.choice(4, 8000, p=share)
    noise = np.array([[0.6, 0.4, 0, 0], [0, 0.9, 0.1, 0], [0.1, 0.1, 0.7, 0.1], [0, 0, 0, 1]])
    likely = gaussian_likelihood(3 * (3 * np.eye(4)[truth] + random.normal(size=(8000, 4))))
    model = fit_noise_model(likely, redrawn(truth, noise))
    np.testing.assert_allclose(model.matrix.sum(1), 1)
    np.testing.assert_allclose(model.matrix, noise, atol=0.04)
    np.testing.assert_allclose(model.prior, share, atol=0.02)
    assert 1 - model.prior @ model.matrix.diagonal() == pytest.approx(1 - share @ noise.diagonal(), abs=0.02)


@pytest.mark.parametrize("few", [8, 2000])
def test_a_class_with_few_samples_leans_on_what_all_have_in_common(few):
    truth = np.concatenate([np.repeat(np.arange(6), 2000), np.full(few, 6)])
    given = np.where(truth == 6, 6, redrawn(truth, symmetric(0.3, 7)))  # of the last class none is wrong
    model = fit_noise_model(0.99 * np.eye(7)[truth] + 0.01 / 7, given)
    np.testing.assert_allclose(model.matrix.sum(1), 1)
    np.testing.assert_allclose(model.matrix.diagonal()[:6], 0.7, atol=0.05)
    low, high = (0.65, 0.95) if few == 8 else (0.97, 1)
    assert low < model.matrix[6, 6] < high


def test_of_very_many_classes_one_rate_is_told():
    truth = np.arange(12_040) % 301
    given = redrawn(truth, symmetric(0.25, 301))
    model = fit_noise_model(0.99 * np.eye(301)[truth] + 0.01 / 301, given)
    assert model.rows is None
    assert model.rate == pytest.approx((given != truth).mean(), abs=0.03)
    np.testing.assert_allclose(model.matrix.sum(1), 1)
    np.testing.assert_allclose(model.matrix.diagonal(), 1 - model.rate)
    np.testing.assert_allclose(model.columns(given), model.matrix.T[given], atol=1e-3)


def test_anchors_tell_where_most_of_a_class_is_labeled_as_another():
    matrix = np.array([[0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]])
    random, truth = np.random.default_rng(0), np.arange(6000) % 3
    likely = gaussian_likelihood(3 * (3 * np.eye(3)[truth] + random.normal(size=(6000, 3))))
    given = redrawn(truth, matrix)
    model = from_anchors(likely, given, 0.3)
    np.testing.assert_allclose(model.matrix.sum(1), 1)
    np.testing.assert_allclose(model.matrix, matrix, atol=0.08)
    np.testing.assert_allclose(model.prior, 1 / 3, atol=0.05)
    np.testing.assert_allclose(fit_noise_model(likely, given, start=model).matrix, matrix, atol=0.05)


def test_log_gamma_is_that_of_the_standard_library():
    x = np.logspace(-9, 7, 200)
    np.testing.assert_allclose(log_gamma(x), [math.lgamma(value) for value in x], rtol=1e-9, atol=1e-8)


def test_bayes_rule_by_hand(monkeypatch):
    monkeypatch.setattr(posterior, "WRONG_ODDS", 1.0)
    """π L T[:, label]; the third has no label, the fourth is verified."""
    even = np.array([0.5, 0.5])
    model = NoiseModel(even, np.array([[0.9, 0.1], [0.2, 0.8]]), 0.15, even)
    chosen = Fit(PLAIN, model, even, np.zeros(4))
    probs = np.array([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.1, 0.9]], dtype=np.float32)
    labels, verified = np.array([1, 0, -1, 0]), np.array([False, False, False, True])
    found = estimate_label_quality(labels, ["cat", "dog"], probs, None, verified=verified, chosen=chosen)
    expected = [[0.08 / 0.24, 0.16 / 0.24], [0.09 / 0.27, 0.18 / 0.27], [0.3, 0.7], [1, 0]]
    np.testing.assert_allclose(found.label_posterior, expected, atol=1e-6)
    np.testing.assert_allclose(found.label_quality, [2 / 3, 1 / 3, np.nan, 1], atol=1e-6)
    assert found.is_label_issue.tolist() == [False, True, False, False]
    assert found.suggested_label.tolist() == ["dog", "dog", "dog", "cat"]
    assert found.noise_rate == pytest.approx(1 / 3, abs=1e-6)


def test_a_rare_class_has_to_be_seen_more_clearly(monkeypatch):
    """Bayes' rule by hand where π is not even: the third has no label."""
    monkeypatch.setattr(posterior, "WRONG_ODDS", 1.0)
    share = np.array([0.8, 0.2])
    model = NoiseModel(share, np.array([[0.9, 0.1], [0.2, 0.8]]), 0.12, share)
    chosen = Fit(PLAIN, model, np.array([0.5, 0.5]), np.zeros(3))
    probs = np.array([[0.7, 0.3], [0.3, 0.7], [0.3, 0.7]], dtype=np.float32)
    found = estimate_label_quality(np.array([1, 1, -1]), ["cat", "dog"], probs, None, chosen=chosen)
    expected = [[0.056 / 0.104, 0.048 / 0.104], [0.024 / 0.136, 0.112 / 0.136], [0.24 / 0.38, 0.14 / 0.38]]
    np.testing.assert_allclose(found.label_posterior, expected, atol=1e-5)
    assert found.suggested_label.tolist() == ["cat", "dog", "cat"]
    assert found.contradicted == 1  # what they look like, weighed by how rare it is, is a cat twice


def test_labels_are_as_likely_as_the_noise_makes_them_of_classes_that_are_as_frequent_as_they_are():
    model = NoiseModel(np.array([0.75, 0.25]), np.array([[0.9, 0.1], [0.2, 0.8]]), 0.125, np.array([0.725, 0.275]))
    log_probs = np.log(np.array([[0.8, 0.2], [0.2, 0.8]], dtype=np.float32))
    found = Comparison([log_probs], None, np.array([0, 1]), model.given).fit(PLAIN._replace(k=0), model, steps=0)
    np.testing.assert_allclose(found.log_likelihood, np.log([0.55 / 0.65, 0.175 / 0.35]), rtol=1e-5)


@pytest.mark.parametrize(("rows", "odds"), [(symmetric(0.2, 2), 3.0), (None, 4.0)])
def test_a_wrong_label_is_likelier_by_its_odds(rows, odds, monkeypatch):
    """Those of a noise matrix, and those where wrong labels are too few to tell which classes they mix."""
    monkeypatch.setattr(posterior, "WRONG_ODDS", 3.0)
    monkeypatch.setattr(posterior, "CLASS_INDEPENDENT_ODDS", 4.0)
    even = np.array([0.5, 0.5])
    chosen = Fit(PLAIN, NoiseModel(even, rows, 0.2, even), even, np.zeros(1))
    probs = np.array([[0.8, 0.2]], dtype=np.float32)  # four times as likely, as the label is by the noise
    found = estimate_label_quality(np.array([1]), ["cat", "dog"], probs, None, chosen=chosen)
    np.testing.assert_allclose(found.label_posterior, [[odds / (1 + odds), 1 / (1 + odds)]], atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("kinds", ["both", "probabilities", "neighbors"])
def test_wrong_labels_are_found_and_right_ones_believed(kinds, rate):
    truth, given, probs, near = evidence(matrix=symmetric(rate, 5))
    probs, near = None if kinds == "neighbors" else probs, None if kinds == "probabilities" else near
    found, wrong = estimate_label_quality(given, range(5), probs, near), given != truth
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.03 if rate else 0.01)
    assert (found.is_label_issue == wrong).mean() > (0.95 if rate else 0.99)
    assert (found.suggested == truth).mean() > 0.95
    assert rate == 0 or average_precision_score(wrong, 1 - found.label_quality) > 0.95
    np.testing.assert_allclose(found.noise_matrix.sum(1), 1, rtol=1e-6)
    low, high = found.noise_rate_interval
    assert low <= wrong.mean() <= high
    assert found.contradicted == pytest.approx(wrong.mean(), abs=0.06)  # and of samples that are hard, here few


def test_samples_without_a_label_get_a_suggestion_and_verified_ones_are_no_issue():
    truth, given, probs, near = evidence(matrix=symmetric(0.3, 5))
    verified, wrong = np.arange(1000) % 4 == 0, given != truth
    given = np.where(np.arange(1000) % 10 == 3, -1, given)
    found = estimate_label_quality(given, range(5), probs, near, verified=verified)
    np.testing.assert_array_equal(np.isnan(found.label_quality), given < 0)
    assert (found.suggested == truth)[given < 0].mean() > 0.95
    assert not found.is_label_issue[(given < 0) | verified].any()
    assert found.is_label_issue[wrong & ~verified & (given >= 0)].mean() > 0.9
    np.testing.assert_allclose(found.label_posterior[verified], np.eye(5)[given[verified]], atol=1e-6)


def test_no_label_at_all():
    truth, _, probs, near = evidence(n=200)
    found = estimate_label_quality(np.full(200, -1), range(5), probs, np.full_like(near, -1))
    assert (found.suggested == truth).mean() > 0.95
    assert np.isnan(found.label_quality).all()
    assert not found.is_label_issue.any()
    assert found.noise_rate == 0
    np.testing.assert_allclose(found.noise_matrix.sum(1), 1)


@pytest.mark.parametrize("classes", [1, 4])
def test_a_class_with_one_sample_and_one_with_none(classes):
    truth, given, probs, near = evidence(n=401, classes=classes)
    given = np.where(np.arange(401) == 7, classes, given)
    probs = np.append(0.998 * probs, np.full((401, 2), 0.001), 1)
    found = estimate_label_quality(given, range(classes + 2), probs, np.where(near == 7, classes, near))
    np.testing.assert_allclose(found.label_posterior.sum(1), 1, rtol=1e-5)
    assert (found.suggested == truth).mean() > 0.99


def test_labels_all_of_one_class_are_believed():
    truth, _, probs, _ = evidence(n=200)
    assert estimate_label_quality(np.where(truth == 0, 0, -1), range(5), probs, None).noise_rate < 0.01


def test_large_tables_hold_the_largest_of_a_row_and_tell_the_same(monkeypatch):
    _, given, probs, near = evidence(n=1200, classes=40, matrix=symmetric(0.3, 40), distance=4.0)
    whole = [estimate_label_quality(given, range(40), *kinds) for kinds in ((probs, near), (None, near))]
    monkeypatch.setattr("mixnn.tables.topk_rows.LIMIT", 1000)
    monkeypatch.setattr("mixnn.tables.topk_rows.CHUNK", 5000)  # and it is gone through some rows at a time
    monkeypatch.setattr("mixnn.label_quality.sampling.CELLS", 800 * 40)  # and not all of it tells how it is combined
    monkeypatch.setattr("mixnn.label_quality.sampling.MIN_SAMPLES", 1)
    table = empty_table(1200, 40)
    table[:] = probs
    for expected, kinds in zip(whole, ((table, near), (None, near)), strict=True):
        found = estimate_label_quality(given, range(40), *kinds)
        assert isinstance(found.label_posterior, TopkTable)
        assert (found.is_label_issue == expected.is_label_issue).mean() >= 0.97
        assert found.noise_rate == pytest.approx(expected.noise_rate, abs=0.02)


@settings(max_examples=25)
@drawn(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 4), st.integers(0, 4), st.booleans())
def test_a_posterior_is_a_distribution_whatever_is_given(seed, n, c, k, sure):
    random = np.random.default_rng(seed)
    labels, near = random.integers(-1, c, n), random.integers(-1, c, (n, k))
    probs = random.dirichlet(np.full(c, 0.02 if sure else 1), n).astype(np.float32)  # the sure: of ones and zeros
    verified = (random.random(n) < 0.2) & (labels >= 0)
    for kinds in ((probs, near), (probs, None), (None, near))[: 3 if k else 2]:
        found = estimate_label_quality(labels, range(c), *kinds, verified=verified)
        np.testing.assert_allclose(found.label_posterior.sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(found.noise_matrix.sum(1), 1, rtol=1e-5)
        quality = found.label_quality[labels >= 0]
        assert ((quality >= 0) & (quality <= 1 + 1e-6)).all()
        low, high = found.noise_rate_interval
        assert 0 <= low <= found.noise_rate <= high <= 1


@drawn(st.floats(0, 1), st.integers(0, 10**6))
def test_the_noise_rate_lies_in_its_interval(rate, labels):
    low, high = noise_rate_interval(rate, labels)
    assert 0 <= low <= rate <= high <= 1


def issues_of(posterior, given, verified=()):
    table, rows = np.array(posterior, dtype=np.float32), np.arange(len(given))
    noise, classes = symmetric(0.2, table.shape[1]), list("abc")[: table.shape[1]]
    return LabelIssues(table, np.array(given), classes, noise, 0.2, (0.0, 1.0), np.isin(rows, verified))


MIXED = [[0.9, 0.06, 0.04], [0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.05, 0.15, 0.8], [0.02, 0.9, 0.08]]


def test_issues_come_first_in_the_ranking_the_least_quality_before_others():
    found = issues_of(MIXED, [0, 1, -1, 0, 2], verified=[4])
    assert found.is_label_issue.tolist() == [False, True, False, True, False]
    assert found.ranking.tolist() == [3, 1, 4, 0, 2]
    assert (found.suggested.tolist(), found.second.tolist()) == ([0, 0, 0, 2, 1], [1, 1, 1, 1, 2])


def test_a_frame_has_the_columns_that_cleanlab_has():
    pytest.importorskip("pandas")
    frame = issues_of(MIXED, [0, 1, -1, 0, 2]).to_frame()
    assert {"is_label_issue", "label_quality", "given_label", "predicted_label"} <= set(frame.columns)
    assert frame["is_label_issue"].tolist() == [False, True, False, True, True]
    assert frame["predicted_label"].tolist() == ["a", "a", "a", "c", "b"]
    assert frame["given_label"].isna().tolist() == [False, False, True, False, False]
    assert frame["given_label"].dropna().tolist() == ["a", "b", "a", "c"]


def test_a_pair_under_two_labels_cannot_be_right_twice():
    """By Bayes' rule: what it looks like, and both of the labels that were drawn for it."""
    looks, noise = np.array([0.6, 0.3, 0.1]), symmetric(0.2, 3)
    before = issues_of(normalized(looks * noise.T[[0, 1, 0]]), [0, 1, 0])
    untouched = before.label_posterior[2].copy()
    found = reconcile(before, np.array([[0, 1]]))
    expected = normalized((looks * noise[:, 0] * noise[:, 1])[None])
    np.testing.assert_allclose(found.label_posterior[:2], np.repeat(expected, 2, 0), rtol=1e-4)
    np.testing.assert_array_equal(found.label_posterior[2], untouched)
    assert found.label_quality[:2].sum() <= 1.05
    assert found.is_label_issue.tolist() == [False, True, False]


def test_of_a_chain_the_label_that_most_have_wins_and_who_has_none_hears_it():
    before = issues_of([[0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]], [0, -1, 1, 0])
    found = reconcile(before, np.array([[0, 1], [2, 1], [3, 2]]))
    assert found.is_label_issue.tolist() == [False, False, True, False]
    assert found.label_quality[2] + found.label_quality[3] <= 1.05
    assert np.isnan(found.label_quality).tolist() == [False, True, False, False]
    np.testing.assert_allclose(found.label_posterior, np.tile(found.label_posterior[:1], (4, 1)), rtol=1e-6)


def test_a_verified_label_decides_for_all():
    before = issues_of([[0.9, 0.1], [0.0, 1.0], [0.8, 0.2]], [0, 1, -1], verified=[1])
    found = reconcile(before, np.array([[0, 1], [0, 2]]))
    assert found.is_label_issue.tolist() == [True, False, False]
    assert found.suggested.tolist() == [1, 1, 1]
    assert found.label_quality[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("given", [[1, 1], [1, -1], [-1, -1]])
def test_duplicates_that_do_not_contradict_each_other_stay(given):
    posterior = np.array([[0.7, 0.3], [0.1, 0.9]], dtype=np.float32)
    np.testing.assert_array_equal(reconcile(issues_of(posterior, given), np.array([[0, 1]])).label_posterior, posterior)
