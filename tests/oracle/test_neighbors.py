"""Nearest neighbors against a float64 table of all distances."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mixnn.errors import InputError
from mixnn.evidence.knn import knn_indices
from mixnn.evidence.neighbors import brute_force as pairs
from mixnn.evidence.neighbors import inverted_file
from mixnn.evidence.neighbors import search as neighbors
from mixnn.evidence.neighbors.search import ALL_PAIRS, choose, nearest_neighbors, sampled_recall
from mixnn.tables import topk_rows

metrics = pytest.mark.parametrize("metric", ["l2", "cosine"])
indexes = pytest.mark.parametrize("backend", ["ivf", "hnsw"])
arithmetics = pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])


def search(points: Tensor, k: int, arithmetic: str, **options: object) -> Tensor:
    """Brute force in float32 or bfloat16, whatever this machine would choose."""
    return nearest_neighbors(points, k, backend="exact" if arithmetic == "float32" else "bfloat16", **options)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clusters(spread: float) -> Tensor:
    """1 000 points around ten centers; `spread` is the share of the centers' own spread."""
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
    """Nobody is its own neighbor, and nobody is named twice."""
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


@indexes
@pytest.mark.parametrize("rows", rows_asked)
def test_rows_of_an_index(backend, rows):
    points = normal(40, 4)
    part = nearest_neighbors(points, 3, rows=rows, backend=backend)
    assert torch.equal(part, nearest_neighbors(points, 3, backend=backend)[rows])


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bfloat16_where_it_is_fast(fast, monkeypatch):
    monkeypatch.setattr(neighbors, "fast_bfloat16", lambda device: fast)
    monkeypatch.setattr(neighbors, "MIN_WIDTH", 64)
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
@indexes
@pytest.mark.parametrize("k", [1, 10])
def test_an_index_finds_nearly_all(metric, backend, k):
    points = normal(4000, 16)
    found = nearest_neighbors(points, k, metric=metric, backend=backend)
    assert_valid(found)
    assert recall(found, brute_force(points, k, metric)) >= 0.9


def test_lists_are_searched_until_enough_is_found(monkeypatch):
    """Independent normal numbers lie in no clusters: the lists at first are too few."""
    monkeypatch.setattr(inverted_file, "LIST", 16)
    points = normal(4000, 16)
    widened = recall(nearest_neighbors(points, 10, backend="ivf"), brute_force(points, 10))
    monkeypatch.setattr(inverted_file.InvertedFile, "widen", lambda self: None)
    assert recall(nearest_neighbors(points, 10, backend="ivf"), brute_force(points, 10)) < 0.9
    assert widened > inverted_file.TARGET_RECALL - 0.02


@indexes
def test_an_index_of_few_and_of_equal_samples(backend):
    few = normal(6, 2)
    assert torch.equal(nearest_neighbors(few, 5, backend=backend), brute_force(few, 5))
    assert_valid(nearest_neighbors(torch.ones(40, 3), 4, backend=backend))


@pytest.mark.parametrize("copies", [1, 700, 4000])
def test_lists_of_many_equal_samples_stay_short(copies):
    """A list holds what is nearest to its center, which may be a picture that comes a thousand times."""
    points = torch.cat([normal(1, 8).repeat(copies, 1), normal(5000, 8, seed=1)])
    found = nearest_neighbors(points, 4, backend="ivf")
    assert_valid(found)
    assert recall(found[copies:], brute_force(points, 4)[copies:]) >= 0.9
    lists = inverted_file.InvertedFile(neighbors.Points(points, "l2"), 4, rounded=False)
    assert max(torch.tensor(lists.starts).diff()) <= 2 * inverted_file.LIST
    assert torch.equal(lists.order.sort().values, torch.arange(len(points)))


def test_a_list_with_too_few_by_one_is_no_place_to_look(monkeypatch):
    """It holds k samples, one of which is the one that is asked for."""
    monkeypatch.setattr(inverted_file, "LIST", 16)
    points = normal(200, 8)
    lists = inverted_file.InvertedFile(neighbors.Points(points, "l2"), 1, rounded=False)
    lists.probes, lists.k = 1, lists.starts[1]
    rows = lists.order[: lists.k]
    assert torch.equal(lists.search(rows), brute_force(points, lists.k)[rows])


