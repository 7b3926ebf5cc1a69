"""Tables of shares, whole and packed: what is kept, what is left, and that numpy and torch read the same."""

import numpy as np
import pytest
import torch

from mixnn.evidence.knn import vote_k
from mixnn.evidence.neighbors.search import nearest_neighbors
from mixnn.label_quality.combination import knn_vote
from mixnn.label_quality.probabilities import largest_two, probability_of
from mixnn.tables.topk_rows import (
    DIRECTIONS,
    LIMIT,
    TOPK,
    VALUES,
    WIDE_VALUES,
    TopkTable,
    chunks,
    feature_bytes,
    feature_width,
    row_bytes,
    topk_dtype,
    topk_size,
)
from mixnn.tables.topk_tensors import (
    as_float16,
    as_rows,
    as_tensor,
    as_topk,
    concatenated,
    dense_chunks,
    to_dense,
    to_topk,
)


def drawn(n: int, classes: int) -> torch.Tensor:
    return torch.randn(n, classes, generator=torch.Generator().manual_seed(0)).mul(3).softmax(1)


def test_only_what_is_large_is_packed():
    assert topk_size(50_000, 100) is None  # CIFAR-100
    assert topk_size(LIMIT // 100, 100) is None
    assert topk_size(LIMIT // 100 + 1, 100) == TOPK
    assert topk_size(LIMIT, TOPK + 1) is None  # packed it would be no smaller
    assert topk_size(LIMIT, 65_536) == TOPK
    assert topk_size(LIMIT, 65_537) is None  # has no number for them all
    assert row_bytes(10, 100) == 400
    assert row_bytes(2_400_000, 1000) == 4 * (TOPK + 1) == to_topk(drawn(1, 1000), TOPK).nbytes


def test_only_very_many_features_are_rounded():
    assert feature_bytes(50_000, 2048) == 4
    assert feature_bytes(VALUES // 2048, 2048) == 4
    assert feature_bytes(VALUES // 2048 + 1, 2048) == 2
    x = torch.randn(4, 6)
    assert as_float16(x, 4) is x


def test_only_still_more_features_are_kept_along_fewer_directions():
    assert feature_width(1_000_000, 2048) == 2048
    assert feature_width(WIDE_VALUES // 2048, 2048) == 2048
    assert feature_width(WIDE_VALUES // 2048 + 1, 2048) == DIRECTIONS
    assert feature_width(100_000_000, DIRECTIONS) == DIRECTIONS
    assert feature_width(100_000_000, 64) == 64


@pytest.mark.parametrize("spread", [1.0, 0.03])
def test_rounded_features_keep_their_direction(spread):
    """Of any length; also where samples of a class are much alike, and one feature is far above the others."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(10, 64, generator=random)[torch.arange(500) % 10] + spread * torch.randn(500, 64, generator=random)
    x[:, 5] += 20
    x = x.relu() * torch.logspace(-6, 6, 500)[:, None]
    rounded = as_float16(x, 2)
    assert rounded.dtype == torch.float16
    assert rounded.amax(1).tolist() == [1] * 500
    for backend in ("exact", "ivf"):
        found, expected = (nearest_neighbors(z, 10, metric="cosine", backend=backend) for z in (rounded, x))
        assert (found[:, :, None] == expected[:, None]).any(2).float().mean() > 0.97
    assert rounded.isfinite().all()


def test_features_of_no_direction_are_rounded_all_the_same():
    odd = torch.tensor([[0.0, 0.0], [torch.nan, 1.0], [torch.inf, 1.0], [1e-40, 0.0]])
    rounded = as_float16(odd, 2)
    assert rounded[0].tolist() == [0, 0]
    for backend in ("auto", "exact", "bfloat16"):
        found = nearest_neighbors(rounded, 1, metric="cosine", backend=backend)
        assert found.shape == (4, 1)
        assert (found < 4).all()


def test_parts_are_all_rows_once(monkeypatch):
    monkeypatch.setattr("mixnn.tables.topk_rows.CHUNK", 25)
    assert chunks(11, 5) == [slice(0, 5), slice(5, 10), slice(10, 11)]
    assert chunks(3, 1000) == [slice(0, 1), slice(1, 2), slice(2, 3)]  # one at least


def test_where_all_is_kept_a_row_is_the_same_but_for_16_bits():
    shares = drawn(50, 9)
    torch.testing.assert_close(to_dense(to_topk(shares, 9), 9), shares, rtol=2**-11, atol=2**-25)
    assert to_dense(shares, 9) is shares is to_topk(shares, None)


def test_the_largest_shares_are_kept_and_the_rest_is_spread_evenly():
    shares = torch.tensor([[0.05, 0.5, 0.02, 0.3, 0.13]])
    np.testing.assert_allclose(to_dense(to_topk(shares, 2), 5), [[0.2 / 3, 0.5, 0.2 / 3, 0.3, 0.2 / 3]], rtol=1e-3)
    many = drawn(200, 100)
    found = to_dense(to_topk(many, 8), 100)
    torch.testing.assert_close(found.sum(1), torch.ones(200), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.amax(1), many.amax(1), rtol=2**-11, atol=0)
    assert torch.equal(found.argmax(1), many.argmax(1))
    assert (found > 0).all()


def test_a_vote_of_few_neighbors_is_kept_whole():
    """Of very many samples so few are asked that each class they name is kept."""
    assert vote_k(2_400_000, 1000) <= TOPK
    labels = np.random.default_rng(0).integers(0, 200, (50, TOPK))
    vote = knn_vote(labels, np.full(200, 1 / 200))
    np.testing.assert_allclose(to_dense(to_topk(torch.from_numpy(vote), TOPK), 200), vote, rtol=6e-4)


def test_classes_beyond_what_16_bits_count_with_a_sign():
    shares = torch.zeros(1, 65_536)
    shares[0, 65_535], shares[0, 40_000] = 0.75, 0.25
    assert to_dense(to_topk(shares, 2), 65_536).nonzero()[:, 1].tolist() == [40_000, 65_535]


@pytest.mark.parametrize("kept", [None, 4, 12])
def test_numpy_reads_what_torch_packed(kept):
    shares = drawn(30, 12)
    table = to_topk(shares, kept)
    rows, whole = as_rows(table, 12), to_dense(table, 12).numpy()
    assert rows.shape == (30, 12)
    assert len(rows) == 30
    for some in (slice(3, 9), np.array([5, 0, 5]), np.arange(30) % 7 == 0, 4):
        np.testing.assert_array_equal(rows[some], whole[some])
        assert rows[some].dtype == np.float32
    np.testing.assert_array_equal(rows.argmax(1), shares.numpy().argmax(1))
    assert torch.equal(as_tensor(rows), table)


def test_records_are_for_others_to_read():
    rows = as_rows(to_topk(torch.tensor([[0.125, 0.5, 0.125, 0.25]]), 2), 4)
    assert isinstance(rows, TopkTable)
    assert rows.records.dtype == topk_dtype(2)
    assert rows.records["topk"]["class"].tolist() == [[1, 3]]
    assert rows.records["topk"]["prob"].tolist() == [[0.5, 0.25]]
    assert rows.records["tail_prob"].tolist() == [0.125]
    with pytest.raises(ValueError, match="axis is 0"):
        rows.argmax(0)


def test_a_whole_table_is_packed_part_by_part(monkeypatch):
    shares = drawn(20, 10)
    monkeypatch.setattr("mixnn.tables.topk_rows.CHUNK", 35)
    small = as_topk(shares, 10, 3)
    assert torch.equal(small, to_topk(shares, 3))
    assert as_topk(small, 10, 3) is small
    assert as_topk(shares, 10, None) is shares
    seen = list(dense_chunks(small, 10))
    assert len(seen) == 7
    assert torch.equal(torch.cat([part for _, part in seen]), to_dense(small, 10))


def test_tables_are_filled_piece_by_piece():
    pieces = [(torch.full((n, 2), n), torch.full((n,), -n)) for n in (2, 3)]
    first, second = concatenated(5, iter(pieces))
    assert first[:, 0].tolist() == [2, 2, 3, 3, 3]
    assert second.tolist() == [-2, -2, -3, -3, -3]


def test_answers_of_kept_rows_are_those_of_whole_ones():
    probs = drawn(500, 200)
    probs[:5] = 1 / 200  # where what is rounded may be less than what is left
    table = as_rows(to_topk(probs, TOPK), 200)
    assert isinstance(table, TopkTable)
    labels, whole = torch.arange(500).numpy() % 200, table[:]
    np.testing.assert_array_equal(probability_of(table, labels), probability_of(whole, labels))
    first, value, second, next_value = largest_two(table)
    expected = largest_two(whole)
    np.testing.assert_array_equal(value, expected[1])
    np.testing.assert_array_equal(next_value, expected[3])
    np.testing.assert_array_equal(np.take_along_axis(whole, first[:, None], 1)[:, 0], value)
    np.testing.assert_array_equal(np.take_along_axis(whole, second[:, None], 1)[:, 0], next_value)
    assert (first != second).all()
