"""Images that are still encoded: files on disk, or bytes in a table. Must not know: labels, torch, how to decode."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from mixnn.data.images.decoder import BadImage

HAS_CHANGE_TIME = os.name == "posix"
EDGE = 4096  # bytes at each end of a file

Rows = slice | NDArray[np.int64]


class EncodedImages(Protocol):
    """N images to be decoded when somebody asks. Has to survive `pickle`, for loader processes."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows) -> Selection:
        """Those of `rows`, int64 (n,) or a slice."""

    def source(self, row: int) -> str | bytes:
        """A path, or the bytes of the file. Raises BadImage where there can be none."""

    def stamp(self) -> str:
        """Another text whenever names, order or contents are others, found without reading the contents."""


class Selection:
    """Some of the images of a `base`, which stays whole: what is kept of its images serves every selection.

    Args:
        base: all of them.
        rows: int64 (n,), those selected.
    """

    def __init__(self, base: EncodedImages, rows: NDArray[np.int64]) -> None:
        self.base, self.rows = base, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Rows) -> Selection:
        return Selection(self.base, self.rows[rows])

    def source(self, row: int) -> str | bytes:
        return self.base.source(int(self.rows[row]))

    def stamp(self) -> str:
        return hashlib.sha256(self.base.stamp().encode() + self.rows.tobytes()).hexdigest()


class Names(Sequence[str]):
    """N texts in one piece of memory, which processes that decode share.

    A list would not do: to read an item of it writes to it (its reference count), so that a process
    with a million names soon has a copy of them all.
    """

    def __init__(self, names: Sequence[str]) -> None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self.text = b"".join(encoded)
        self.ends = np.cumsum([0, *map(len, encoded)])

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        place = range(len(self))[row]  # counts from the end too, and ends iteration
        return self.text[self.ends[place] : self.ends[place + 1]].decode("utf-8", "surrogateescape")


class ImageFiles:
    """Image files below a folder.

    Args:
        root: the folder.
        names: N file names relative to it.
        keep_inside: a name that leads out of `root` (absolute, or by ..) is a bad image.
    """

    def __init__(self, root: str | os.PathLike[str], names: Sequence[str], *, keep_inside: bool = True) -> None:
        self.root, self.names, self.keep_inside = os.fspath(root), Names(names), keep_inside

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Rows) -> Selection:
        return Selection(self, np.arange(len(self))[rows])

    def source(self, row: int) -> str:
        name = self.names[row]
        path = os.path.join(self.root, name)
        # Only names with these can lead out; others need no look, which a million of them would feel.
        if self.keep_inside and (os.path.isabs(name) or ".." in name):
            inside, root = os.path.abspath(path), os.path.abspath(self.root)
            if os.path.commonpath([inside, root]) != root:
                raise BadImage(f"lies outside {self.root}; to allow it, give --data.root a folder above")
        return path

    def stamp(self) -> str:
        about = f"{self.keep_inside} {os.path.abspath(self.root)}"
        digest = hashlib.sha256(about.encode("utf-8", "surrogateescape"))
        for name in self.names:
            try:
                state = file_state(os.path.join(self.root, name))
            except (OSError, ValueError):  # ValueError: a zero byte in the name
                state = "missing"
            digest.update(f"{name}\0{state}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def file_state(path: str) -> str:
    """Another text whenever the file was written, also where its size and time of modification were kept.

    The time of change says it, which programs cannot set. Reading the contents instead would make a data set on a
    slow disk wait at each start for as long as decoding it does. Where there is no such time (Windows has that of
    creation), what stands at both ends of the file takes its place.

    Raises:
        OSError, ValueError: there can be no such file.
    """
    status = os.stat(path)
    state = f"{status.st_size} {status.st_mtime_ns}"
    if HAS_CHANGE_TIME:
        return f"{state} {status.st_ctime_ns}"
    if not stat.S_ISREG(status.st_mode):
        return state
    with open(path, "rb") as file:
        head = file.read(EDGE)
        file.seek(max(len(head), status.st_size - EDGE))
        return f"{state} {hashlib.blake2b(head + file.read(EDGE), digest_size=16).hexdigest()}"


class ImageBytes:
    """Image files inside a table: `column[i]` is the bytes of one, or None.

    Args:
        column: N entries, such as a list, or a column that reads them from a mapped file.
        identity: a text that changes when the column does, e.g. a hash or the file's name and `file_state`.
    """

    def __init__(self, column: Sequence[bytes | None], identity: str) -> None:
        self.column, self.identity = column, identity

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, rows: Rows) -> Selection:
        return Selection(self, np.arange(len(self))[rows])

    def source(self, row: int) -> bytes:
        content = self.column[row]
        if content is None:
            raise BadImage("holds no image")
        return content

    def stamp(self) -> str:
        return hashlib.sha256(f"{len(self)} {self.identity}".encode("utf-8", "surrogateescape")).hexdigest()


def pick(items: Sequence[str], rows: Rows) -> list[str]:
    """Some of a list, the way an array gives them."""
    if isinstance(rows, slice):
        return list(items[rows])
    return [items[row] for row in rows.tolist()]
