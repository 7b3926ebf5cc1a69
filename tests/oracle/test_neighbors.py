"""Nearest neighbours against a float64 table of all distances."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mixnn import neighbors
from mixnn.errors import InputError
from mixnn.neighbors import nearest_neighbors

metrics = pytest.mark.parametrize("metric", ["l2", "cosine"])
arithmetics = pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])


def search(points: Tensor, k: int, arithmetic: str, **options: object) -> Tensor:
    """Brute force in float32 or bfloat16, whatever this machine would choose."""
    return nearest_neighbors(points, k, backend="exact" if arithmetic == "float32" else "bfloat16", **options)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clusters(spread: float) -> Tensor:
    """1 000 points around ten centres; `spread` is the share of the centres' own spread."""
    return normal(10, 64, seed=1).repeat(100, 1) + spread * normal(1000, 64)


def distances(points: Tensor, metric: str) -> Tensor:
    points = points.double()
    if metric == "cosine":
        points = points / points.norm(dim=1, keepdim=True)
    table = (points[:, None] - points[None]).norm(dim=2) if len(points) < 300 else torch.cdist(points, points)
    return table.fill_diagonal_(torch.inf)


def brute_force(points: Tensor, k: int, metric: str = "l2") -> Tensor:
    return distances(points, metric).topk(k, largest=False).indices


def recall(found: Tensor, true: Tensor) -> float:
    return (found[:, :, None] == true[:, None]).any(2).double().mean().item()


def assert_valid(found: Tensor) -> None:
    """Nobody is its own neighbour, and nobody is named twice."""
    assert found.dtype == torch.int64
    assert (found != torch.arange(len(found))[:, None]).all()
    assert all(len(set(row)) == len(row) for row in found.tolist())


@metrics
@pytest.mark.parametrize(("n", "k"), [(60, 1), (60, 59), (300, 1), (300, 4), (300, 20)])
@pytest.mark.parametrize("chunk", [7, 1024])
def test_exact_search_is_exact(metric, n, k, chunk):
    points = normal(n, 8) + 3  # off the origin, where cosine and l2 differ
    found = search(points, k, "float32", metric=metric, chunk=chunk)
    assert torch.equal(found, brute_force(points, k, metric))


@metrics
@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("shape", ["normal", "rectified", "offset"])
def test_bfloat16_search_is_nearly_exact(metric, k, shape):
    points = {"normal": normal(1000, 64), "rectified": normal(1000, 64).relu(), "offset": normal(1000, 64) + 1}[shape]
    found = search(points, k, "bfloat16", metric=metric)
    assert_valid(found)
    assert recall(found, brute_force(points, k, metric)) >= 0.99


@pytest.mark.parametrize("spread", [1.0, 0.5])
def test_bfloat16_search_inside_tight_clusters(spread):
    """Features of one class draw together as training goes on."""
    points = clusters(spread)
    assert recall(search(points, 5, "bfloat16"), brute_force(points, 5)) >= 0.99


@metrics
@arithmetics
def test_twins_come_first(metric, arithmetic):
    points = normal(12, 4).repeat(5, 1)  # every point five times
    found = search(points, 4, arithmetic, metric=metric)
    assert_valid(found)
    assert (distances(points, metric).gather(1, found) < 1e-6).all()


@metrics
@pytest.mark.parametrize("k", [1, 5, 28, 29])
def test_bfloat16_search_gives_the_nearest_first(metric, k):
    points = normal(30, 8)
    found = search(points, k, "bfloat16", metric=metric)
    assert_valid(found)
    assert (distances(points, metric).gather(1, found).diff() >= -1e-6).all()


@arithmetics
def test_all_samples_equal(arithmetic):
    assert_valid(search(torch.ones(9, 3), 8, arithmetic))


rows_asked = [slice(0, 20), slice(20, 40), slice(39, None), slice(7, 7), slice(None, None, 3)]


