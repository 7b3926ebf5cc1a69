"""What `mixnn check` says of a single file is what training will say of it, in one process or many."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixnn.data.check import files
from mixnn.data.check.files import inspect_image, read_contents
from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.errors import InputError


def save_odd(kind: str, path: Path) -> None:
    """One of the things that are called an image."""
    noise = Image.fromarray(np.random.RandomState(0).randint(256, size=(90, 120, 3), dtype=np.uint8))
    if kind.startswith("cut"):
        noise.save(path, format=kind[4:].upper())
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "html":
        path.write_text("<html>404</html>")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "bomb":
        Image.new("1", (20_000, 20_000)).save(path, format="PNG")
    elif kind == "float":
        Image.new("F", (9, 9), float("nan")).save(path, format="TIFF")
    elif kind == "16-bit":
        Image.fromarray(np.full((9, 9), 0x8000, dtype=np.uint16)).save(path, format="PNG")
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        noise.save(path, format="JPEG", exif=exif)
    elif kind == "animated":
        noise.quantize().save(path, format="GIF", save_all=True, append_images=[Image.new("P", (120, 90))])
    else:
        mode, size = kind.split()
        noise.resize((int(size),) * 2).convert(mode).save(path, format="JPEG" if mode == "CMYK" else "PNG")


BAD = ["cut jpeg", "cut png", "cut webp", "cut bmp", "cut tiff", "html", "folder", "loop", "pipe", "bomb", "float"]
GOOD = ["16-bit", "turned", "animated", "RGB 1", "L 9", "P 9", "RGBA 9", "CMYK 90"]


@pytest.mark.parametrize("kind", BAD + GOOD)
def test_unreadable_is_what_training_cannot_read(tmp_path, kind):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff, \xf0\x9f\x98\x80.jpg")
    save_odd(kind, Path(path))
    look = inspect_image(path)
    if kind in BAD:
        with pytest.raises(BadImage, match=f"^{re.escape(look.reason)}$"):
            decode(path, 32)
    else:
        assert decode(path, 32, (0, 65535)).shape == (32, 32, 3)
        modes = {"16-bit": "I;16", "turned": "RGB", "animated": "P"}
        assert (look.reason, look.mode) == ("", modes.get(kind, kind.split()[0]))


def test_sizes_are_those_of_the_file(tmp_path):
    Image.new("RGB", (1000, 600)).save(tmp_path / "a.jpg")  # decoded at an eighth of that
    assert inspect_image(str(tmp_path / "a.jpg"))[1:6] == (1000, 600, "RGB", "", None)


def test_processes_say_the_same_in_the_same_order(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(files, "CHUNK", 5)
    names = [f"{i}.png" for i in range(12)]
    for i, name in enumerate(names):
        Image.new("RGB", (i + 1, 5)).save(tmp_path / name)
    contents = [*((tmp_path / name).read_bytes() for name in names), None]
    parts = [ImageFiles(tmp_path, [*names, "gone"]), ImageBytes(contents, ""), np.zeros((2, 4, 4, 3), np.uint8)]
    keys, told = np.zeros((28, 2), np.uint64), []
    alone, together = (
        read_contents(parts, keys, workers=workers, progress=lambda *now: told.append(now)) for workers in (1, 2)
    )
    assert alone.sizes[:, 0].tolist() == [*range(1, 13), 0, *range(1, 13), 0, 4, 4]
    assert alone.unreadable == {12: "does not exist", 25: "holds no image"}
    assert np.array_equal(alone.keys, together.keys)
    assert np.array_equal(alone.sizes, together.sizes)
    assert (alone.modes, alone.unreadable) == (together.modes, together.unreadable)
    assert told[-1] == (28, 28)


class Deadly(ImageFiles):
    """Ends the process that asks for the second one, as the system does where memory is short."""

    def source(self, row: int) -> str:
        return os._exit(1) if row == 1 else super().source(row)


def test_a_process_that_dies_is_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WORTH_A_PROCESS", 1)
    images = Deadly(tmp_path, ["0.png", "1.png", "2.png"])
    with pytest.raises(InputError, match=r"the system ended a process .* use fewer --workers"):
        read_contents([images], np.zeros((3, 2), np.uint64), workers=2, progress=lambda *now: None)
