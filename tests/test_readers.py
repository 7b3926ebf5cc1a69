"""Images from folders, lists and CIFAR's own files; and what damaged ones are answered with."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixnn.data.readers import read_source
from mixnn.data.readers.images import read_image, read_images
from mixnn.errors import InputError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def write_image(path: Path, colour: tuple[int, ...] = RED, size: tuple[int, int] = (20, 20), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"])
def test_formats(tmp_path, suffix):
    pixels = read_image(write_image(tmp_path / f"a.{suffix}", size=(40, 40)), 16)
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
    assert np.abs(pixels.astype(int) - RED).max() <= 3  # JPEG is not exact


def test_the_centre_is_cut_out(tmp_path):
    striped = np.repeat(np.array([RED, GREEN, BLUE], dtype=np.uint8), 30, axis=0)[None].repeat(30, axis=0)
    Image.fromarray(striped).save(tmp_path / "wide.png")  # 30 high, 90 wide
    assert (read_image(tmp_path / "wide.png", 10)[:, 2:-2] == GREEN).all()


# As stored, mirrored, upside down, to be turned clockwise, to be turned the other way; corners count clockwise.
@pytest.mark.parametrize(("orientation", "bright_corner"), [(1, 0), (2, 1), (3, 2), (6, 1), (8, 3)])
def test_exif_rotation(tmp_path, orientation, bright_corner):
    stored = np.zeros((32, 32, 3), dtype=np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif)
    corners = [read_image(tmp_path / "a.jpg", 32)[place].mean() for place in ((2, 2), (2, -3), (-3, -3), (-3, 2))]
    assert [bright > 128 for bright in corners] == [corner == bright_corner for corner in range(4)]


def test_a_rotated_photo_with_an_odd_exif_tag(tmp_path):
    """XResolution as text instead of a fraction; the picture itself is whole."""
    entries = struct.pack(">HHLHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHL4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0MM\0*" + struct.pack(">LH", 8, 2) + entries + struct.pack(">L", 0)
    assert read_image(write_image(tmp_path / "a.jpg", exif=exif), 8).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_modes(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (20, 20), (255, 255, 255)).convert(mode).save(path)
    assert read_image(path, 8).min() > 250


def test_16_bit_gray(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 8).mean() == pytest.approx(128, abs=1)


def test_palette_with_transparency(tmp_path):
    """What is transparent shows the white behind it, as in a browser."""
    image = Image.fromarray(np.array([[0, 1], [0, 1]], dtype=np.uint8).repeat(8, 0).repeat(8, 1), "P")
    image.putpalette([0, 0, 0, 100, 100, 100])
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    left, right = np.split(read_image(tmp_path / "a.png", 16), 2, axis=1)
    assert (left[:, :4].mean(), right[:, 4:].mean()) == (255, 100)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"<html>404</html>"])
def test_damaged_images_are_named(tmp_path, suffix, damage):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.RandomState(0).randint(256, size=(60, 60, 3), dtype=np.uint8)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"image .*a.{suffix} cannot be read .*: repair it, or remove it"):
        read_image(path, 16)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        read_image(tmp_path / "gone.png", 16)


def test_the_first_bad_image_in_order_is_named(tmp_path):
    paths = [write_image(tmp_path / f"{i:02d}.png") for i in range(20)]
    for bad in (7, 12):
        paths[bad].write_bytes(b"")
    with pytest.raises(InputError, match=r"07\.png"):
        read_images(paths, 8)


def test_images_come_in_the_order_of_their_paths(tmp_path):
    paths = [write_image(tmp_path / f"{i}.png", (10 * i, 0, 0)) for i in range(20)]
    told = []
    images = read_images(paths, 8, lambda done, total: told.append((done, total)))
    assert images[:, 0, 0, 0].tolist() == [10 * i for i in range(20)]
    assert told == [(i, 20) for i in range(1, 21)]


# A folder


@pytest.fixture
def folder(tmp_path):
    for name in ["owl/z.png", "owl/deep/er/a.JPG", "cat/b.png", "cat/a.png", "cat/c.png"]:
        write_image(tmp_path / name, GREEN if name.startswith("owl") else RED)
    for name in [".hidden/x.png", "cat/.thumb.png", "owl/.cache/y.png"]:
        write_image(tmp_path / name, BLUE)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "readme.md").write_text("no class")
    return tmp_path


def test_folder(folder):
    dataset = read_source(str(folder), image_size=8)
    assert dataset.classes == ["cat", "owl"]
    # One of each class in turn, as long as there are some; nothing hidden.
    assert dataset.train.names == ["cat/a.png", "owl/deep/er/a.JPG", "cat/b.png", "owl/z.png", "cat/c.png"]
    assert dataset.train.labels.tolist() == [0, 1, 0, 1, 0]
    assert dataset.train.labels.dtype == np.int64
    assert dataset.train.images[:, 4, 4].argmax(1).tolist() == [0, 1, 0, 1, 0]
    assert dataset.heldout is None
    assert read_source(str(folder)).train.images.shape == (5, 64, 64, 3)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gone", "does not exist"),
        ("readme.md", "is a file: give a folder of images, or csv:"),
        ("owl/deep/er", "has no sub-folders"),
        (".", "class folder .*dog has no images"),
    ],
)
def test_folder_errors(folder, place, message):
    (folder / "dog").mkdir()
    with pytest.raises(InputError, match=message):
        read_source(str(folder / place))


# A list


def test_csv(folder):
    write_image(folder / "cat" / "one, two.png", BLUE)
    text = '﻿label,note,file_name\r\nowl,,owl/z.png\r\n"big, cat",,"cat/one, two.png"\r\nowl,x,cat/a.png\r\n'
    (folder / "list.csv").write_bytes(text.encode())
    dataset = read_source(f"csv:{folder / 'list.csv'}", image_size=8)
    assert dataset.classes == ["big, cat", "owl"]
    assert dataset.train.names == ["owl/z.png", "cat/one, two.png", "cat/a.png"]
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.train.images[:, 4, 4].argmax(1).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file_name,class\na.png,cat\n", "has no column label"),
        (b"", "has no column file_name or label"),
        (b"file_name,label\n", "has no rows"),
        (b"file_name,label\ncat/a.png,cat\ncat/b.png\n", "line 3: file_name or label is empty"),
        (b"file_name,label\ncat/a.png,\n", "line 2"),
        (b"file_name,label\ngone.png,cat\n", "gone.png does not exist"),
        ("file_name,label\nä.png,cat\n".encode("latin-1"), "not a CSV file in UTF-8"),
    ],
)
def test_csv_errors(folder, content, message):
    (folder / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_source(f"csv:{folder / 'list.csv'}")


@pytest.mark.parametrize(
    ("source", "size", "message"),
    [
        ("csv:gone.csv", None, r"list gone\.csv cannot be read"),
        ("zip:photos", None, "kind 'zip' is unknown"),
        ("photos", 4, "image-size is 4: use 8 to 1024"),
        ("cifar10:batches", 16, "does not go with cifar10"),
    ],
)
def test_source_errors(source, size, message):
    with pytest.raises(InputError, match=message):
        read_source(source, image_size=size)


# CIFAR


def opcodes(value: object) -> bytes:
    """As Python 2 and NumPy 1 wrote them: strings are bytes, arrays go by their old names."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(item) for pair in value.items() for item in pair) + b"u"
    shape = b"(" + b"".join(map(opcodes, value.shape)) + b"t"
    dtype = b"cnumpy\ndtype\n(" + opcodes(b"u1") + opcodes(0) + opcodes(1) + b"tR"
    dtype += b"(" + opcodes(3) + opcodes(b"|") + b"NNN" + opcodes(-1) + opcodes(-1) + opcodes(0) + b"tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + opcodes(0) + b"t" + opcodes(b"b") + b"tR"
    return empty + b"(" + opcodes(1) + shape + dtype + b"\x89" + opcodes(value.tobytes()) + b"tb"


