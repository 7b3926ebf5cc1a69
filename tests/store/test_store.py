"""Decoded images kept: the same ones wherever they are, each decoded once, none that is bad."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photos import BYTES, COUNT, SIZE, Counted, assert_same, seen
from PIL import Image

from mixnn.data.images.cache import choose_store, held_bytes, open_images
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.decoder import decode
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.errors import InputError
from mixnn.utils.files import default_cache_dir

# Unreadable images


def too_large() -> bytes:
    """The beginning of a PNG of 20 000 × 20 000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))

    header = struct.pack(">LLBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "page": lambda path: path.write_bytes(b"<html>404</html>"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "header": lambda path: path.write_bytes(path.read_bytes()[:33] + b"\0" * 200),
    "bomb": lambda path: path.write_bytes(too_large()),
    "float": lambda path: Image.new("F", (9, 9), float("nan")).save(path, "TIFF"),
    "gone": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "loop": lambda path: (path.unlink(), path.symlink_to(path)),
}
REASONS = [
    "is empty",
    "is no image",
    "truncated",
    "",
    "exceeds limit",
    "NaN or infinity",
    "does not exist",
    "directory",
    "symbolic",
]


@pytest.fixture
def partly_bad(files):
    """Good images with bad ones between them; each kind of damage, a name that leads out, and an impossible one."""
    names = [name for pair in zip(files.names, [f"bad {kind}.png" for kind in DAMAGE], strict=False) for name in pair]
    for kind, damage in DAMAGE.items():
        path = Path(files.root, f"bad {kind}.png")
        shutil.copy(files.source(0), path)
        damage(path)
    files.looked_at()
    return Counted(files.root, [*names, "../out.png", "zero\0byte.png", files.names[-1]])


def test_unreadable_images_have_a_reason_and_no_row(partly_bad):
    opened = open_images(partly_bad, SIZE)
    good = [row for row, name in enumerate(partly_bad.names) if name[0].isdigit()]
    assert opened.kept.tolist() == good
    assert sorted([*opened.kept, *opened.bad]) == list(range(len(partly_bad)))
    for (row, reason), part in zip(opened.bad.items(), [*REASONS, "lies outside", "null byte"], strict=True):
        assert part in reason, partly_bad.names[row]
        assert reason
        assert "\n" not in reason
    expected = [decode(partly_bad.source(row), SIZE) for row in good]
    assert np.array_equal(seen(opened).pixels, expected)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("store", ["memory", "cache", "nowhere"])
def test_where_images_stay_makes_no_difference(partly_bad, cached, store, workers):
    reference = seen(open_images(partly_bad, SIZE))
    first = cached(partly_bad, store, workers=workers)
    assert_same(seen(first), reference)
    assert_same(seen(cached(partly_bad, store, workers=workers)), reference)  # as found there
    assert isinstance(first.pixels, Stream) == (store == "nowhere")


def test_images_in_bytes_and_selections_of_them(files, cached):
    contents = [None, *(Path(files.source(row)).read_bytes() for row in range(4)), b"no image"]
    some = ImageBytes(contents, "a table")[np.array([5, 4, 0, 1, 4])]
    reference = seen(open_images(some, SIZE))
    assert reference.kept == [1, 3, 4]
    assert reference.bad == {0: "is no image", 2: "holds no image"}
    for store in ("cache", "nowhere"):
        assert_same(seen(cached(some, store)), reference)


def test_images_that_no_memory_holds_are_one_line(tmp_path):
    many = ImageFiles(tmp_path, ["0.png"] * 100)
    with pytest.raises(InputError, match=r"100 images of .* px do not fit into memory: use --data\.store cache"):
        open_images(many, 10**6)


# Arrays


@pytest.mark.parametrize("images", [np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3), np.eye(3, 5, dtype=np.float32)])
@pytest.mark.parametrize("store", ["memory", "cache", "nowhere"])
def test_arrays_are_taken_as_they_are(images, cached, store, tmp_path):
    opened = cached(images, store, workers=2)
    assert np.shares_memory(opened.pixels.numpy(), images)
    assert opened.rows.tolist() == opened.kept.tolist() == list(range(len(images)))
    assert opened.checksums.tolist() == [zlib.crc32(image.tobytes()) for image in images]
    assert opened.bad == {}
    assert list(tmp_path.iterdir()) == []


def test_an_array_that_cannot_be_written(files):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images.flags.writeable = False
    assert not open_images(images, SIZE).pixels.any()


# Decoded once


@pytest.mark.parametrize(("store", "workers"), [("cache", 0), ("cache", 2), ("nowhere", 0)])
def test_a_second_opening_decodes_nothing(files, cached, store, workers):
    told: list[tuple[int, int]] = []
    first = seen(cached(files, store, workers=workers, progress=lambda *counts: told.append(counts)))
    assert told == [(done, COUNT) for done in range(2, COUNT + 1, 2)]
    assert sorted(set(files.looked_at())) == list(range(COUNT))
    told.clear()
    opened = cached(files, store, workers=workers, progress=lambda *counts: told.append(counts))
    assert (told, files.looked_at()) == ([], [])
    assert_same(seen(opened), first)


