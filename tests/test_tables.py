"""SampleTable: writes wait for the end of the epoch, and the last one counts."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnn.tables.sample_table import SampleTable

N, C = 6, 2
# What one epoch writes: any number of (rows, value), the same row as often as you like.
epoch = st.lists(st.tuples(st.lists(st.integers(0, N - 1), max_size=8), st.integers(1, 1000)), max_size=5)


def rows_of(indices: list[int], first: int) -> torch.Tensor:
    """Values that tell apart every place of every write."""
    return torch.arange(len(indices) * C).reshape(-1, C) + 1000.0 * first


@given(st.lists(epoch, max_size=3))
def test_writes_wait_for_sync_and_the_last_one_counts(epochs):
    table, expected = SampleTable(torch.zeros(N, C)), torch.zeros(N, C)
    for writes in epochs:
        for indices, first in writes:
            table.write(torch.tensor(indices, dtype=torch.int64), rows_of(indices, first))
            assert torch.equal(table[torch.arange(N)], expected)  # not to be seen yet
        for indices, first in writes:
            for index, row in zip(indices, rows_of(indices, first), strict=True):
                expected[index] = row
        table.sync()
        assert torch.equal(table.rows, expected)


def test_sync_applies_a_write_once():
    table = SampleTable(torch.zeros(2))
    table.write(torch.tensor([0]), torch.ones(1))
    table.sync()
    table.rows.zero_()
    table.sync()
    assert table.rows.tolist() == [0, 0]


def test_the_first_rows_are_copied():
    rows = torch.zeros(2)
    table = SampleTable(rows)
    rows.fill_(7)
    assert table.rows.tolist() == [0, 0]


def test_written_rows_carry_no_gradient_and_take_the_type_of_the_table():
    table = SampleTable(torch.zeros(3, 2))
    weights = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    table.write(torch.tensor([2]), weights * 3)
    table.sync()
    assert table.rows.dtype == torch.float32
    assert not table.rows.requires_grad
    assert table[2].tolist() == [3, 3]


def test_rows_are_the_state():
    table = SampleTable(torch.zeros(3, 2))
    table.write(torch.tensor([1]), torch.ones(1, 2))
    table.sync()
    other = SampleTable(torch.zeros(3, 2))
    other.load_state_dict(table.state_dict())
    assert list(table.state_dict()) == ["rows"]
    assert torch.equal(other.rows, table.rows)
    assert len(other) == 3


def test_integer_rows():
    table = SampleTable(torch.tensor([1, 2, 3]))
    table.write(torch.tensor([2, 0]), torch.tensor([9, 8]))
    table.sync()
    assert table.rows.tolist() == [8, 2, 9]
