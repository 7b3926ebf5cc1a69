"""Batches and their order: epochs, groups, partners, ranks."""

import pytest
import torch
from contract.cases import images
from hypothesis import given
from hypothesis import strategies as st

from mixnn.data import batches
from mixnn.data.batches import TrainData, as_input
from mixnn.distributed import ranks as ranks_module


def numbered(n: int, **options: object) -> TrainData:
    """Samples that carry their number as pixel and as label."""
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 8, 8)
    return TrainData(pixels, torch.arange(n), **options)


def order(data: TrainData, epoch: int) -> list[int]:
    return [i for batch in data.train_batches(epoch) for i in batch.index.tolist()]


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
    for module in (batches, ranks_module):
        monkeypatch.setattr(module, "world_size", lambda: ranks)
    shares = []
    for rank in range(ranks):
        monkeypatch.setattr(ranks_module, "rank", lambda rank=rank: rank)
        shares.append([batch.index.tolist() for batch in data.train_batches(0)])
    assert min(len(batch) for share in shares for batch in share) == data.smallest_batch
    for place, batch in enumerate(whole):
        together = [i for share in shares for i in share[place]]
        missing = -len(batch) % ranks  # so many of its first samples are used twice
        assert sorted(together) == sorted(batch + batch[:missing])
        assert len({len(share[place]) for share in shares}) == 1


@pytest.mark.parametrize("options", [{}, {"balanced": True}, {"steps_per_epoch": 5}], ids=str)
def test_samples_without_a_label_are_never_drawn_and_always_looked_at(options):
    labels = torch.tensor([0, -1, 1, -2, 0, -1, 1])
    data = TrainData(images(7), labels, batch_size=3, **options)
    for shuffle in (True, False):
        batches = list(data.train_batches(0, shuffle=shuffle, partners=torch.arange(7)[:, None]))
        assert {i for batch in batches for i in batch.index.tolist()} == {0, 2, 4, 6}
        assert all((batch.y >= 0).all() for batch in batches)
    assert len(data) == 7
    assert torch.equal(torch.cat(list(data.full_batches())), images(7))


def test_samples_without_a_label_are_partners():
    data = TrainData(images(3), torch.tensor([0, -1, 1]), batch_size=2, augment="none")
    [batch] = data.train_batches(0, partners=torch.ones(3, 1, dtype=torch.int64))
    assert batch.partners.y.tolist() == [[-1], [-1]]
    assert torch.equal(batch.partners.x[:, 0], as_input(images(3))[[1, 1]])


@given(
    st.lists(st.integers(-1, 3), min_size=1, max_size=40).filter(lambda labels: max(labels) >= 0),
    st.integers(1, 20),
    st.none() | st.integers(1, 8),
    st.booleans(),
)
def test_balanced_epochs(labels, batch_size, steps, shuffle):
    """Classes equally often, and each sample once before any of its class comes again."""
    data = TrainData(
        images(len(labels)), torch.tensor(labels), batch_size=batch_size, balanced=True, steps_per_epoch=steps
    )
    drawn = [i for batch in data.train_batches(3, shuffle=shuffle) for i in batch.index.tolist()]
    assert len(drawn) == data.samples_per_epoch
    of_class = [sum(labels[i] == kind for i in drawn) for kind in set(labels) - {-1}]
    assert max(of_class) - min(of_class) <= 1
    for kind in set(labels) - {-1}:
        of_sample = [drawn.count(i) for i, label in enumerate(labels) if label == kind]
        assert max(of_sample) - min(of_sample) <= 1


def test_a_balanced_epoch_that_is_not_shuffled_mixes_classes_as_the_data_does():
    data = TrainData(images(12), torch.tensor([0, 1, 1] * 4), batch_size=3, balanced=True)
    drawn = [i for batch in data.train_batches(0, shuffle=False) for i in batch.index.tolist()]
    assert drawn == sorted(drawn)
    assert len(drawn) == 12


def test_balanced_epochs_differ():
    data = numbered(20, batch_size=5, balanced=True, steps_per_epoch=2)
    assert order(data, 0) == order(data, 0)
    assert set(order(data, 0)) != set(order(data, 1))


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 9), st.booleans())
def test_steps_per_epoch(n, batch_size, steps, shuffle):
    data = numbered(n, batch_size=batch_size, steps_per_epoch=steps)
    batches = list(data.train_batches(2, shuffle=shuffle))
    drawn = [i for batch in batches for i in batch.index.tolist()]
    assert [len(batch.index) for batch in batches] == [batch_size] * steps
    assert (data.num_batches, data.samples_per_epoch, data.smallest_batch) == (steps, steps * batch_size, batch_size)
    counts = [drawn.count(i) for i in range(n)]
    assert max(counts) - min(counts) <= 1
    assert sorted(drawn[:n]) == sorted(set(drawn))  # each once before any comes again