@pytest.mark.parametrize("spread", [1.0, 0.01])
def test_lists_in_16_bits_find_the_nearest_inside_tight_clusters(spread, monkeypatch):
    """Of samples of a class that are all but alike, as late in training: seen from their list's center they differ."""
    monkeypatch.setattr(inverted_file, "LIST", 100)
    points = 5 + normal(10, 32, seed=1).repeat(200, 1) + spread * normal(2000, 32)
    lists = inverted_file.InvertedFile(neighbors.Points(points, "l2"), 5, rounded=True)
    lists.probes = 20
    assert recall(lists.search(torch.arange(2000)), brute_force(points, 5)) >= 0.97


@pytest.mark.parametrize("backend", ["exact", "bfloat16", "ivf", "hnsw"])
def test_a_search_tells_how_far_it_is(backend, monkeypatch):
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(inverted_file, "LIST", 100)
    nearest_neighbors(normal(900, 4), 3, backend=backend, progress=lambda *one: told.append(one), chunk=100)
    done, total = zip(*told, strict=True)
    assert (done[-1], set(total)) == (900, {900})
    assert list(done) == sorted(done)
    assert len(done) > 4


def test_a_graph_without_faiss_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"'hnsw' needs faiss: pip install 'mixnn\[ann\]', or use backend 'ivf'"):
        nearest_neighbors(normal(4, 2), 1, backend="hnsw")


def test_auto_compares_all_pairs_while_they_are_few(monkeypatch):
    """Up to there a run can be repeated to the bit on any machine of its kind."""
    device = torch.device("cpu")
    for fast in (True, False):
        monkeypatch.setattr(neighbors, "fast_bfloat16", lambda _, fast=fast: fast)
        assert choose("auto", device, ALL_PAIRS, 64, 100) == "exact"
        assert choose("auto", device, ALL_PAIRS, 512, 100) == ("bfloat16" if fast else "exact")
        assert choose("auto", device, 10_000, 512, 100) == "exact"  # many candidates to rank, for few products
        assert choose("auto", device, ALL_PAIRS + 1, 64, 100) == "ivf"
    assert choose("hnsw", device, 10, 4, 1) == "hnsw"


def test_auto_does_what_is_chosen(monkeypatch):
    monkeypatch.setattr(neighbors, "ALL_PAIRS", 299)
    monkeypatch.setattr(inverted_file, "LIST", 10)
    monkeypatch.setattr(inverted_file.InvertedFile, "widen", lambda self: setattr(self, "probes", 1))
    points = normal(300, 16)
    found = nearest_neighbors(points, 3)
    assert torch.equal(found, nearest_neighbors(points, 3, backend="ivf"))
    assert not torch.equal(found, nearest_neighbors(points, 3, backend="exact"))


@metrics
def test_the_recall_on_a_sample_is_that_of_the_sample(metric):
    points = normal(1000, 16)
    found = nearest_neighbors(points[:, :10], 5, metric=metric, backend="exact")
    true, looked = brute_force(points, 5, metric), slice(None, None, 5)
    hits = (found[looked][:, :, None] == true[looked][:, None]).any(2).sum().item()
    assert sampled_recall(points, found, metric=metric) == (hits, 1000)
    assert 100 < hits < 950
    parts = [slice(0, 333), slice(333, 1000)]
    shares = [sampled_recall(points, found[rows], rows=rows, metric=metric) for rows in parts]
    assert [sum(both) for both in zip(*shares, strict=True)] == [hits, 1000]


def test_one_that_is_as_near_as_a_true_one_counts():
    points = normal(30, 4).repeat(4, 1)  # the three others at its place, and then four that are equally far
    found = nearest_neighbors(points, 5, backend="exact")
    other = torch.arange(120).flip(0)[nearest_neighbors(points.flip(0), 5, backend="exact")].flip(0)
    assert not torch.equal(found, other)
    assert sampled_recall(points, found) == sampled_recall(points, other) == (120, 120)  # one place that is not its own


def test_copies_are_no_proof_of_a_good_search():
    """Thirty of a hundred samples are one picture: their neighbors are at no distance, and any search finds them."""
    points = normal(1000, 16)
    points[700:] = points[0]
    found = nearest_neighbors(points, 5, backend="exact")
    assert sampled_recall(points, found) == (700 - 5, 700 - 5)  # of 200: 140 with 5, but the first, which is a copy
    blind = torch.randint(700, (1000, 5), generator=torch.Generator().manual_seed(0))
    blind[700:], blind[0] = found[700:], found[0]
    hits, expected = sampled_recall(points, blind)
    assert (hits < 20, expected) == (True, 695)
    points[350:700] = points[:350]  # and the rest are pairs
    found = nearest_neighbors(points, 5, backend="exact")
    assert sampled_recall(points, found)[0] == sampled_recall(points, found)[1] < 700 * 0.6
    points[:] = 1
    assert sampled_recall(points, nearest_neighbors(points, 5, backend="exact")) == (0, 0)
    assert knn_indices(points, 5, metric="l2", backend="bfloat16")[1].recall is None


