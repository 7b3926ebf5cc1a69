"""Batches, their order, and their augmentation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mixnn.data import train_data
from mixnn.data.batch import Batch, as_input
from mixnn.data.files import ImageFiles
from mixnn.data.pixels import StreamPixels, TensorPixels
from mixnn.data.stream import Stream
from mixnn.data.train_data import TrainData, channel_statistics


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


def test_some_samples_are_drawn_whether_labelled_or_not():
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
    monkeypatch.setattr(train_data, "world_size", lambda: ranks)
    shares = []
    for rank in range(ranks):
        monkeypatch.setattr(train_data, "rank", lambda rank=rank: rank)
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


def test_repeats_in_an_epoch_are_augmented_differently():
    data = TrainData(images(3), torch.zeros(3, dtype=torch.int64), batch_size=30, augment="strong", steps_per_epoch=1)
    [batch] = data.train_batches(0, partners=torch.arange(3)[:, None])
    for own in (batch.index == row for row in range(3)):
        assert own.sum() == 10
        assert len(batch.x[own].unique(dim=0)) > 5  # of ten; some draw the same window
        assert len(batch.partners.x[own].unique(dim=0)) > 5


@pytest.mark.parametrize("options", [{"balanced": True}, {"steps_per_epoch": 9}], ids=str)
def test_augmentation_of_repeats_does_not_depend_on_the_batch_size(options):
    """Samples and draws by their place in the epoch, in batches of 2 and of 3."""
    epochs = []
    for batch_size in (2, 3):
        steps = {key: 18 // batch_size if key == "steps_per_epoch" else value for key, value in options.items()}
        data = TrainData(images(6), torch.tensor([0, 1, 0, 0, 0, 0]), batch_size=batch_size, seed=2, **steps)
        epochs.append(torch.cat([batch.x for batch in data.train_batches(1)]))
    assert torch.equal(*epochs)


def test_views_are_one_sample_augmented_anew():
    data = TrainData(images(30), torch.arange(30), batch_size=15, augment="strong")
    groups = [torch.arange(20), torch.arange(20, 30)]
    alone = list(data.train_batches(0))
    for batch in [*data.train_batches(0, views=3), *data.grouped_batches(0, groups, 2, views=3)]:
        assert torch.equal(batch.partners.index, batch.index[:, None].expand(-1, 2))
        assert torch.equal(batch.partners.y, batch.y[:, None].expand(-1, 2))
        views = torch.cat([batch.inputs[:, None], batch.partners.inputs], 1)
        different = [not torch.equal(views[:, one], views[:, other]) for one, other in ((0, 1), (0, 2), (1, 2))]
        assert all(different)
    for batch, single in zip(data.train_batches(0, views=2), alone, strict=True):  # the first is what it is alone
        assert torch.equal(batch.inputs, single.inputs)


def test_views_of_what_is_not_augmented_are_the_same():
    data = TrainData(images(9), torch.zeros(9, dtype=torch.int64), augment="none")
    [batch] = data.train_batches(0, views=2)
    assert torch.equal(batch.partners.inputs[:, 0], batch.inputs)
    assert torch.equal(batch.inputs, images(9)[batch.index])


def test_repeats_in_a_group_are_augmented_differently():
    data = TrainData(images(3), torch.zeros(3, dtype=torch.int64), batch_size=30, augment="strong")
    [batch] = data.grouped_batches(0, [torch.arange(3), torch.arange(3)], 1, views=2)
    for own in (batch.index == row for row in range(3)):
        assert own.sum() == 20
        assert len(torch.cat([batch.inputs[own], batch.partners.inputs[own][:, 0]]).unique(dim=0)) > 10  # of forty


def test_crops():
    """The network sees a part of what is stored: somewhere while training, else the middle."""
    pixels = TensorPixels(images(20, 12, 12), torch.device("cpu"), 8)
    data = TrainData(pixels, torch.zeros(20, dtype=torch.int64), batch_size=20)
    [batch] = data.train_batches(0, partners=torch.zeros(20, 2, dtype=torch.int64))
    assert (batch.x.shape, batch.partners.x.shape) == ((20, 3, 8, 8), (20, 2, 3, 8, 8))
    middle = as_input(images(20, 12, 12)[:, :, 2:10, 2:10])
    [plain] = data.train_batches(0, augment=False)
    assert torch.equal(plain.x, middle[plain.index])
    assert not torch.equal(batch.x, middle[batch.index])
    assert torch.equal(as_input(torch.cat(list(data.full_batches(7)))), middle)


@pytest.mark.parametrize("with_partners", [False, True])
@pytest.mark.parametrize("augment", ["crop-flip", "strong"])
def test_a_stream_gives_the_batches_of_a_tensor(tmp_path, augment, with_partners):
    names = [f"{i}.png" for i in range(12)]
    for name, image in zip(names, images(12).permute(0, 2, 3, 1).numpy(), strict=True):
        Image.fromarray(image).save(tmp_path / name)
    stream, rows = Stream(ImageFiles(tmp_path, names), 8, workers=2), torch.arange(12)[::3]
    streamed = StreamPixels(stream, torch.device("cpu"), 8, rows, names)
    options = {"batch_size": 3, "augment": augment, "steps_per_epoch": 4}
    labels = torch.tensor([0, 1, 0, -1])
    partners = torch.tensor([[1, 3], [0, 0], [2, 1], [1, 2]]) if with_partners else None
    data, reference = TrainData(streamed, labels, **options), TrainData(images(12)[rows], labels, **options)
    for epoch in range(2):
        batches = zip(*(some.train_batches(epoch, partners=partners) for some in (data, reference)), strict=True)
        for batch, expected in batches:
            assert_equal(batch, expected)
        assert torch.equal(torch.cat(list(data.full_batches(3))), images(12)[rows])
    assert all(map(torch.equal, channel_statistics(data), channel_statistics(reference)))


def assert_equal(batch: Batch, expected: Batch) -> None:
    assert torch.equal(batch.index, expected.index)
    assert torch.equal(batch.x, expected.x)
    assert torch.equal(batch.y, expected.y)
    assert (batch.partners is None) == (expected.partners is None)
    if batch.partners is not None:
        assert_equal(batch.partners, expected.partners)


# Inputs


def test_inputs_are_pixels_in_zero_to_one():
    assert as_input(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def unlabelled(x: torch.Tensor) -> TrainData:
    """These count like others."""
    return TrainData(x, torch.full((len(x),), -1))


def test_channel_statistics():
    x = images(20)
    mean, std = channel_statistics(unlabelled(x))
    for channel in range(3):
        values = x[:, channel].numpy() / 255
        assert mean[channel].item() == pytest.approx(values.mean(), rel=1e-5)
        assert std[channel].item() == pytest.approx(values.std(), rel=1e-5)
    assert (
        channel_statistics(unlabelled(torch.zeros(4, 3, 2, 2, dtype=torch.uint8)))[1].min() > 0
    )  # something to divide by
    embeddings = torch.randn(50, 5)
    torch.testing.assert_close(channel_statistics(unlabelled(embeddings))[0], embeddings.mean(0))


def test_channel_statistics_look_at_ten_thousand_samples_at_most():
    x = torch.zeros(19_999, 3, 1, 1, dtype=torch.uint8)
    x[1::2] = 255  # samples that every second one leaves out
    assert channel_statistics(unlabelled(x))[0].tolist() == [0, 0, 0]
