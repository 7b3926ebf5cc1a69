"""Random numbers that follow from what they are for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnn.data.seeds import derived_seed, generator


def test_golden_seeds():
    """Other numbers here mean that no run can be repeated."""
    assert derived_seed(0) == 3717377837946358015
    assert derived_seed(1, 2, 3) == 6530208866956668065
    assert derived_seed(3, 2, 1) == 1464443633431822560


keys = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)


@given(keys)
def test_a_generator_starts_the_same_every_time(some):
    assert 0 <= derived_seed(*some) < 2**63
    assert torch.equal(torch.rand(3, generator=generator(*some)), torch.rand(3, generator=generator(*some)))


@given(keys, keys)
def test_other_keys_of_the_same_number_give_another_seed(some, others):
    if len(some) == len(others):
        assert (derived_seed(*some) == derived_seed(*others)) == (some == others)


def test_more_keys_give_another_seed():
    assert derived_seed(7, 3) != derived_seed(7, 3, 0)
