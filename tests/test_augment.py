"""Augmentation: the windows are the right pixels, operations are Pillow's, and no sample sees its neighbors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from mixnn.data.augment import crop
from mixnn.data.augment.color_jitter import color
from mixnn.data.augment.crop import center_crop, crop_flip
from mixnn.data.augment.policies import DRAWS, augment, augment_rows, resized_crop
from mixnn.data.augment.randaugment import OPERATIONS, cutout, operate
from mixnn.errors import InputError

POLICIES = list(DRAWS)
draw = st.floats(0, 1, exclude_max=True, width=32)


def photos(n: int, height: int, width: int | None = None, seed: int = 0) -> torch.Tensor:
    """Noise on a slope, so that neighbors are alike, as in photos; channels last in memory."""
    random = np.random.RandomState(seed)
    slope = np.add.outer(np.arange(height) * 5, np.arange(width or height) * 3)[None, :, :, None]
    pixels = (slope * random.rand(n, 1, 1, 3) + random.randint(60, size=(n, height, width or height, 3))) % 256
    return torch.from_numpy(pixels.astype(np.uint8)).permute(0, 3, 1, 2)


def numbers(n: int, policy: str, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, DRAWS[policy], generator=torch.Generator().manual_seed(seed))


def pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy().copy())


def difference(images: torch.Tensor, expected: list[Image.Image]) -> int:
    """The largest, over all pixels."""
    pixels = np.stack([np.asarray(image) for image in expected]).astype(int)
    return int(np.abs(images.permute(0, 2, 3, 1).numpy() - pixels).max())


# What all policies promise


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [24, 17])
def test_one_by_one_is_the_same_as_all_at_once(policy, size):
    images, draws = photos(61, 24), numbers(61, policy)
    together = augment(policy, images, draws, size)
    assert together.shape == (61, 3, size, size)
    assert together.dtype == torch.uint8
    assert together.is_contiguous(memory_format=torch.channels_last)
    for step in (1, 7):
        parts = [augment(policy, *part, size) for part in zip(images.split(step), draws.split(step), strict=True)]
        assert torch.equal(torch.cat(parts), together)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [20, 13])
def test_rows_of_a_set_are_augmented_as_if_picked_before(policy, size, tmp_path):
    images, rows, draws = photos(30, 20), torch.tensor([29, 3, 3, 0, 17]), numbers(5, policy)
    expected = augment(policy, images[rows], draws, size)
    mapped = np.memmap(tmp_path / "set", np.uint8, "w+", shape=(30, 20, 20, 3))
    mapped[:] = images.permute(0, 2, 3, 1)
    on_disk = torch.from_numpy(mapped).permute(0, 3, 1, 2)
    for layout in (images, images.contiguous(), on_disk):  # the second lies channels first
        before = layout.clone()
        assert torch.equal(augment_rows(policy, layout, rows, draws, size), expected)
        assert torch.equal(layout, before)


@pytest.mark.parametrize("policy", ["crop-flip", "resized-crop", "color", "strong"])
def test_other_numbers_give_another_image(policy):
    image = photos(1, 24).expand(40, 3, 24, 24)
    results = augment(policy, image, numbers(40, policy), 24)
    assert len(results.flatten(1).unique(dim=0)) > 30


@pytest.mark.parametrize("policy", POLICIES)
def test_without_numbers_it_is_the_center(policy):
    images = photos(3, 9)
    assert torch.equal(augment(policy, images, None, 5), images[:, :, 2:7, 2:7])
    assert torch.equal(augment("none", images, numbers(3, policy), 9), images)
    assert torch.equal(center_crop(images, 4), images[:, :, 2:6, 2:6])


@pytest.mark.parametrize("policy", POLICIES)
def test_no_samples(policy):
    assert augment(policy, photos(0, 9), numbers(0, policy), 8).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_crop_larger_than_the_images_is_refused(policy):
    with pytest.raises(InputError, match="crops of 9 px do not fit into images of 8 × 8 px"):
        augment(policy, photos(2, 8), numbers(2, policy), 9)


# Crop and mirror


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_crop_flip_is_a_window_of_the_reflected_image(height, width, data):
    size = data.draw(st.integers(1, min(height, width)))
    draws = data.draw(st.lists(draw, min_size=3, max_size=3))
    image = photos(1, height, width)
    pads = [min(max(1, size // 8), side - 1) if side == size else 0 for side in (height, width)]
    pixels = image[0].numpy() if draws[2] < 0.5 else image[0].numpy()[:, :, ::-1]
    padded = np.pad(pixels, [(0, 0), (pads[0],) * 2, (pads[1],) * 2], mode="reflect")
    places = [side + 2 * pad - size + 1 for side, pad in zip((height, width), pads, strict=True)]
    top, left = (int(np.float32(place) * count) for place, count in zip(draws[:2], places, strict=True))
    expected = padded[:, top : top + size, left : left + size]
    assert np.array_equal(crop_flip(image, torch.tensor([0]), torch.tensor([draws]), size)[0].numpy(), expected)


@pytest.mark.parametrize(("side", "size"), [(16, 16), (16, 11), (2, 2), (1, 1), (224, 224), (96, 80)])
def test_cpu_and_accelerator_paths_agree(side, size, monkeypatch):
    images, rows, draws = photos(20, side), torch.arange(20).flip(0), numbers(20, "crop-flip")
    by_lines = crop_flip(images, rows, draws, size)
    monkeypatch.setattr(crop, "_take_lines", crop._take_pixels)
    assert torch.equal(crop_flip(images, rows, draws, size), by_lines)


def test_every_window_is_reached():
    """Positions 0 … 4 and both mirrors, about equally often."""
    draws, image = numbers(2000, "crop-flip"), torch.arange(144, dtype=torch.uint8).view(1, 1, 12, 12)
    first = augment("crop-flip", image.expand(2000, 3, 12, 12), draws, 8)[:, 0, 0, 0]
    value, count = first.unique(return_counts=True)
    straight, mirrored = ([12 * y + x + shift for y in range(5) for x in range(5)] for shift in (0, 7))
    assert set(value.tolist()) == {*straight, *mirrored}
    assert count.min() > 20


# Resized crop


def test_the_whole_image_is_itself():
    images, zeros = photos(4, 24), torch.zeros(4)
    whole = torch.stack([zeros + 1, zeros + 0.5, zeros, zeros, zeros], 1)
    assert torch.equal(resized_crop(images, whole, 24), images)
    whole[:, 4] = 0.5
    assert torch.equal(resized_crop(images, whole, 24), images.flip(3))


def test_a_quarter_of_the_image_is_what_pillow_makes_of_it():
    images = photos(5, 32)
    draws = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.2], [0.5, 0.5, 0.75, 0.5, 0.8]]).repeat(3, 1)[:5]
    crops = resized_crop(images, draws, 16, area=(0.25, 0.25))
    halves = resized_crop(images, draws, 31, area=(0.25, 0.25))  # enlarged
    boxes = [(0, 0, 16, 16), (12, 8, 28, 24), (0, 0, 16, 16), (12, 8, 28, 24), (0, 0, 16, 16)]
    cut = [pillow(image).crop(box) for image, box in zip(images, boxes, strict=True)]
    cut = [ImageOps.mirror(image) if row % 2 else image for row, image in enumerate(cut)]
    assert difference(crops, cut) == 0
    larger = [image.resize((31, 31), Image.Resampling.BILINEAR) for image in cut]
    # At its edge our crop sees the pixels next to it, Pillow's does not.
    assert difference(halves[:, :, 1:-1, 1:-1], [image.crop((1, 1, 30, 30)) for image in larger]) <= 1


def test_area_and_shape_of_resized_crops_are_in_range():
    """Seen in what becomes of an image whose red and green channels hold the place of each pixel."""
    place = torch.arange(256, dtype=torch.uint8)
    image = torch.stack([place.expand(256, 256), place[:, None].expand(256, 256), place.expand(256, 256)])
    crops = resized_crop(image.expand(500, 3, 256, 256), numbers(500, "resized-crop"), 65).float()
    width = (crops[:, 0, :, -1] - crops[:, 0, :, 0]).abs().mean(1) / 64 * 65
    height = (crops[:, 1, -1] - crops[:, 1, 0]).mean(1) / 64 * 65
    area, ratio = width * height / 256**2, width / height
    assert 0.075 < area.min() < 0.1
    assert 0.9 < area.max() <= 1.01
    assert 0.73 < ratio.min() < 0.78
    assert 1.28 < ratio.max() < 1.36


# Operations


def by_pillow(name: str, image: Image.Image, strength: float) -> Image.Image:
    match name:
        case "identity":
            return image
        case "autocontrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
        case "posterize":
            return ImageOps.posterize(image, 8 - int(5 * strength))
        case "solarize":
            return ImageOps.solarize(image, 256 - int(256 * strength))
    kind = {"color": ImageEnhance.Color, "brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast}
    return kind.get(name, ImageEnhance.Sharpness)(image).enhance(0.05 + 0.9 * strength)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if not name.startswith(("rotate", "shear", "trans"))])
@pytest.mark.parametrize("side", [1, 2, 9, 33])
def test_operations_on_colors_are_those_of_pillow(name, side):
    images, strength = photos(12, side), torch.rand(12, generator=torch.Generator().manual_seed(1))
    images = images % torch.linspace(20, 255, 12).byte()[:, None, None, None]  # dark ones among them
    expected = [by_pillow(name, pillow(image), level) for image, level in zip(images, strength.tolist(), strict=True)]
    rounding = name in ("autocontrast", "brightness", "contrast", "color", "sharpness")
    assert difference(OPERATIONS[name](images, strength), expected) <= rounding


def test_flat_images_survive_every_operation():
    flat = torch.full((3, 3, 8, 8), 77, dtype=torch.uint8)
    for name in ("autocontrast", "equalize", "contrast", "color", "sharpness"):
        assert torch.equal(OPERATIONS[name](flat, torch.tensor([0.0, 0.5, 0.9])), flat)


@pytest.mark.parametrize(
    ("name", "matrix"),  # of Pillow: where pixel (x, y) of the result comes from, in pixels of 40 × 40
    [
        ("translate-x", lambda v: (1, 0, 0.3 * v * 40, 0, 1, 0)),
        ("translate-y", lambda v: (1, 0, 0, 0, 1, 0.3 * v * 40)),
        ("shear-x", lambda v: (1, 0.3 * v, -0.3 * v * 20, 0, 1, 0)),
        ("shear-y", lambda v: (1, 0, 0, 0.3 * v, 1, -0.3 * v * 20)),
        ("rotate", None),
    ],
)
def test_operations_on_places_are_those_of_pillow(name, matrix):
    pixels = torch.full((4, 3, 40, 40), 128, dtype=torch.uint8)  # gray, as what lies outside
    pixels[:, :, 12:28, 14:26] = photos(4, 16, 12) // 4 + 90
    strength = torch.tensor([0.0, 0.25, 0.6, 0.99])
    result = OPERATIONS[name](pixels, strength)
    for image, moved, level in zip(pixels, result, strength.tolist(), strict=True):
        way, bilinear = 2 * level - 1, Image.Resampling.BILINEAR
        if matrix is None:
            expected = pillow(image).rotate(30 * way, bilinear, fillcolor=(128,) * 3)
        else:
            expected = pillow(image).transform((40, 40), Image.Transform.AFFINE, matrix(way), bilinear)
        inner = (slice(None), slice(13, 27), slice(13, 27))  # moved there from inside
        assert difference(moved[inner][None], [expected.crop((13, 13, 27, 27))]) <= 1
    assert (OPERATIONS[name](torch.zeros_like(pixels), strength)[0] == 128).any()  # gray comes in


def test_each_image_gets_the_operation_that_it_drew():
    images, strength = photos(42, 16), torch.linspace(0, 0.99, 42)
    which = torch.arange(42) * 5 % 14
    result = operate(images, which, strength)
    for row, operation in enumerate(which.tolist()):
        alone = list(OPERATIONS.values())[operation](images[row : row + 1], strength[row : row + 1])
        assert torch.equal(result[row : row + 1], alone)


@given(draw, draw, st.integers(1, 21))
def test_cutout_is_a_gray_square_that_may_stick_out(down, across, side):
    image = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    rows, columns = (cutout(image, torch.tensor([[down, across]]))[0, 0] == 128).nonzero(as_tuple=True)
    for places, center in ((rows, down), (columns, across)):
        middle = int(np.float32(center) * np.float32(side))
        expected = [p for p in range(side) if -side / 4 <= p - middle < side / 4]
        assert sorted(set(places.tolist())) == expected


# Colors


@pytest.mark.parametrize("size", [8, 9])
def test_color_is_an_affine_change_of_each_channel_and_a_square(size):
    images, u = photos(12, size), numbers(12, "color")[:, 3:]
    result = color(images, u)
    squares = 0
    for i in range(12):
        way = [2 * float(v) - 1 for v in u[i]]
        pixels = images[i].double().numpy()
        mean = pixels.mean((1, 2), keepdims=True)
        tint = np.array([1 + 0.2 * v for v in way[2:5]])[:, None, None]
        expected = (pixels - mean) * (1 + 0.4 * way[0]) + mean * (1 + 0.4 * way[1]) * tint
        expected = np.floor(expected.clip(0, 255) + 0.5).clip(0, 255)
        if u[i, 5] < 0.5:
            squares += 1
            inside = cutout(torch.zeros(1, 3, size, size, dtype=torch.uint8), u[i : i + 1, 6:8])[0].numpy() == 128
            expected = np.where(inside, 128, expected)
        difference = np.abs(result[i].double().numpy() - expected)
        assert difference.max() <= 1  # float32 may round the other way
        assert (difference > 0).mean() < 0.01
    assert 0 < squares < 12
