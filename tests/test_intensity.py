"""Pixels of more than 8 bits: one scale for the whole data set, which goes with the model. Nothing wraps around."""

import re
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mixnn
from mixnn.cli.main import main
from mixnn.data.images.cache import open_images
from mixnn.data.images.decoder import decode
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.intensity import UnknownRangeError, eight_bits, parse_range, span_of, union
from mixnn.data.images.measure import measured_range, with_range
from mixnn.errors import InputError

TRAIN = ["--epochs", "1", "--method", "ce", "--network", "mini", "--batch-size", "4", "--data.holdout", "0"]
TRAIN += ["--data.image-size", "16", "--data.workers", "0"]


def save(folder: Path, name: str, values: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if values.dtype == np.int8:  # which Pillow does not know; see findings/pillow-tiff-signs.sh
        Image.fromarray(values.view(np.uint8)).save(folder / name, tiffinfo={339: 2})
        return
    Image.fromarray(values).save(folder / name)
    if values.dtype == np.uint32:  # Pillow calls them signed: tag 339, a short, one of them, 2
        signed, unsigned = (struct.pack("<HHLHH", 339, 3, 1, kind, 0) for kind in (2, 1))
        content = (folder / name).read_bytes()
        assert signed in content
        (folder / name).write_bytes(content.replace(signed, unsigned))


def scaled(folder: Path, *values: np.ndarray, ending: str = "tiff") -> np.ndarray:
    """Gray values that pictures (8, 8) come out with, as one data set: (N, 8, 8)."""
    names = [f"{i}.{ending}" for i in range(len(values))]
    for name, content in zip(names, values, strict=True):
        save(folder, name, content)
    files = ImageFiles(folder, names)
    opened = with_range(lambda found: open_images(files, 8, intensity=found), [files], None, 0)
    assert opened.bad == {}
    return opened.pixels.numpy()[..., 0]


def full(value: float, dtype: type) -> np.ndarray:
    return np.full((8, 8), value, dtype)


def ramp(high: int, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(0, high, 64).round().astype(dtype).reshape(8, 8)


def test_ten_and_twelve_bits_keep_all_their_gray_values(tmp_path):
    for bits, ending in ((10, "png"), (12, "tiff"), (16, "png")):
        high = 2**bits - 1
        pixels = scaled(tmp_path / str(bits), ramp(high), ramp(high // 2), ending=ending)
        assert np.array_equal(pixels[0], np.rint(ramp(high) * (255 / high)))
        assert (pixels[1].min(), pixels[1].max()) == (0, 127)
        assert len(np.unique(pixels[0])) == 64


def test_a_dark_picture_stays_darker_than_its_neighbor(tmp_path):
    pixels = scaled(tmp_path, full(200, np.uint16), full(300, np.uint16), full(0, np.uint16))
    assert pixels[:, 0, 0].tolist() == [170, 255, 0]


def test_8_bits_in_a_wider_type_stay_what_they_are(tmp_path):
    assert scaled(tmp_path, ramp(200), ramp(100))[:, -1, -1].tolist() == [200, 100]


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-1000, 3000, np.int32),
        (-1000, 3000, np.int16),
        (0, 2**32 - 1, np.uint32),  # Pillow 13.0.0 takes it for signed, see findings/pillow-tiff-signs.sh
        (-100, 100, np.int8),
        (-(2**31), 2**31 - 1, np.int32),
        (-0.5, 0.5, np.float32),
        (0, 1, np.float32),
        (-2e5, 1e6, np.float64),
    ],
)
def test_nothing_wraps_around(tmp_path, low, high, dtype):
    middle = low + (high - low) * 0.25
    pixels = scaled(tmp_path, full(low, dtype), full(middle, dtype), full(high, dtype))
    assert pixels[:, 0, 0].tolist() == [0, 64, 255]


def test_8_bit_pictures_beside_them_stay_as_they_are(tmp_path):
    assert scaled(tmp_path, full(77, np.uint8), full(1000, np.uint16), full(0, np.uint16))[:, 0, 0].tolist() == [
        77,
        255,
        0,
    ]


def test_each_picture_for_itself_is_refused(tmp_path):
    save(tmp_path, "a.png", full(300, np.uint16))
    with pytest.raises(
        UnknownRangeError, match=r"^pixels have more than 8 bits, and the range of their values is not kn"
    ):
        decode(str(tmp_path / "a.png"), 8)
    assert (decode(str(tmp_path / "a.png"), 8, (0, 600)) == 128).all()
    assert (decode(str(tmp_path / "a.png"), 8, (0, 100)) == 255).all()  # what is beyond is white


def test_exif_turns_deep_pictures_too(tmp_path):
    stored = np.zeros((8, 8), np.uint16)
    stored[:4, :4] = 4095
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    assert decode(str(tmp_path / "a.png"), 8, (0, 4095))[2, 5, 0] == 255


@pytest.mark.parametrize("text", ["5", "a,b", "3,1", "1,1", "0,inf", "nan,1", "1,2,3", ""])
def test_a_range_that_is_none(text):
    with pytest.raises(InputError, match=re.escape(f"--data.intensity-range is {text!r}: give two numbers")):
        parse_range(text)


def test_spans():
    spans = [span_of(np.array(values)) for values in ([3, 200], [-4, 7], [0.5, 1.0])]
    assert (union(spans).low, union(spans).high, union(spans).whole) == (-4, 200, False)
    assert union(spans[:1]).range == (0, 255)
    assert union(spans[:2]).range == (-4, 200)
    assert measured_range([np.zeros((2, 4)), np.zeros((2, 8, 8, 3), np.uint8)], 0) == (0, 255)
    assert eight_bits(np.full(3, 7), (7, 7)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        eight_bits(np.array([0, np.nan]), (0, 1))


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes, dark and bright, of 12 bits."""
    for number in range(6):
        save(tmp_path / "photos", f"cat/{number}.png", np.full((16, 16), 100 + 20 * number, np.uint16))
        save(tmp_path / "photos", f"dog/{number}.png", np.full((16, 16), 4000 - 20 * number, np.uint16))
    return tmp_path / "photos"


@pytest.mark.slow
def test_check_train_predict_and_evaluate_take_one_scale(photos, tmp_path, capsys):
    assert main(["check", str(photos), "--out", str(tmp_path / "f.csv"), "--workers", "0"]) == 0
    told = "values   12 of more than 8 bits; 100 to 4,000 becomes 0 to 255 (--data.intensity-range)\n"
    assert told in capsys.readouterr().out
    run = tmp_path / "run"
    assert main(["train", str(photos), "--out", str(run), *TRAIN]) == 0
    told = "mixnn: images have more than 8 bits: 100 to 4,000 becomes 0 to 255 in all of them; "
    told += "--data.intensity-range LOW,HIGH takes another range\n"
    assert capsys.readouterr().err.count(told) == 1
    model = mixnn.Run(run).model()
    assert model.network.intensity == (100, 4000)
    bright = np.full((1, 16, 16), 4000, np.uint16)
    expected = model.predict(np.full((1, 16, 16), 255, np.uint8))
    assert np.array_equal(model.predict(bright), expected)
    assert np.array_equal(model.predict([photos / "dog/0.png"]), expected)
    assert main(["predict", str(run), str(photos / "dog/0.png")]) == 0
    assert f"{expected.max():.4f}" in capsys.readouterr().out
    assert main(["evaluate", str(run), str(photos), "--data.workers", "0"]) == 0
    assert "(all),12," in capsys.readouterr().out


def test_a_range_that_is_given(photos, tmp_path, capsys):
    words = [*TRAIN, "--data.intensity-range=-1000,4000"]
    assert main(["train", str(photos), "--out", str(tmp_path / "run"), *words]) == 0
    assert "more than 8 bits" not in capsys.readouterr().err
    assert mixnn.Run(tmp_path / "run").model().network.intensity == (-1000, 4000)


def test_a_run_of_8_bits_takes_no_deeper_ones(photos, tmp_path, capsys):
    for number in range(6):
        for name in ("cat", "dog"):
            save(tmp_path / "flat", f"{name}/{number}.png", np.full((16, 16), 40 * number, np.uint8))
    run = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "flat"), "--out", run, *TRAIN]) == 0
    capsys.readouterr()
    assert main(["predict", run, str(photos / "cat/0.png"), str(tmp_path / "flat/cat/0.png")]) == 2
    said = capsys.readouterr()
    why = "pixels have more than 8 bits, and the run was trained on images of 8"
    assert said.err == f"mixnn: image {photos}/cat/0.png: {why}: save it with 8 bits\n"
    assert len(said.out.splitlines()) == 2  # the other one is predicted
    assert main(["evaluate", run, str(photos), "--data.workers", "0"]) == 2
    assert f"mixnn: the data's {why}: save them with 8 bits" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"the array's pixels have more than 8 bits, and the run .* save it as uint8"):
        mixnn.Run(run).model().predict(np.zeros((1, 16, 16), np.uint16))


@pytest.mark.parametrize(("factor", "dtype"), [(16, np.uint16), (-3, np.int32), (1 / 255, np.float64), (16, np.int64)])
def test_arrays(tmp_path, factor, dtype):
    """As files: whatever their type, all of them by one scale."""
    bytes_ = np.random.default_rng(0).integers(0, 256, (12, 16, 16), dtype=np.uint8)
    bytes_[0, 0, :2] = 0, 255
    np.savez(tmp_path / "a.npz", images=(bytes_ * np.float64(factor)).astype(dtype), labels=np.arange(12) % 2)
    assert main(["train", str(tmp_path / "a.npz"), "--out", str(tmp_path / "run"), *TRAIN[:-4]]) == 0
    model = mixnn.Run(tmp_path / "run").model()
    given = (bytes_ * np.float64(factor)).astype(dtype)
    assert model.network.intensity == (given.min(), given.max())
    expected = model.predict(bytes_ if factor > 0 else 255 - bytes_)
    assert np.array_equal(model.predict(given), expected)


def test_truth_values_are_black_and_white(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.arange(12 * 256).reshape(12, 16, 16) % 2 == 0, labels=np.arange(12) % 2)
    assert main(["train", str(tmp_path / "a.npz"), "--out", str(tmp_path / "run"), *TRAIN[:-4]]) == 0
    assert mixnn.Run(tmp_path / "run").model().network.intensity is None


@pytest.mark.slow
def test_noise_that_goes_by_the_image(photos, tmp_path, capsys):
    noise = ["--noise", "instance:0.3"]
    assert main(["corrupt", str(photos), *noise, "--out", str(tmp_path / "a.csv")]) == 0
    assert "100 to 4,000 becomes 0 to 255" in capsys.readouterr().err
    assert main(["train", str(photos), *noise, "--out", str(tmp_path / "run"), *TRAIN]) == 0


def test_every_selection_has_the_same_scale(photos):
    """The range is that of all images, not of those that `--limit` takes."""
    files = ImageFiles(photos, [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(6)])
    opened = with_range(lambda found: open_images(files[:3], 8, intensity=found), [files], None, 0)
    assert opened.pixels[:, 0, 0, 0].tolist() == [0, 1, 3]


def test_processes_measure_as_one_does(photos):
    files = ImageFiles(photos, [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(6)])
    assert measured_range([files], 2) == measured_range([files], 0) == (100, 4000)
    with pytest.raises(UnknownRangeError):  # as it comes back from them
        open_images(files, 8, workers=2)
    work = partial(open_images, files, 8, workers=2)
    assert len(with_range(lambda found: work(intensity=found), [files], None, 2).rows) == 12
