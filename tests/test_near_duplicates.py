"""Samples that come twice are found: by features, by pixels, in sets; those that only lie close are not."""

import numpy as np
import pytest
import torch

import mixnn
from mixnn import InputError, TrainData
from mixnn.evidence.near_duplicates import chance_ratio, compare_neighbors, correlation, find_near_duplicates
from mixnn.label_quality.duplicates import groups, set_numbers

N = 30


@pytest.fixture
def images():
    """Thirty random pictures, of which 3 is 20 mirrored, 5 is 21 again in other light, 7 lies close to 22 only."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(N, 3, 8, 8, generator=random)
    pictures = torch.nn.functional.interpolate(coarse, scale_factor=4) * 255
    pictures[20] = pictures[3].flip(2)
    pictures[21] = 0.6 * pictures[5] + 60
    return pictures.round().to(torch.uint8)


@pytest.fixture
def near():
    """Neighbors and distances: the first is close for 3 and 20, 5 and 21, 7 and 22."""
    neighbors = (torch.arange(N)[:, None] + torch.arange(1, 6)) % N
    distances = torch.tensor([0.27, 0.28, 0.29, 0.3, 0.3]).repeat(N, 1)
    for one, other in ((3, 20), (5, 21), (7, 22)):
        neighbors[one, 0], neighbors[other, 0] = other, one
        distances[[one, other], 0] = 0.05
    return neighbors, distances


def test_the_same_picture_is_found(images, near):
    data = TrainData(images, torch.zeros(N, dtype=torch.int64))
    found = compare_neighbors(*near, data.inputs)
    assert sorted(found.pairs.tolist()) == [[3, 20], [5, 21]]
    assert np.flatnonzero(found.score > 0.5).tolist() == [3, 5, 20, 21]
    assert found.set_number[[3, 5, 20, 21, 7]].tolist() == [0, 1, 0, 1, -1]


def test_features_alone_have_to_be_nearer_than_chance(near):
    neighbors, distances = near
    assert compare_neighbors(neighbors, distances).pairs.tolist() == [[3, 20], [5, 21], [7, 22]]
    random = torch.Generator().manual_seed(0)
    distances = torch.rand(N, 5, generator=random).sort(1).values  # as of points on a line or a plane
    distances[3, 0] = 0.0
    assert compare_neighbors(neighbors, distances).pairs.tolist() == [[3, 20]]


def test_pictures_all_alike_are_found_where_every_distance_is_zero(images):
    data = TrainData(images[:1].repeat(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    neighbors = torch.tensor([[1], [0], [0], [0]])
    found = compare_neighbors(neighbors, torch.zeros(4, 1), data.inputs)
    assert sorted(found.pairs.tolist()) == [[0, 1], [0, 2], [0, 3]]
    assert [rows.tolist() for rows in found.sets] == [[0, 1, 2, 3]]


def test_without_neighbors_there_are_none():
    found = compare_neighbors(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0))
    assert (found.pairs.shape, found.score.tolist()) == ((0, 2), [0, 0])


@pytest.mark.parametrize("width", [4, 8, 16, 64])
def test_drawn_features_have_no_near_duplicates_whatever_their_dimension(width):
    drawn = np.random.default_rng(0).normal(size=(1000, width)).astype(np.float32)
    assert len(find_near_duplicates(drawn).pairs) <= 1
    drawn[8:20] = drawn[7]  # more copies than neighbors are looked at
    drawn[500] = 3 * drawn[400]  # of another length
    found = find_near_duplicates(drawn)
    assert [rows.tolist() for rows in found.sets if len(rows) > 2] == [list(range(7, 20))]
    assert found.set_number[500] == found.set_number[400] >= 0
    assert found.score[[7, 400]].tolist() == [1, 1]


def test_the_dimension_is_that_of_the_distances():
    distances = torch.arange(1, 11).double().div(10).pow(2 / 5).repeat(100, 1)  # uniform in five dimensions
    assert chance_ratio(distances) == pytest.approx((1 / 900) ** (2 / 4.9), rel=0.35)


def test_pixels_alone(images):
    pixels = images.permute(0, 2, 3, 1).numpy()
    assert sorted(find_near_duplicates(images=pixels).pairs.tolist()) == [[3, 20], [5, 21]]
    assert sorted(find_near_duplicates(images=pixels / 255).pairs.tolist()) == [[3, 20], [5, 21]]
    assert sorted(find_near_duplicates(images=images.numpy()).pairs.tolist()) == [[3, 20], [5, 21]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"needs features \(N, D\), images \(N, H, W, 3\), or both: give one"),
        ({"features": np.zeros(5)}, r"features have the shape \(5,\): give a row for each sample, as \(N, D\)"),
        ({"features": [[1, np.nan]]}, "features of row 0 are not finite"),
        ({"features": np.ones((3, 2)), "images": np.zeros((4, 8, 8, 3), np.uint8)}, r"give \(3, H, W, 3\)"),
        ({"images": [np.zeros((8, 8, 3)), np.zeros((9, 8, 3))]}, "images are of several sizes"),
        ({"images": np.zeros((5, 3))}, r"images have the shape \(5, 3\): give \(N, H, W, 3\)"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(InputError, match=message):
        mixnn.find_near_duplicates(**given)


def test_correlation_knows_no_light_and_no_contrast():
    a = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(correlation(a, 0.3 * a + 0.5), torch.ones(2))
    torch.testing.assert_close(correlation(a, 1 - a), -torch.ones(2))
    assert correlation(a, torch.full_like(a, 0.5)).tolist() == [0, 0]


def test_a_chain_is_one_set():
    order = np.random.default_rng(0).permutation(1000)
    pairs = np.stack([order[:-1], order[1:]], 1)
    assert [len(rows) for rows in groups(1001, pairs)] == [1000]
    assert set_numbers(4, np.array([[1, 3]])).tolist() == [-1, 0, -1, 0]
