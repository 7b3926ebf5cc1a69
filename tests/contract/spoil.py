"""Ways to spoil an image folder, a file of a run, the disk. A spoilt folder comes with the words of its error."""

import pickle
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

Spoil = Callable[[Path], list[object]]


def write_image(content: Callable[[bytes], bytes]) -> Spoil:
    def spoil(root: Path) -> list[object]:
        image = root / "red/01.png"
        image.write_bytes(content(image.read_bytes()))
        return [image]

    return spoil


BAD_IMAGES = {
    "truncated": write_image(lambda data: data[: len(data) // 2]),
    "zero bytes": write_image(lambda data: b""),
    "text": write_image(lambda data: b"hello"),
}


def keep_images(count: int) -> Spoil:
    def spoil(root: Path) -> list[object]:
        for file in sorted((root / "red").iterdir())[count:]:
            file.unlink()
        return ["red", "one image" if count else "no image"]

    return spoil


def keep_classes(count: int) -> Spoil:
    def spoil(root: Path) -> list[object]:
        for folder in sorted(root.iterdir())[count:]:
            shutil.rmtree(folder)
        return ["one class only"] if count else [root]

    return spoil


def missing(root: Path) -> list[object]:
    shutil.rmtree(root)
    return [root]


def a_file(root: Path) -> list[object]:
    shutil.rmtree(root)
    root.write_bytes(b"")
    return [root]


BAD_FOLDERS = {
    "one image": keep_images(1),
    "no image": keep_images(0),
    "one class": keep_classes(1),
    "empty": keep_classes(0),
    "missing": missing,
    "a file": a_file,
}


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 64)
    content[middle] = bytes(255 - byte for byte in content[middle])
    path.write_bytes(content)


# to a file of a run
DAMAGE: dict[str, Callable[[Path], object]] = {
    "halved": halve,
    "turned": turn_bytes,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "number": lambda path: torch.save(3, path),
    "other": lambda path: torch.save({"epochs_done": 1, "data": "none", "method": {}}, path),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"epochs_done": print}, protocol=2)),
}


@contextmanager
def short_of_room(size: int) -> Iterator[None]:
    """No file gets larger than `size` bytes, as on a full disk; to the system, shared memory is a file too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