def python2(value: object) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def planes(labels: list[int]) -> np.ndarray:
    """Images as CIFAR stores them; red is the label, green the row, blue the column."""
    pixels = np.zeros((len(labels), 3, 32, 32), dtype=np.uint8)
    pixels[:, 0] = np.array(labels)[:, None, None]
    pixels[:, 1:] = np.indices((32, 32))
    return pixels.reshape(len(labels), 3072)


def write_cifar(root: Path, kind: str, dump: Callable[[object], bytes] = python2) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    if kind == "cifar10":
        files = {f"data_batch_{i}": [i, i - 1] for i in range(1, 6)} | {"test_batch": [9, 0]}
        meta, names, key = "batches.meta", {b"label_names": [b"class%d" % i for i in range(10)]}, b"labels"
    else:
        files = {"train": [97, 3], "test": [99, 0]}
        meta, names, key = "meta", {b"fine_label_names": [b"class%d" % i for i in range(100)]}, b"fine_labels"
    (root / meta).write_bytes(dump(names))
    for file, labels in files.items():
        (root / file).write_bytes(dump({b"data": planes(labels), key: labels, b"coarse_labels": [0, 0]}))
    return root


@pytest.mark.parametrize("dump", [python2, lambda value: pickle.dumps(value, protocol=2)], ids=["old", "new"])
@pytest.mark.parametrize(
    ("kind", "inside", "train", "test"),
    [
        ("cifar10", "cifar-10-batches-py", [1, 0, 2, 1, 3, 2, 4, 3, 5, 4], [9, 0]),
        ("cifar100", "cifar-100-python", [97, 3], [99, 0]),
    ],
)
def test_cifar(tmp_path, kind, inside, train, test, dump):
    write_cifar(tmp_path / inside, kind, dump)
    for root in (tmp_path, tmp_path / inside):  # the folder of the archive, or what lies in it
        dataset = read_source(f"{kind}:{root}")
        assert dataset.classes == [f"class{i}" for i in range(10 if kind == "cifar10" else 100)]
        assert dataset.heldout_name == "test"
        for part, labels in ((dataset.train, train), (dataset.heldout, test)):
            assert part.labels.tolist() == labels
            assert part.images.shape == (len(labels), 32, 32, 3)
            assert part.images[:, 20, 30].tolist() == [[label, 20, 30] for label in labels]
        assert [dataset.train.names[1], dataset.heldout.names[0]] == ["train/00001", "test/00000"]