@given(st.sets(st.integers(0, 29), min_size=1), st.integers(1, 40), st.booleans())
def test_an_epoch_of_some_samples(rows, batch_size, shuffle):
    data = numbered(30, batch_size=batch_size)
    batches = list(data.train_batches(1, rows=torch.tensor(list(rows)), shuffle=shuffle))
    drawn = [i for batch in batches for i in batch.index.tolist()]
    assert sorted(drawn) == sorted(rows)
    assert shuffle or drawn == sorted(rows)
    assert len(batches) == -(-len(rows) // batch_size)
    for batch in batches:
        torch.testing.assert_close(batch.x[:, 0, 0, 0] * 255, batch.index.float())


def test_some_samples_are_repeated_for_as_many_steps_as_asked_for():
    data = numbered(30, batch_size=4, steps_per_epoch=6)
    batches = list(data.train_batches(0, rows=torch.tensor([3, 5, 29])))
    assert [len(batch.index) for batch in batches] == [4] * 6
    assert torch.cat([batch.index for batch in batches]).bincount()[[3, 5, 29]].tolist() == [8, 8, 8]


def test_some_samples_are_drawn_whether_labeled_or_not():
    data = TrainData(images(4), torch.tensor([0, -1, 1, -1]), batch_size=2)
    drawn = [i for batch in data.train_batches(0, rows=torch.tensor([0, 1])) for i in batch.index.tolist()]
    assert sorted(drawn) == [0, 1]


@given(st.lists(st.sets(st.integers(0, 19), min_size=1), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 6))
def test_groups_keep_their_place_and_are_gone_through(groups, batch_size, steps):
    """Also those of fewer samples than a batch has: each is used once before any of its group comes again."""
    data = numbered(20, batch_size=batch_size)
    batches = list(data.grouped_batches(2, [torch.tensor(list(group)) for group in groups], steps))
    assert len(batches) == steps
    for batch in batches:
        assert batch.partners is None
        assert torch.equal(batch.y, batch.index)
    drawn = torch.cat([batch.index.view(len(groups), batch_size) for batch in batches], 1)  # (G, steps · batch_size)
    for group, own in zip(groups, drawn.tolist(), strict=True):
        for turn in range(0, len(own), len(group)):
            part = own[turn : turn + len(group)]
            assert len(set(part)) == len(part)
            assert set(part) <= group
            assert len(part) < len(group) or set(part) == group


def test_groups_come_in_a_new_order_each_time():
    data, group = numbered(60, batch_size=60), torch.arange(60)

    def orders(epoch: int) -> list[list[int]]:
        return [
            row for batch in data.grouped_batches(epoch, [group, group], 2) for row in batch.index.view(2, 60).tolist()
        ]

    assert orders(0) == orders(0)
    distinct = {tuple(row) for epoch in range(2) for row in orders(epoch)}
    assert len(distinct) == 2 * 2 * 2  # epochs, turns, groups of the same samples


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_every_group(monkeypatch, ranks, views):
    """Samples and what augmentation does with them, which is also the first repeats' where ranks do not divide them."""
    data = TrainData(images(22), torch.arange(22), batch_size=8, augment="strong")
    groups = [torch.arange(0, 12), torch.arange(12, 22), torch.tensor([5])]

    def drawn() -> list[list[list[tuple[int, bytes]]]]:
        """By step and group, the samples with their pixels in all views."""
        found = []
        for batch in data.grouped_batches(1, groups, 3, views=views):
            pixels = batch.inputs[:, None]
            if views > 1:
                pixels = torch.cat([pixels, batch.partners.inputs], 1)
            samples = [(i, x.numpy().tobytes()) for i, x in zip(batch.index.tolist(), pixels, strict=True)]
            size = len(samples) // len(groups)
            found.append([samples[g * size : (g + 1) * size] for g in range(len(groups))])
        return found

    whole = drawn()
    for module in (batches, ranks_module):
        monkeypatch.setattr(module, "world_size", lambda: ranks)
    shares = []
    for rank in range(ranks):
        monkeypatch.setattr(ranks_module, "rank", lambda rank=rank: rank)
        shares.append(drawn())
    missing = -8 % ranks  # so many of a group's first samples are used twice
    for step, batch in enumerate(whole):
        for g, group in enumerate(batch):
            assert {i for i, _ in group} <= set(groups[g].tolist())
            together = [sample for share in shares for sample in share[step][g]]
            assert sorted(together) == sorted(group + group[:missing])
            assert len({len(share[step][g]) for share in shares}) == 1


def test_full_batches_are_the_data_in_order_and_unaugmented():
    data = TrainData(images(11), torch.zeros(11, dtype=torch.int64))
    parts = list(data.full_batches(batch_size=4))
    assert [len(part) for part in parts] == [4, 4, 3]
    assert torch.equal(torch.cat(parts), images(11))


def test_embeddings_are_passed_as_they_are():
    x = torch.randn(6, 5)
    data = TrainData(x, torch.zeros(6, dtype=torch.int64), batch_size=6)
    [batch] = data.train_batches(0, partners=torch.zeros(6, 2, dtype=torch.int64))
    assert torch.equal(batch.x, x[batch.index])
    assert torch.equal(batch.partners.x, x[:1].expand(6, 2, 5))
