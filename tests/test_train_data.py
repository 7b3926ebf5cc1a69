"""Batches, their order, augmentation, and the random numbers behind both."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnn.data import train_data
from mixnn.data.augment import crop_flip
from mixnn.data.random import derived_seed, generator
from mixnn.data.train_data import TrainData, as_input, channel_statistics


def images(n: int, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def numbered(n: int, **options: object) -> TrainData:
    """Samples that carry their number as pixel and as label."""
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 8, 8)
    return TrainData(pixels, torch.arange(n), **options)


def order(data: TrainData, epoch: int) -> list[int]:
    return [i for batch in data.train_batches(epoch) for i in batch.index.tolist()]


# Batches


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 3), st.booleans())
def test_an_epoch_covers_every_sample_once_in_batches_of_nearly_one_size(n, batch_size, epoch, shuffle):
    data = numbered(n, batch_size=batch_size)
    batches = list(data.train_batches(epoch, shuffle=shuffle))
    seen = torch.cat([batch.index for batch in batches])
    sizes = [len(batch.index) for batch in batches]
    assert seen.sort().values.tolist() == list(range(n))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size
    assert len(batches) == data.num_batches
    assert min(sizes) == data.smallest_batch
    assert shuffle or seen.tolist() == list(range(n))
    for batch in batches:
        assert batch.partners is None
        assert torch.equal(batch.y, batch.index)
        torch.testing.assert_close(batch.x[:, 0, 0, 0] * 255, batch.index.float())


def test_the_order_depends_on_seed_and_epoch_only():
    reference = order(numbered(50, batch_size=8, seed=3), 2)
    torch.rand(7)  # the global random numbers do not matter,
    other = TrainData(images(50), torch.zeros(50, dtype=torch.int64), batch_size=13, seed=3, augment="none")
    list(other.train_batches(0))  # nor do earlier epochs, pixels, labels, batch size or augmentation
    assert order(other, 2) == reference
    assert order(numbered(50, seed=3), 1) != reference
    assert order(numbered(50, seed=4), 2) != reference


@pytest.mark.parametrize("k", [0, 1, 3])
def test_partners_travel_with_their_sample(k):
    data = numbered(10, batch_size=4)
    partners = (torch.arange(10)[:, None] + torch.arange(1, k + 1)) % 10  # (10, K)
    for batch in data.train_batches(0, partners=partners):
        assert torch.equal(batch.partners.index, partners[batch.index])
        assert torch.equal(batch.partners.y, partners[batch.index])
        assert batch.partners.x.shape == (len(batch.index), k, 3, 8, 8)
        torch.testing.assert_close(batch.partners.x[:, :, 0, 0, 0] * 255, partners[batch.index].float())


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_every_batch(monkeypatch, ranks):
    data = numbered(22, batch_size=8)  # batches of 8, 7, 7
    whole = [batch.index.tolist() for batch in data.train_batches(0)]
    monkeypatch.setattr(train_data, "world_size", lambda: ranks)
    shares = []
    for rank in range(ranks):
        monkeypatch.setattr(train_data, "rank", lambda rank=rank: rank)
        shares.append([batch.index.tolist() for batch in data.train_batches(0)])
    assert min(len(batch) for share in shares for batch in share) == data.smallest_batch
    for place, batch in enumerate(whole):
        together = [i for share in shares for i in share[place]]
        missing = -len(batch) % ranks  # so many of its first samples are used twice
        assert sorted(together) == sorted(batch + batch[:missing])
        assert len({len(share[place]) for share in shares}) == 1


def test_full_batches_are_the_data_in_order_and_unaugmented():
    data = TrainData(images(11), torch.zeros(11, dtype=torch.int64))
    parts = list(data.full_batches(batch_size=4))
    assert [len(part) for part in parts] == [4, 4, 3]
    assert torch.equal(torch.cat(parts), images(11) / 255)


def test_embeddings_are_passed_as_they_are():
    x = torch.randn(6, 5)
    data = TrainData(x, torch.zeros(6, dtype=torch.int64), batch_size=6)
    [batch] = data.train_batches(0, partners=torch.zeros(6, 2, dtype=torch.int64))
    assert torch.equal(batch.x, x[batch.index])
    assert torch.equal(batch.partners.x, x[:1].expand(6, 2, 5))


# Augmentation


def test_augmentation_depends_on_seed_epoch_and_index_only():
    def seen(**options: int) -> dict[int, torch.Tensor]:
        data = TrainData(images(30), torch.zeros(30, dtype=torch.int64), **{"batch_size": 7, "seed": 1} | options)
        return {i: x for batch in data.train_batches(4) for i, x in zip(batch.index.tolist(), batch.x, strict=True)}

    reference = seen()
    assert all(torch.equal(x, reference[i]) for i, x in seen(batch_size=30).items())
    assert not all(torch.equal(x, reference[i]) for i, x in seen(seed=2).items())


def test_augmentation_does_not_depend_on_partners():
    data = TrainData(images(30), torch.zeros(30, dtype=torch.int64), batch_size=30)
    alone, together = next(data.train_batches(0)), next(data.train_batches(0, partners=torch.arange(30)[:, None]))
    assert torch.equal(alone.x, together.x)


def test_partners_are_augmented_on_their_own():
    data = TrainData(images(30), torch.zeros(30, dtype=torch.int64), batch_size=30)
    [batch] = data.train_batches(0, partners=torch.arange(30)[:, None])  # each its own partner
    assert not torch.equal(batch.partners.x[:, 0], batch.x)


def test_no_augmentation_where_none_is_asked_for():
    labels = torch.zeros(9, dtype=torch.int64)
    [never] = TrainData(images(9), labels, augment="none").train_batches(0)
    [not_now] = TrainData(images(9), labels).train_batches(0, augment=False)
    for batch in (never, not_now):
        assert torch.equal(batch.x, as_input(images(9))[batch.index])


@given(st.integers(2, 20), st.integers(2, 20))
def test_draws_in_the_middle_are_identity_and_mirror(height, width):
    x, rows = images(4, height, width), torch.tensor([3, 0])
    assert torch.equal(crop_flip(x, rows, torch.tensor([[0.5, 0.5, 0.49]]).expand(2, 3)), x[rows])
    assert torch.equal(crop_flip(x, rows, torch.tensor([[0.5, 0.5, 0.5]]).expand(2, 3)), x[rows].flip(3))


@given(
    st.integers(2, 20),
    st.integers(2, 20),
    st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=3, max_size=3),
)
def test_crop_flip_is_a_window_of_the_reflected_image(height, width, draws):
    x = images(1, height, width)
    pads = [max(1, size // 8) for size in (height, width)]
    pixels = x[0].numpy() if draws[2] < 0.5 else x[0].numpy()[:, :, ::-1]
    padded = np.pad(pixels, [(0, 0), (pads[0],) * 2, (pads[1],) * 2], mode="reflect")
    top, left = (int(np.float32(draw) * (2 * pad + 1)) for draw, pad in zip(draws[:2], pads, strict=True))
    expected = padded[:, top : top + height, left : left + width]
    assert np.array_equal(crop_flip(x, torch.tensor([0]), torch.tensor([draws]))[0].numpy(), expected)


# Inputs and random numbers


def test_inputs_are_pixels_in_zero_to_one():
    assert as_input(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_channel_statistics():
    x = images(20)
    mean, std = channel_statistics(x)
    for channel in range(3):
        values = x[:, channel].numpy() / 255
        assert mean[channel].item() == pytest.approx(values.mean(), rel=1e-5)
        assert std[channel].item() == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert channel_statistics(torch.zeros(4, 3, 2, 2, dtype=torch.uint8))[1].min() > 0  # something to divide by
    embeddings = torch.randn(50, 5)
    torch.testing.assert_close(channel_statistics(embeddings)[0], embeddings.mean(0))


def test_channel_statistics_look_at_ten_thousand_samples_at_most():
    x = torch.zeros(19_999, 3, 1, 1, dtype=torch.uint8)
    x[1::2] = 255  # samples that every second one leaves out
    assert channel_statistics(x)[0].tolist() == [0, 0, 0]


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
