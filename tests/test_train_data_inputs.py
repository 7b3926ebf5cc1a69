"""What networks see of the samples: augmentation, crops, streams, and the statistics of channels."""

import pytest
import torch
from contract.cases import images
from PIL import Image

from mixnn.data.batches import Batch, TrainData, as_input, channel_statistics
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.pixels import StreamPixels, TensorPixels

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


def unlabeled(x: torch.Tensor) -> TrainData:
    """These count like others."""
    return TrainData(x, torch.full((len(x),), -1))


def test_channel_statistics():
    x = images(20)
    mean, std = channel_statistics(unlabeled(x))
    for channel in range(3):
        values = x[:, channel].numpy() / 255
        assert mean[channel].item() == pytest.approx(values.mean(), rel=1e-5)
        assert std[channel].item() == pytest.approx(values.std(), rel=1e-5)
    assert (
        channel_statistics(unlabeled(torch.zeros(4, 3, 2, 2, dtype=torch.uint8)))[1].min() > 0
    )  # something to divide by
    embeddings = torch.randn(50, 5)
    torch.testing.assert_close(channel_statistics(unlabeled(embeddings))[0], embeddings.mean(0))


def test_channel_statistics_look_at_ten_thousand_samples_at_most():
    x = torch.zeros(19_999, 3, 1, 1, dtype=torch.uint8)
    x[1::2] = 255  # samples that every second one leaves out
    assert channel_statistics(unlabeled(x))[0].tolist() == [0, 0, 0]
