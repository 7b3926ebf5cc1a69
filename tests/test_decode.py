"""Single images: all that people call one gives the right pixels, or a short reason why not."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixnn.data.check.files import inspect_image
from mixnn.data.images.decoder import BadImage, decode, no_warnings, read_image
from mixnn.errors import InputError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def write_image(path: Path, color: tuple[int, ...] = RED, size: tuple[int, int] = (20, 20), **options: object) -> str:
    Image.new("RGB", size, color).save(path, **options)
    return str(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"])
@pytest.mark.parametrize("size", [16, 64])  # smaller and larger than the image
def test_formats(tmp_path, suffix, size):
    path = write_image(tmp_path / f"a.{suffix}", size=(40, 40))
    pixels = decode(path, size)
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    assert np.abs(pixels.astype(int) - RED).max() <= 3  # JPEG is not exact
    assert np.array_equal(decode(Path(path).read_bytes(), size), pixels)


def test_the_center_is_cut_out(tmp_path):
    striped = np.repeat(np.array([RED, GREEN, BLUE], dtype=np.uint8), 30, axis=0)[None].repeat(30, axis=0)
    Image.fromarray(striped).save(tmp_path / "wide.png")  # 30 high, 90 wide
    assert (decode(str(tmp_path / "wide.png"), 10)[:, 2:-2] == GREEN).all()
    assert (decode(str(tmp_path / "wide.png"), 30) == GREEN).all()


# As stored, mirrored, upside down, to be turned clockwise, to be turned the other way; corners count clockwise.
@pytest.mark.parametrize(("orientation", "bright_corner"), [(1, 0), (2, 1), (3, 2), (4, 3), (6, 1), (8, 3)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_rotation(tmp_path, orientation, bright_corner, suffix):
    stored = np.zeros((32, 32, 3), dtype=np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = decode(str(tmp_path / f"a.{suffix}"), 32)
    corners = [pixels[place].mean() for place in ((2, 2), (2, -3), (-3, -3), (-3, 2))]
    assert [bright > 128 for bright in corners] == [corner == bright_corner for corner in range(4)]


def test_a_rotated_photo_with_an_odd_exif_tag(tmp_path):
    """XResolution as text instead of a fraction; the picture itself is whole."""
    entries = struct.pack(">HHLHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHL4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0MM\0*" + struct.pack(">LH", 8, 2) + entries + struct.pack(">L", 0)
    assert (decode(write_image(tmp_path / "a.jpg", exif=exif), 8)[..., 0] > 250).all()


@pytest.mark.parametrize(
    "exif", [b"garbage", b"Exif\0\0garbage!", b"MM\0*\0\0\0\x08\0\x09", b"II*\0\xff\xff\xff\xff", b"\0"]
)
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_a_note_that_is_garbage_turns_nothing(tmp_path, suffix, exif):
    """The picture itself is whole."""
    path = write_image(tmp_path / f"a.{suffix}", exif=exif)
    with no_warnings():
        assert np.abs(decode(path, 8).astype(int) - RED).max() <= 4
        assert inspect_image(path).reason == ""
    assert (read_image(Path(path), 8)[..., 0] > 250).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16"])
def test_modes(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.tiff" if mode in ("LAB", "I") else "a.png")
    light = Image.new("RGB", (20, 20), "white")
    (light.convert("L").convert(mode) if mode.startswith("I") else light.convert(mode)).save(path)
    assert decode(str(path), 8, (0, 255)).min() > 250


def test_colors_of_print(tmp_path):
    """CMYK is not what looks like its inverse."""
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(decode(str(tmp_path / "a.jpg"), 8).astype(int) - RED).max() <= 8


def test_palette_with_transparency(tmp_path):
    """What is transparent shows the white behind it, as in a browser."""
    image = Image.fromarray(np.array([[0, 1], [0, 1]], dtype=np.uint8).repeat(8, 0).repeat(8, 1), "P")
    image.putpalette([0, 0, 0, 100, 100, 100])
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    left, right = np.split(decode(str(tmp_path / "a.png"), 16), 2, axis=1)
    assert (left.min(), right.min(), right.max()) == (255, 100, 100)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_of_an_animation_the_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (20, 20), color) for color in (GREEN, RED, BLUE)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert np.abs(decode(str(tmp_path / f"a.{suffix}"), 8).astype(int) - GREEN).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
def test_one_pixel(tmp_path, suffix):
    pixels = decode(write_image(tmp_path / f"a.{suffix}", size=(1, 1)), 16)
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_odd_file_names(tmp_path):
    for name in ("with space.png", 'a,"b".png', "🐈.png", os.fsdecode(b"\xff\xfe.png")):
        assert (decode(write_image(tmp_path / name), 8) == RED).all()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def bomb(side: int) -> bytes:
    """A PNG of side × side black or white pixels, a few kB long."""
    packer, row = zlib.compressobj(9), bytes(1 + -(-side // 8))
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">LLBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_not_decoded():
    content = bomb(20_000)
    assert len(content) < 100_000
    with pytest.raises(BadImage, match=r"^Image size \(400000000 pixels\) exceeds limit"):
        decode(content, 16)
    assert decode(bomb(200), 16).max() == 0  # a small one of the kind is an image


def reason(source: str | bytes) -> str:
    with pytest.raises(BadImage) as caught:
        decode(source, 16)
    text = str(caught.value)
    assert 0 < len(text) < 120
    assert "\n" not in text
    if isinstance(source, str):
        assert source not in text
    return text


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"])
def test_damaged_images(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.RandomState(0).randint(256, size=(60, 60, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for content, why in ((b"", "is empty"), (b"<html>404</html>", "is no image"), (whole[: len(whole) // 2], "")):
        path.write_bytes(content)
        for source in (str(path), content):
            assert why in reason(source)


def test_every_truncation_and_many_wrong_bytes_are_survived(tmp_path):
    """Whatever Pillow's decoders raise comes out as a BadImage, or as an image."""
    random, survived = np.random.RandomState(0), 0
    for suffix in ("png", "jpg", "gif", "tiff", "webp", "bmp", "ppm"):
        whole = Path(write_image(tmp_path / f"a.{suffix}")).read_bytes()
        damaged = [whole[:end] for end in range(0, len(whole), 7)]
        for _ in range(100):
            content = bytearray(whole)
            for place in random.randint(len(whole), size=3):
                content[place] = random.randint(256)
            damaged.append(bytes(content))
        with no_warnings():
            for content in damaged:
                try:
                    assert decode(content, 8).shape == (8, 8, 3)
                except BadImage:
                    survived += 1
    assert survived > 500  # most of it, so that there was something to survive


