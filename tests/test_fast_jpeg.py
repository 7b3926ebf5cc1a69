"""JPEGs with the extra and without: the same pixels, the same reasons."""

import io
import itertools
import struct
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from mixnn.data.images import decoder
from mixnn.data.images.decoder import BadImage, decode, decode_jpeg, no_warnings

with resources.files("mixnn.data").joinpath("clothing/photos_00.webp").open("rb") as sheet:
    PHOTO = Image.open(sheet).convert("RGB")


def jpeg(size: tuple[int, int] = (61, 83), mode: str = "RGB", **options: object) -> bytes:
    content = io.BytesIO()
    PHOTO.crop((0, 0, *size)).convert(mode).save(content, "JPEG", **options)
    return content.getvalue()


def with_note(content: bytes, marker: int, note: bytes) -> bytes:
    """`content` with a piece of its header replaced, or put in."""
    first = content[2:4] == b"\xff\xe0"
    rest = content[4 + struct.unpack(">H", content[4:6])[0] :] if first else content[2:]
    return content[:2] + struct.pack(">HH", marker, 2 + len(note)) + note + rest


def outcome(source: str | bytes, size: int) -> tuple[tuple[int, ...], bytes] | str:
    try:
        with no_warnings():
            pixels = decode(source, size)
        return pixels.shape, pixels.tobytes()
    except BadImage as error:
        return str(error)


@pytest.fixture
def agree(monkeypatch):
    """Asserts that nothing but the time depends on the extra; says whether it decoded."""

    def compare(source: str | bytes, size: int = 48) -> bool:
        taken = []
        with monkeypatch.context() as watched:
            watched.setattr(decoder, "decode_jpeg", lambda *given: taken.append(decode_jpeg(*given)) or taken[-1])
            fast = outcome(source, size)
        with monkeypatch.context() as without:
            without.setattr(decoder, "simplejpeg", None)
            assert outcome(source, size) == fast
        return any(pixels is not None for pixels in taken)

    return compare


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 33), (61, 83), (190, 128)])
@pytest.mark.parametrize("mode", ["RGB", "L", "YCbCr"])
def test_ordinary_ones(agree, size, mode):
    for quality, subsampling, progressive, restart in itertools.product((30, 75, 100), range(3), (0, 1), (0, 1)):
        options = {"subsampling": subsampling, "progressive": progressive, "restart_marker_blocks": restart}
        content = jpeg(size, mode, quality=quality, **options)
        assert agree(content)
        assert agree(content, min(size))  # no resizing


def test_of_files(agree, tmp_path):
    large = PHOTO.resize((700, 600))
    large.save(tmp_path / "large.jpg", quality=100)
    assert agree(str(tmp_path / "large.jpg"), 224)
    (tmp_path / "folder.jpg").mkdir()
    for name in ("gone.jpg", "folder.jpg", "a\0b.jpg"):
        assert not agree(str(tmp_path / name), 16)


ADOBE = b"Adobe\0\x64\0\0\0\0"


@pytest.mark.parametrize("transform", [0, 1, 2, 3])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_colors_as_adobe_stores_them(agree, transform, mode):
    agree(with_note(jpeg(mode=mode), 0xFFEE, ADOBE + bytes([transform])))


def test_colors_that_were_never_transformed(agree):
    assert agree(jpeg(keep_rgb=True))


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


left_to_pillow = {
    "turned": jpeg(exif=rotated()),
    "for print": jpeg(mode="CMYK"),
    "short JFIF note": with_note(jpeg(), 0xFFE0, b"JFIF\0"),  # which Pillow cannot read
    "much larger": jpeg((200, 192)),
    "without its end": jpeg()[:-2],
    "cut": jpeg()[:-200],
    "empty": b"",
    "header only": jpeg()[:180],
    "no image": b"<html>404</html>",
    "bytes before": b"\0" + jpeg(),
}


@pytest.mark.parametrize("content", left_to_pillow.values(), ids=left_to_pillow)
def test_left_to_pillow(agree, content):
    assert not agree(content)


def test_a_decompression_bomb_is_not_decoded(agree):
    content = bytearray(jpeg())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    assert not agree(bytes(content), 20_000)
    assert outcome(bytes(content), 20_000).startswith("Image size (3600000000 pixels) exceeds limit")


def test_damage_anywhere(agree):
    random, taken = np.random.RandomState(0), 0
    for whole in (jpeg((40, 33)), jpeg((40, 33), progressive=True), jpeg((40, 33), restart_marker_blocks=1)):
        for end in range(0, len(whole), 9):
            assert not agree(whole[:end], 16)
        for _ in range(150):
            content = bytearray(whole)
            content[random.randint(len(content))] = random.randint(256)
            taken += agree(bytes(content), 16)
    assert 20 < taken < 400  # some are valid all the same
