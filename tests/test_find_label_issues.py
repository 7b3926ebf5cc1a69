"""`mixnn.find_label_issues`: what it takes and finds, and that no label decides what is said of itself."""

import doctest
import importlib
import pkgutil
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch.nn.functional import one_hot

import mixnn.evidence
import mixnn.label_quality
from mixnn import InputError, LabelIssues, find_label_issues
from mixnn.evidence.knn import knn_indices
from mixnn.evidence.label_issues import cross_fitted_targets
from mixnn.evidence.linear_probe import FOLDS, LinearProbe, folds_of, whitened
from mixnn.label_quality.combination import Combination, Fit
from mixnn.label_quality.noise_matrix import NoiseModel, class_independent_matrix
from mixnn.tables.topk_rows import TopkTable

N, CLASSES = 240, 3
NAMES = np.array(["owl", "cat", "dog"])  # not in order


def points(n=N, classes=CLASSES, rate=0.1, distance=5.0, seed=0):
    """Features around a point for each class, the truth, and given labels of which a share is wrong."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(n) % classes)
    x = distance * np.eye(classes, classes + 5)[truth] + random.normal(size=(n, classes + 5))
    return x, truth, np.where(random.random(n) < rate, (truth + random.integers(1, classes, n)) % classes, truth)


def modest_probs(truth, classes=CLASSES):
    """Of a classifier that is right, and rather modest."""
    return 0.5 * np.eye(classes)[truth] + 0.5 / classes


def finds(found: LabelIssues, wrong: np.ndarray) -> bool:
    return bool((found.is_label_issue == wrong).mean() > 0.97 and abs(found.noise_rate - wrong.mean()) < 0.03)


@pytest.mark.parametrize("kinds", ["features", "pred_probs", "both"])
def test_features_probabilities_or_both(kinds):
    x, truth, given = points()
    evidence = {"features": x if kinds != "pred_probs" else None}
    evidence["pred_probs"] = modest_probs(truth) if kinds != "features" else None
    found = find_label_issues(given, **evidence)
    assert finds(found, given != truth)
    assert (found.suggested == truth).mean() > 0.97
    assert found.classes == [0, 1, 2]


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
@pytest.mark.parametrize("kind", [list, tuple, lambda labels: np.array(labels, dtype=object)])
def test_names_with_gaps(missing, kind):
    x, truth, given = points()
    labels = NAMES[given].tolist()
    labels[5], labels[17] = missing, missing
    found = find_label_issues(kind(labels), x)
    assert found.classes == ["cat", "dog", "owl"]
    assert np.flatnonzero(found.given < 0).tolist() == [5, 17]
    assert np.isnan(found.label_quality[[5, 17]]).all()
    assert found.suggested_label[[5, 17]].tolist() == NAMES[truth[[5, 17]]].tolist()
    assert not found.is_label_issue[[5, 17]].any()
    assert finds(found, (given != truth) & (found.given >= 0))


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        np.ndarray.tolist,
        lambda numbers: numbers.astype(np.float64),
        lambda numbers: [float(number) for number in numbers],
        lambda numbers: numbers[:, None],
        torch.from_numpy,
    ],
)
def test_numbers_with_gaps_between_them(kind):
    x, truth, given = points()
    numbers = np.array([0, 2, 7])
    found = find_label_issues(kind(numbers[given]), x.tolist())
    assert found.classes == [0, 2, 7]
    assert (found.suggested_label == numbers[truth]).mean() > 0.97
    assert find_label_issues([0.0, None, 2.0, np.nan] * 60, x).classes == [0, 2]


def test_columns_of_probabilities_are_in_the_order_of_the_sorted_labels():
    _, truth, given = points()
    probs = modest_probs(truth)[:, [1, 2, 0]]  # cat, dog, owl
    found = find_label_issues(NAMES[given], pred_probs=probs)
    assert finds(found, given != truth)
    assert (found.suggested_label == NAMES[truth]).mean() > 0.97


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_a_column_of_pandas(kind):
    pandas = pytest.importorskip("pandas")
    x, truth, given = points()
    rows = np.random.default_rng(0).permutation(N)  # its index is not what counts
    labels = pandas.Series(np.append(NAMES[given][:-1], None), index=rows, dtype=kind)
    verified = pandas.Series(np.arange(N) < 9, index=rows)
    found = find_label_issues(labels, pandas.DataFrame(x, index=rows), verified=verified)
    assert found.classes == ["cat", "dog", "owl"]
    assert np.flatnonzero(found.given < 0).tolist() == [N - 1]
    assert found.verified.sum() == 9
    assert (found.to_frame()["predicted_label"] == NAMES[truth]).mean() > 0.97


def test_verified_labels_are_no_issue():
    x, truth, given = points()
    wrong = np.flatnonzero(given != truth)
    verified = np.isin(np.arange(N), wrong[:3])
    found = find_label_issues(given, x, verified=verified.tolist())
    assert not found.is_label_issue[wrong[:3]].any()
    assert found.is_label_issue[wrong[3:]].mean() > 0.8
    np.testing.assert_allclose(found.label_quality[wrong[:3]], 1, atol=1e-6)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 1], ["a", "b", None, None], [*range(12)], [0] * 30 + [1]])
def test_hardly_any_sample(labels):
    x = np.random.default_rng(0).normal(size=(len(labels), 4))
    found = find_label_issues(labels, x)
    np.testing.assert_allclose(found.label_posterior.sum(1), 1, rtol=1e-5)
    assert 0 <= found.noise_rate_interval[0] <= found.noise_rate <= found.noise_rate_interval[1] <= 1


GOOD = {"labels": np.arange(30) % 3, "features": np.eye(30), "pred_probs": np.full((30, 3), 1 / 3)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": None, "pred_probs": None}, "needs features"),
        ({"labels": np.zeros((30, 2))}, r"labels have the shape \(30, 2\)"),
        ({"labels": []}, r"labels have the shape \(0,\)"),
        ({"labels": ["cat"] * 29 + [""]}, "labels have 1 class:"),
        ({"labels": [None] * 30}, "labels have 0 classes"),
        ({"features": np.eye(29)}, r"features have the shape \(29, 29\): give 30 rows"),
        ({"features": np.zeros(30)}, r"features have the shape \(30,\)"),
        (
            {"features": np.where(np.eye(30) * np.arange(30) > 6, np.nan, 0)},
            r"features of row 7 are not finite \(23 rows",
        ),
        ({"features": np.full((30, 2), "x")}, "features are no numbers"),
        ({"pred_probs": np.full((30, 2), 0.5)}, r"pred_probs have the shape \(30, 2\): give \(30, 3\)"),
        ({"pred_probs": np.full((30, 3), 0.5)}, r"pred_probs of row 0 do not sum to one \(30 rows"),
        ({"pred_probs": np.tile([1.2, -0.2, 0.0], (30, 1))}, "pred_probs of row 0"),
        ({"pred_probs": np.full((30, 3), "x")}, "pred_probs are no numbers"),
        ({"verified": np.ones(29, bool)}, r"verified is bool \(29,\)"),
        ({"verified": np.ones(30)}, "verified is float64"),
        (
            {"labels": [None, 0, 1] * 10, "pred_probs": None, "verified": np.ones(30, bool)},
            "row 0 is verified and has no",
        ),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    with pytest.raises(InputError, match=said):
        find_label_issues(**GOOD | change)


def test_scales_and_the_order_of_rows_do_not_matter():
    x, _, given = points(rate=0.3, n=400)
    found = find_label_issues(given, x).is_label_issue
    for scale in (1e-6, 1e12, np.random.default_rng(0).uniform(0.1, 10, (400, 1))):
        assert (find_label_issues(given, x * scale).is_label_issue == found).mean() >= 0.99
    order = np.random.default_rng(1).permutation(400)
    assert (find_label_issues(given[order], x[order]).is_label_issue == found[order]).mean() >= 0.99


def test_labels_that_a_network_would_learn_by_heart():
    """Embeddings of six parts a class, more numbers than samples, and two labels of five wrong."""
    random, n, classes = np.random.default_rng(1), 600, 5
    truth, part = random.integers(0, classes, n), random.integers(0, 6, n)
    center, offset = random.normal(size=(classes, 64)), random.normal(size=(classes, 6, 64))
    z = center[truth] * 0.55 + offset[truth, part] * 0.8 + random.normal(size=(n, 64)) * 0.9
    x = np.maximum(z @ (random.normal(size=(64, 640)) / 8), 0) + 0.05 * random.normal(size=(n, 640))
    given = np.where(random.random(n) < 0.4 * classes / (classes - 1), random.integers(0, classes, n), truth)
    found, wrong = find_label_issues(given, x), given != truth
    assert average_precision_score(wrong, 1 - found.label_quality) >= 0.97
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.05)
    assert (found.suggested == truth).mean() > 0.9


def test_a_rare_class_is_not_held_to_be_wrong_wholesale():
    x, truth, given = points(n=2000, classes=5, rate=0.2, distance=4.0)
    rows = (truth > 0) | (np.arange(2000) % 10 == 0)  # a fortieth of them
    x, truth, given = x[rows], truth[rows], given[rows]
    found, rare = find_label_issues(given, x), (truth == 0) & (given == 0)
    assert found.is_label_issue[rare].mean() < 0.1
    assert (found.suggested == truth)[truth == 0].mean() > 0.8
    assert finds(found, given != truth)


def test_a_large_table_holds_the_largest_of_a_row(monkeypatch):
    x, _, given = points(n=1200, classes=40, rate=0.2)
    whole = find_label_issues(given, x)
    monkeypatch.setattr("mixnn.tables.topk_rows.LIMIT", 1000)
    found = find_label_issues(given, x)
    assert isinstance(found.label_posterior, TopkTable)
    assert (found.is_label_issue == whole.is_label_issue).mean() >= 0.97


def heads_of(x, fold, labels, ridge=10.0):
    return LinearProbe(x, fold, one_hot(torch.from_numpy(labels), CLASSES).float(), ridge).fit_all()


def flipped(given, rows):
    labels = given.copy()
    labels[rows] = (labels[rows] + 1) % CLASSES
    return labels


def test_probabilities_of_a_fold_do_not_go_by_its_labels():
    x, _, given = points(distance=1.0)
    x, fold = whitened(torch.from_numpy(x)), folds_of(given)
    before = heads_of(x, fold, given).log_probs()
    for rows in ([11], (fold == fold[11]).numpy()):
        after = heads_of(x, fold, flipped(given, rows)).log_probs()
        assert torch.equal(after[rows], before[rows])
        assert not torch.allclose(after[fold != fold[11]], before[fold != fold[11]], atol=1e-4)


def test_targets_for_a_fold_do_not_go_by_its_labels():
    """Nor do the heads that are fitted to them; all else being equal, T and the choices among it."""
    x, _, given = points(distance=1.0)
    fold, even = folds_of(given), np.full(CLASSES, 1 / CLASSES)
    indices = knn_indices(torch.from_numpy(x), 12)[0].numpy()
    fit = Fit(
        Combination(0, 10, (1.0, 1.0), 1.0),
        NoiseModel(even, class_independent_matrix(0.2, even), 0.2, even),
        even,
        np.zeros(1),
    )
    x = whitened(torch.from_numpy(x))

    def targets_and_probs(labels):
        head = heads_of(x, fold, labels)
        pairs = {pair: head.fit(pair) for pair in combinations(range(FOLDS), 2)}
        votes = labels.astype(np.int32)[indices]
        targets = cross_fitted_targets(head, pairs, fit, labels, votes, fold.numpy(), indices, even)
        return targets, head.fit_all(targets).log_probs()

    targets, probs = targets_and_probs(given)
    for f, target in enumerate(targets):
        assert (target[fold == f] == 0).all()
        torch.testing.assert_close(target[fold != f].sum(1), torch.ones(int((fold != f).sum())))
    own = int(fold[11])
    changed, changed_probs = targets_and_probs(flipped(given, [11]))
    assert torch.equal(changed[own], targets[own])
    assert torch.equal(changed_probs[fold == own], probs[fold == own])
    assert all(not torch.equal(changed[f][11], targets[f][11]) for f in range(FOLDS) if f != own)


def test_folds_hold_as_many_of_each_class():
    labels = np.random.default_rng(0).choice([-1, 0, 1, 2], 301, p=[0.2, 0.5, 0.28, 0.02])
    fold = folds_of(labels).numpy()
    assert set(fold) == set(range(FOLDS))
    for label in (-1, 0, 1, 2):
        sizes = np.bincount(fold[labels == label], minlength=FOLDS)
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(folds_of(labels).numpy(), fold)


@pytest.mark.parametrize("shape", [(300, 12), (20, 64), (300, 400)])
def test_whitened_features_vary_alike_in_all_directions(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, 1, shape[1])
    x[:, :3] = 0  # these say nothing
    z = whitened(x)
    assert z.shape[1] == min(256, shape[0] - 1, shape[1] - 3)
    torch.testing.assert_close(z.mean(0), torch.zeros(z.shape[1]), atol=1e-3, rtol=0)
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(z.shape[1]), atol=0.02, rtol=0)
    torch.testing.assert_close((whitened(1e15 * x) * z).mean(0).abs(), torch.ones(z.shape[1]), atol=0.02, rtol=0)


@pytest.mark.parametrize("x", [torch.zeros(30, 4), torch.ones(30, 4), torch.eye(30)[:, :3], torch.ones(30, 1)])
def test_rows_of_zeros_and_all_the_same_are_whitened_to_numbers(x):
    assert torch.isfinite(whitened(x)).all()
    assert 0 <= find_label_issues(np.arange(30) % 2, x).noise_rate <= 1


def test_a_head_is_the_logistic_regression_that_scikit_learn_fits():
    x, _, given = points(distance=1.5, rate=0.2)
    x, ridge = whitened(torch.from_numpy(x)), 20.0
    probe = LinearProbe(x, folds_of(given), one_hot(torch.from_numpy(given), CLASSES).float(), ridge)
    expected = LogisticRegression(C=1 / ridge, tol=1e-8, max_iter=1000).fit(x.numpy(), given).predict_proba(x.numpy())
    found = (probe.x @ probe.fit([])).softmax(1)
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("package", [mixnn.label_quality, mixnn.evidence])
def test_examples_run(package):
    ran = 0
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0
        ran += result.attempted
    assert ran > 0