def test_recall_is_told_without_a_table(monkeypatch):
    """Of all samples, that is: `sampled_recall` may run beside tables that fill the memory."""
    monkeypatch.setattr(topk_rows, "CHUNK", 1000 * 16)
    features = normal(20_000, 16)
    found = nearest_neighbors(features, 1, backend="exact", rows=slice(0, 300))
    with allocations() as sizes:
        sampled_recall(features, found, rows=slice(0, 300))
    assert max(sizes) <= 20_000 * 8  # their numbers


def storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@contextmanager
def allocations() -> Iterator[list[int]]:
    """Bytes of what each operation makes anew."""
    sizes: list[int] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = {one.data_ptr() for one in storages((args, kwargs))}
            result = func(*args, **(kwargs or {}))
            sizes.extend(one.nbytes() for one in storages(result) if one.data_ptr() not in given)
            return result

    with Watch():
        yield sizes


@arithmetics
def test_memory_is_one_table_and_the_scores_of_a_chunk(arithmetic, monkeypatch):
    """So 1 000 000 × 512, beside 2.0 GB of features: 2.0 GB of table and 0.5 GB of scores, or half of each."""
    n, width, chunk, each = 6400, 32, 16, 4 if arithmetic == "float32" else 2
    monkeypatch.setattr(topk_rows, "CHUNK", 1000 * width)
    monkeypatch.setattr(pairs, "ON_CPU", 2**12)
    features = normal(n, width)
    with allocations() as sizes:
        search(features, 3, arithmetic, chunk=chunk, rows=slice(0, 100))
    table, scores = n * width * each, chunk * n * each
    sizes.sort()
    assert sizes.pop() == table
    assert max(sizes) <= max(scores, 1000 * width * 4, n * 8)  # a part of the features, and numbers of rows


def test_a_search_of_a_million_keeps_few_scores(monkeypatch):
    """The chunk, which nobody gives, is so small that scores stay below 2^27, half a GB."""
    asked: list[int] = []
    monkeypatch.setattr(neighbors, "compare_pairs", lambda points, own, k, chunk, **_: asked.append(chunk))
    for n in (50_000, 131_072, 1_000_000, 2_000_000):
        nearest_neighbors(torch.zeros(n, 1), 1, backend="exact")
    assert asked == [1024, 1024, 134, 67]


@pytest.mark.parametrize("k", [-1, 5, 6])
def test_impossible_k(k):
    with pytest.raises(InputError, match=f"{k} neighbors asked of 5 samples: use 0 to 4"):
        nearest_neighbors(normal(5, 2), k)


@pytest.mark.parametrize("backend", ["exact", "ivf", "hnsw"])
def test_no_neighbors(backend):
    assert nearest_neighbors(normal(5, 2), 0, rows=slice(1, 4), backend=backend).shape == (3, 0)


@metrics
@arithmetics
def test_a_table_made_in_parts_is_the_same(metric, arithmetic, monkeypatch):
    features = normal(300, 16) + 1
    whole = search(features, 5, arithmetic, metric=metric)
    monkeypatch.setattr(topk_rows, "CHUNK", 16 * 7)
    monkeypatch.setattr(pairs, "ON_CPU", 16 * 9 * 4)
    assert torch.equal(search(features, 5, arithmetic, metric=metric), whole)
    for backend in ("ivf", "hnsw"):
        assert recall(nearest_neighbors(features, 5, metric=metric, backend=backend), whole) >= 0.99


@pytest.mark.parametrize(("backend", "enough"), [("ivf", inverted_file.TARGET_RECALL), ("hnsw", 0.99)])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_an_index_of_features_that_float16_cannot_hold(backend, enough, scale):
    points = normal(1000, 16)
    found = nearest_neighbors(scale * points, 5, backend=backend)
    assert recall(found, brute_force(points, 5)) >= enough


@pytest.mark.parametrize("backend", ["exact", "bfloat16", "ivf", "hnsw"])
def test_features_that_are_no_numbers(backend):
    """A network may diverge; that the search ends, and names others, is enough."""
    points = normal(100, 4)
    points[3] = torch.nan
    found = nearest_neighbors(points, 3, backend=backend)
    assert_valid(found)
    assert sampled_recall(points, found) == (0, 300)
