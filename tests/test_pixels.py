"""Pixels by row: the same bits from a tensor, a mapped file, a stream of decoded images, and another device."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixnn.data.augment.policies import DRAWS, augment
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.decoder import decode
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.pixels import Pixels, StreamPixels, TensorPixels, Wanted
from mixnn.errors import LocalError

COUNT, SIDE = 9, 16
CPU = torch.device("cpu")
DEVICES = [CPU, *(torch.device("cuda", i) for i in range(torch.cuda.device_count()))]
ROWS = torch.tensor([1, 2, 4, 5, 8])  # others could not be read


@pytest.fixture
def files(tmp_path):
    random = np.random.RandomState(0)
    names = [f"{i}.png" for i in range(COUNT)]
    for name in names:
        Image.fromarray(random.randint(256, size=(SIDE, SIDE, 3), dtype=np.uint8)).save(tmp_path / name)
    return ImageFiles(tmp_path, names)


@pytest.fixture
def tensor(files):
    """As a store gives it: channels last in memory."""
    images = np.stack([decode(files.source(row), SIDE) for row in range(COUNT)])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def plan(policy: str, *sizes: int) -> list[Wanted]:
    random = torch.Generator().manual_seed(0)
    return [
        Wanted(
            torch.randint(len(ROWS), (n,), generator=random),
            None if policy == "none" else torch.rand(n, DRAWS[policy], generator=random),
        )
        for n in sizes
    ]


def stream_pixels(files: ImageFiles, size: int, workers: int = 0) -> StreamPixels:
    names = [files.names[row] for row in ROWS.tolist()]
    return StreamPixels(Stream(files, SIDE, workers), CPU, size, ROWS, names)


def assert_same(pixels: Pixels, other: Pixels, policy: str) -> None:
    """For batches of several sizes."""
    wanted = plan(policy, 4, 7, 1, 4)
    assert len(pixels) == len(other)
    for some, others in zip(pixels.get(wanted, policy), other.get(wanted, policy), strict=True):
        assert some.dtype == torch.uint8
        assert torch.equal(some.cpu(), others.cpu())


@pytest.mark.parametrize("policy", DRAWS)
@pytest.mark.parametrize("size", [SIDE, 11])
def test_pixels_are_those_of_the_rows_augmented(tensor, policy, size):
    wanted = plan(policy, 4, 7)
    pixels = TensorPixels(tensor, CPU, size, ROWS)
    assert len(pixels) == len(ROWS)
    for (rows, draws), x in zip(wanted, pixels.get(wanted, policy), strict=True):
        assert x.shape == (len(rows), 3, size, size)
        assert torch.equal(x, augment(policy, tensor[ROWS[rows]], draws, size))


@pytest.mark.parametrize("policy", DRAWS)
@pytest.mark.parametrize("size", [SIDE, 11])
def test_a_stream_is_bit_for_bit_a_tensor(files, tensor, policy, size):
    assert_same(stream_pixels(files, size), TensorPixels(tensor, CPU, size, ROWS), policy)


def test_loader_processes_make_no_difference(files, tensor):
    assert_same(stream_pixels(files, 11, workers=2), TensorPixels(tensor, CPU, 11, ROWS), "crop-flip")


def test_a_mapped_file_makes_no_difference(tensor, tmp_path):
    tensor.permute(0, 2, 3, 1).numpy().tofile(tmp_path / "pixels")
    mapped = torch.from_numpy(np.memmap(tmp_path / "pixels", np.uint8, "r+", shape=(COUNT, SIDE, SIDE, 3)))
    mapped_pixels = TensorPixels(mapped.permute(0, 3, 1, 2), CPU, 11, ROWS)
    assert_same(mapped_pixels, TensorPixels(tensor, CPU, 11, ROWS), "crop-flip")


@pytest.mark.parametrize("policy", DRAWS)
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_set_on_the_device_is_one_that_is_brought_there(tensor, device, policy):
    there = TensorPixels(tensor.to(device), device, 11, ROWS)
    assert next(there.get(plan(policy, 4), policy)).device == device
    assert_same(there, TensorPixels(tensor, device, 11, ROWS), policy)


def test_without_draws_it_is_the_middle(files, tensor):
    wanted = [Wanted(torch.tensor([3, 0]))]
    middle = tensor[ROWS[[3, 0]], :, 4:12, 4:12]
    for pixels in (TensorPixels(tensor, CPU, 8, ROWS), stream_pixels(files, 8)):
        for policy in DRAWS:  # of these, nothing is asked for
            assert torch.equal(next(pixels.get(wanted, policy)), middle)


def test_all_rows_where_none_are_said(tensor):
    [x] = TensorPixels(tensor, CPU, SIDE).get([Wanted(torch.arange(COUNT))], "none")
    assert torch.equal(x, tensor)


def test_embeddings_are_never_augmented():
    x = torch.randn(COUNT, 7)
    pixels = TensorPixels(x, CPU, 7, ROWS)
    for policy in DRAWS:
        for (rows, _), got in zip(plan(policy, 3, 2), pixels.get(plan(policy, 3, 2), policy), strict=True):
            assert torch.equal(got, x[ROWS[rows]])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(lambda path: path.unlink(), "does not exist"), (lambda path: path.write_bytes(b""), "is empty")],
    ids=["gone", "empty"],
)
def test_an_image_that_is_lost_while_training_is_one_line(files, damage, reason):
    damage(Path(files.source(5)))
    batches = stream_pixels(files, SIDE).get([Wanted(torch.tensor([0, 1])), Wanted(torch.tensor([4, 3]))], "none")
    next(batches)
    with pytest.raises(LocalError) as raised:
        next(batches)
    assert str(raised.value) == f"image 5.png could be read before, and now {reason}: restore it, then --resume"


def test_nothing_wanted_nothing_given(files, tensor):
    for pixels in (TensorPixels(tensor, CPU, SIDE, ROWS), stream_pixels(files, SIDE)):
        assert list(pixels.get([], "crop-flip")) == []