def test_a_kind_of_file_that_pillow_gives_up_on(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.dds")
    content = bytearray((tmp_path / "a.dds").read_bytes())
    content[80:84] = bytes(4)  # how its pixels are written
    assert "pixel format" in reason(bytes(content))


def test_what_is_no_file(tmp_path):
    assert reason(str(tmp_path / "gone.png")) == "does not exist"
    assert reason(str(tmp_path)) == "Is a directory"
    assert reason(str(tmp_path / "a\0b.png")) == "embedded null byte"
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(str(tmp_path / "pipe.png")) == "is a pipe or a device, no file"  # and nobody waits for its other end
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert "symbolic links" in reason(str(tmp_path / "loop.png"))


@contextmanager
def plain_user() -> Iterator[None]:
    """Files that forbid reading are read by root all the same, so be somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_permission(tmp_path):
    path = write_image(tmp_path / "a.png")
    os.chmod(path, 0)
    with plain_user():
        assert reason(path) == "Permission denied"


def test_an_image_that_the_user_named(tmp_path):
    assert (read_image(Path(write_image(tmp_path / "a.png")), 8) == RED).all()
    with pytest.raises(InputError, match=r"image .*gone\.png cannot be read \(does not exist\): repair it"):
        read_image(tmp_path / "gone.png", 16)
