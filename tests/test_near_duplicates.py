"""Pictures that come twice are found, also mirrored and with other contrast; those that only lie close are not."""

import pytest
import torch

from mixnn import TrainData
from mixnn.evidence.near_duplicates import correlation, find_near_duplicates

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
    neighbors = (torch.arange(N)[:, None] + torch.tensor([1, 2])) % N
    distances = torch.tensor([0.2, 0.3]).repeat(N, 1)
    for one, other in ((3, 20), (5, 21), (7, 22)):
        neighbors[one, 0], neighbors[other, 0] = other, one
        distances[[one, other], 0] = 0.01
    return neighbors, distances


def test_the_same_picture_is_found(images, near):
    data = TrainData(images, torch.zeros(N, dtype=torch.int64))
    assert find_near_duplicates(data.inputs, *near).tolist() == [[3, 20], [5, 21]]


def test_pictures_all_alike_are_found_where_every_distance_is_zero(images):
    data = TrainData(images[:1].repeat(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    neighbors = torch.tensor([[1], [0], [0], [0]])
    assert find_near_duplicates(data.inputs, neighbors, torch.zeros(4, 1)).tolist() == [[0, 1], [0, 2], [0, 3]]


def test_embeddings_are_duplicates_where_they_are_equal(near):
    neighbors, distances = near
    data = TrainData(torch.randn(N, 5), torch.zeros(N, dtype=torch.int64))
    assert find_near_duplicates(data.inputs, neighbors, distances).shape == (0, 2)
    distances[3, 0] = 0.0
    assert find_near_duplicates(data.inputs, neighbors, distances).tolist() == [[3, 20]]


def test_without_neighbors_there_are_none():
    data = TrainData(torch.randn(2, 5), torch.zeros(2, dtype=torch.int64))
    assert find_near_duplicates(data.inputs, torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0)).shape == (0, 2)


def test_correlation_knows_no_light_and_no_contrast():
    a = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(correlation(a, 0.3 * a + 0.5), torch.ones(2))
    torch.testing.assert_close(correlation(a, 1 - a), -torch.ones(2))
    assert correlation(a, torch.full_like(a, 0.5)).tolist() == [0, 0]