@arithmetics
@pytest.mark.parametrize("rows", rows_asked)
def test_rows_are_those_of_the_whole_answer(arithmetic, rows):
    points = normal(40, 4)
    assert torch.equal(search(points, 3, arithmetic, rows=rows), search(points, 3, arithmetic)[rows])


@pytest.mark.parametrize("rows", rows_asked)
def test_rows_of_hnsw(rows):
    points = normal(40, 4)
    part = nearest_neighbors(points, 3, rows=rows, backend="hnsw")
    assert torch.equal(part, nearest_neighbors(points, 3, backend="hnsw")[rows])


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bfloat16_where_it_is_fast(fast, monkeypatch):
    monkeypatch.setattr(neighbors, "fast_bfloat16", lambda device: fast)
    points = clusters(0.02)  # so tight that the two differ
    found = {backend: nearest_neighbors(points, 5, backend=backend) for backend in ("auto", "exact", "bfloat16")}
    assert torch.equal(found["auto"], found["bfloat16" if fast else "exact"])
    assert not torch.equal(found["exact"], found["bfloat16"])


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.data())
def test_a_permuted_data_set_has_the_permuted_neighbors(seed, n, data):
    points, k = normal(n, 3, seed=seed), data.draw(st.integers(0, n - 1))
    order = torch.tensor(data.draw(st.permutations(range(n))))
    straight, permuted = search(points, k, "float32"), order[search(points[order], k, "float32")]
    # Distances are compared, as rounding may swap two that are the same to float32.
    table = distances(points, "l2")
    assert torch.allclose(table.gather(1, straight)[order], table[order].gather(1, permuted), atol=1e-5)


@metrics
@pytest.mark.parametrize("k", [1, 10])
def test_hnsw_finds_nearly_all(metric, k):
    points = normal(2000, 16)
    found = nearest_neighbors(points, k, metric=metric, backend="hnsw")
    assert_valid(found)
    assert recall(found, brute_force(points, k, metric)) >= 0.9


def test_hnsw_of_few_and_of_equal_samples():
    few = normal(6, 2)
    assert torch.equal(nearest_neighbors(few, 5, backend="hnsw"), brute_force(few, 5))
    assert_valid(nearest_neighbors(torch.ones(40, 3), 4, backend="hnsw"))


def test_hnsw_without_faiss_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'mixnn\[ann\]'"):
        nearest_neighbors(normal(4, 2), 1, backend="hnsw")


@pytest.mark.parametrize("k", [-1, 5, 6])
def test_impossible_k(k):
    with pytest.raises(InputError, match=f"{k} neighbours asked of 5 samples: use 0 to 4"):
        nearest_neighbors(normal(5, 2), k)


@pytest.mark.parametrize("backend", ["exact", "hnsw"])
def test_no_neighbors(backend):
    assert nearest_neighbors(normal(5, 2), 0, rows=slice(1, 4), backend=backend).shape == (3, 0)


@metrics
@arithmetics
def test_a_table_made_in_parts_is_the_same(metric, arithmetic, monkeypatch):
    points = normal(300, 16) + 1
    whole = search(points, 5, arithmetic, metric=metric)
    monkeypatch.setattr(neighbors, "PART", 16 * 7)
    assert torch.equal(search(points, 5, arithmetic, metric=metric), whole)
    assert recall(nearest_neighbors(points, 5, metric=metric, backend="hnsw"), whole) >= 0.99


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_hnsw_of_features_that_float16_cannot_hold(scale):
    points = normal(1000, 16)
    found = nearest_neighbors(scale * points, 5, backend="hnsw")
    assert recall(found, brute_force(points, 5)) >= 0.99


@pytest.mark.parametrize("backend", ["exact", "bfloat16", "hnsw"])
def test_features_that_are_no_numbers(backend):
    """A network may diverge; that the search ends, and names others, is enough."""
    points = normal(100, 4)
    points[3] = torch.nan
    assert_valid(nearest_neighbors(points, 3, backend=backend))