def test_a_pickle_that_runs_something_is_refused(tmp_path):
    root, trace = write_cifar(tmp_path / "cifar", "cifar10"), tmp_path / "trace"
    attack = b"cos\nmkdir\n(" + opcodes(str(trace).encode()) + b"tR"
    (root / "data_batch_3").write_bytes(b"\x80\x02" + attack + b".")
    with pytest.raises(InputError, match=r"data_batch_3 is no CIFAR batch \(it wants to run \w+\.mkdir"):
        read_source(f"cifar10:{root}")
    assert not trace.exists()
    pickle.loads(b"\x80\x02" + attack + b".")  # it would have
    assert trace.exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data_batch_2", None, "data_batch_2 cannot be read"),
        ("data_batch_2", b"", "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2({b"data": planes([1])})[:1000], "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2([1]), "data_batch_2 is no CIFAR batch"),
        ("data_batch_2", python2({b"data": planes([1])}), "data_batch_2 has no field labels"),
        ("data_batch_2", python2({b"data": planes([1]), b"labels": [1, 2]}), "2 labels for pixels of shape"),
        ("data_batch_2", python2({b"data": planes([1]), b"labels": [10]}), "has label 10, but 10 classes"),
        ("batches.meta", None, "batches.meta cannot be read"),
        ("data_batch_1", None, "holds no cifar-10-batches-py"),
        ("data_batch_2", python2({b"data": planes([1])[:, 1:], b"labels": [1]}), "shape"),
    ],
)
def test_damaged_cifar(tmp_path, file, content, message):
    root = write_cifar(tmp_path, "cifar10")
    (root / file).unlink()
    if content is not None:
        (root / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_source(f"cifar10:{root}")
