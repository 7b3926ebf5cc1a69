"""Which files are images: by their ending where that says it, else by their first bytes.

Must not know: labels, layouts, how to decode.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from mixnn.utils.console import say
from mixnn.utils.processes import first_process

try:
    from pillow_heif import register_heif_opener  # type: ignore[import-not-found,unused-ignore]  # an extra

    register_heif_opener()
except ImportError:  # then such a file is told how to be read
    pass

# Taken for images unopened, as a million files cannot be opened to list them; decoding finds out.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".jp2"),
    *(".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
}
# What lies beside images and is none, which nobody asks about.
OTHERS = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".yaml", ".yml", ".toml", ".ini"),
    *(".db", ".log", ".sh", ".py", ".ipynb", ".npy", ".npz", ".parquet", ".pkl", ".pt", ".mat", ".h5", ".zip", ".tar"),
    *(".gz", ".tgz", ".rar", ".7z", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".aae", ".xmp", ".mov", ".mp4", ".avi"),
}
NAMES = {"readme", "license", "licence", "checksums", "md5sums", "sha256sums", "makefile"}
# Pillow knows these by name and has no decoder, or, for EPS, starts a program that runs what the file says.
UNREADABLE = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
NEEDS = {  # brand of an ISO media file -> what Pillow lacks where it does not know it
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC: pip install 'mixnn[heif]'"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF, which needs Pillow 11.3 or newer: pip install --upgrade pillow"),
}


def open_image(file: BinaryIO) -> Image.Image:
    """The header of an image, whatever its name.

    Raises:
        UnidentifiedImageError: with the reason, where it is no image that can be decoded here.
        OSError, ValueError, …: it is damaged.
    """
    try:
        image = Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        head = file.read(12)
        needs = NEEDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
        what = f"is {needs}" if needs else "is no image" if head else "is empty"
        raise UnidentifiedImageError(what) from None
    if image.format in UNREADABLE:
        raise UnidentifiedImageError(f"is {image.format}, no picture of pixels: save it as PNG")
    return image


class Listing:
    """Tells images from other files, and keeps what was passed over.

    Attributes:
        unreadable: (path, reason) of each that might be an image and is none.
        others: how many there are of each kind that nobody takes for an image.
    """

    def __init__(self) -> None:
        self.unreadable: list[tuple[str, str]] = []
        self.others: Counter[str] = Counter()

    def is_image(self, path: str) -> bool:
        """Whether the file is an image; opened only where its name does not say it."""
        stem, ending = os.path.splitext(os.path.basename(path))
        ending = ending.lower()
        if ending in SUFFIXES:
            return True
        if ending in OTHERS or stem.lower() in NAMES:
            self.others[ending or stem] += 1
            return False
        reason = why_no_image(path)
        if reason is not None:
            self.unreadable.append((path, reason))
        return reason is None

    def below(self, folder: str) -> list[tuple[str, str]]:
        """`unreadable` with names relative to `folder`, sorted."""
        return sorted((os.path.relpath(path, folder), reason) for path, reason in self.unreadable)

    def last_words(self) -> str:
        """Why the last file that might be an image is none, in brackets; nothing where there is none."""
        return " ({} {})".format(*self.unreadable[-1]) if self.unreadable else ""

    def tell(self, folder: str) -> None:
        """Say what was passed over in `folder`."""
        found = sorted((+self.others).items(), key=lambda item: (-item[1], item[0]))
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found)
        if kinds and first_process():
            total = self.others.total()
            say(f"mixnn: {folder}: {total:,} other file{'s' if total > 1 else ''} passed over: {kinds}")


def why_no_image(path: str) -> str | None:
    """Why a file is no image, by its first bytes; None for one that is, be it damaged further on."""
    if not os.path.isfile(path):
        return "is a link to nothing" if os.path.islink(path) else "is no file"
    try:
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            open_image(file)
    except Exception as error:  # of any of Pillow's readers
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return None
