"""Samples unlike all others come first, and are flagged; in data without such hardly any is."""

import numpy as np
import pytest
import torch

import mixnn
from mixnn import InputError
from mixnn.evidence.outliers import outlier_scores, vote_entropy


def drawn(samples: int = 600, width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, samples)
    return rng.normal(size=(samples, width)) + 6 * np.eye(3, width)[labels], labels


@pytest.mark.parametrize("width", [8, 16, 64])
def test_data_without_outliers_have_hardly_any(width):
    features, labels = drawn(1000, width)
    assert mixnn.find_outliers(features).is_outlier.sum() <= 3
    assert mixnn.find_outliers(features, labels).is_outlier.sum() <= 3


def test_what_is_unlike_all_others_is_flagged():
    features, labels = drawn()
    features[[5, 50, 500]] = -12 * np.eye(16)[[8, 10, 12]]
    found = mixnn.find_outliers(features)
    assert sorted(found.ranking[:3]) == [5, 50, 500]
    assert found.is_outlier[[5, 50, 500]].all()
    names = np.array(["cat", "dog", "owl"], dtype=object)[labels]
    names[:20] = None
    assert sorted(mixnn.find_outliers(features, names).ranking[:3]) == [5, 50, 500]


def test_entropy_of_votes():
    labels = np.array([[0, 0, 1, 1], [2, 2, 2, -1], [-1, -1, -1, -1], [0, 1, 2, 3]])
    assert vote_entropy(labels) == pytest.approx([np.log(2), 0, 0, np.log(4)])


def test_without_neighbors_nothing_is_odd():
    assert outlier_scores(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0)).score.tolist() == [0]
    assert not mixnn.find_outliers(np.ones((50, 4))).is_outlier.any()  # all alike


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros(5),), r"features have the shape \(5,\): give a row for each sample"),
        ((np.ones((3, 2)), ["a", "b"]), "give 2 rows, one a label"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(InputError, match=message):
        mixnn.find_outliers(*given)