def test_only_bad_images_are_looked_at_again(partly_bad, cached):
    bad = sorted(cached(partly_bad).bad)
    partly_bad.looked_at()
    cached(partly_bad)
    assert partly_bad.looked_at() == bad


def test_a_changed_file_makes_a_new_cache(files, cached):
    before = seen(cached(files))
    Image.new("RGB", (9, 9), "red").save(files.source(3))
    os.utime(files.source(3), ns=(0, 0))
    files.looked_at()
    after = seen(cached(files))
    assert files.looked_at() == list(range(COUNT))
    assert np.array_equal(np.delete(after.pixels, 3, 0), np.delete(before.pixels, 3, 0))
    assert (after.pixels[3] == (255, 0, 0)).all()


def test_selections_share_a_cache(files, cached):
    cached(files[np.array([5, 0, 5, 8])])
    assert sorted(set(files.looked_at())) == [0, 5, 8]
    some = seen(cached(files[np.array([8, 7, 5, 6])]))
    assert files.looked_at() == [6, 7]
    assert np.array_equal(some.pixels, seen(open_images(files, SIZE)).pixels[[8, 7, 5, 6]])
    files.looked_at()
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))
    assert files.looked_at()[: COUNT + 1].count(0) == 1  # by memory alone


def test_every_size_and_store_has_a_cache_of_its_own(files, cached, tmp_path):
    cached(files)
    open_images(files, 2 * SIZE, store="cache", cache_dir=tmp_path / "new" / "cache")
    cached(files, "nowhere")
    lengths = [path.stat().st_size for path in (tmp_path / "new" / "cache").glob("*/pixels")]
    assert sorted(lengths) == [0, COUNT * BYTES, 4 * COUNT * BYTES]  # nothing is kept for "nowhere"
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))


def test_no_image(tmp_path, cached):
    for store in ("memory", "cache", "nowhere"):
        opened = cached(ImageFiles(tmp_path, []), store)
        assert (len(opened.rows), opened.bad) == (0, {})


# Which store


@pytest.fixture
def disk(monkeypatch):
    """Says what is free, and notes where it was asked."""
    asked: list[Path] = []
    free = {"bytes": 0}
    usage = type(shutil.disk_usage("/"))

    def disk_usage(path: Path) -> tuple[int, int, int]:
        asked.append(path)
        return usage(2**60, 0, free["bytes"])

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    return free, asked


def test_what_fits_stays_in_memory(tmp_path, disk):
    most = 2 * 2**30 // (64 * 64 * 3)
    assert choose_store(most, 64, tmp_path) == "memory"
    assert choose_store(most + 1, 64, tmp_path) == "nowhere"
    assert choose_store(0, 64, None) == "memory"


def test_a_cache_needs_twice_its_room(tmp_path, disk):
    free, asked = disk
    for space, expected in ((2 * 1_000_000 * 96 * 96 * 3, "cache"), (2 * 1_000_000 * 96 * 96 * 3 - 1, "nowhere")):
        free["bytes"] = space
        assert choose_store(1_000_000, 96, tmp_path / "not" / "there") == expected
    assert set(asked) == {tmp_path}  # the disk that it would be on


def test_what_a_cache_holds_already_needs_no_room(tmp_path, disk, files):
    """Or the second run would find the disk too full for the cache that the first one made."""
    free, _ = disk
    open_images(files, 96, store="cache", cache_dir=tmp_path)
    held = held_bytes([files, files[np.arange(2)]], 96, tmp_path)
    assert held >= len(files) * 96 * 96 * 3
    assert held_bytes([files], 95, tmp_path) == 0
    needed = 1_000_000 * 96 * 96 * 3
    for space, expected in ((2 * needed - held, "cache"), (2 * needed - held - 1, "nowhere")):
        free["bytes"] = space
        assert choose_store(1_000_000, 96, tmp_path, lambda: held) == expected


def test_the_real_disk_is_asked(tmp_path, monkeypatch):
    assert choose_store(10**12, 1024, tmp_path) == "nowhere"
    monkeypatch.chdir(tmp_path)
    assert choose_store(10**12, 1024, Path("relative")) == "nowhere"


def test_the_cache_of_the_user(tmp_path, monkeypatch, files):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value in ("", None):
        monkeypatch.setenv("XDG_CACHE_HOME", value) if value is not None else monkeypatch.delenv("XDG_CACHE_HOME")
        assert default_cache_dir() == tmp_path / "home" / ".cache" / "mixnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg" / "mixnn"
    open_images(files, SIZE, store="cache")
    assert len(list((tmp_path / "xdg" / "mixnn").glob("*/pixels"))) == 1
