"""Folders in a zip or tar, unpacked once into the cache. Nothing leaves that folder, whatever the archive says.

Must not know: images, labels, torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import IO, NamedTuple

from mixnn.errors import InputError, printable
from mixnn.utils.console import counter, say
from mixnn.utils.files import default_cache_dir, make_once
from mixnn.utils.processes import first_process

# What the libraries make of damaged, encrypted or odd archives.
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, struct.error),
    *(EOFError, RuntimeError, ValueError, KeyError, IndexError, OverflowError, MemoryError),
)
ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHERS = (".rar", ".7z", ".gz", ".xz", ".bz2", ".zst")  # which are not read here
SMALL, RATIO = 2**30, 100  # an archive may hold so many bytes, or so many times its own: images hardly get smaller
CHUNK = 2**20


class Member(NamedTuple):
    """One file in an archive; `content` is None for what is neither file nor folder, as a link."""

    name: str
    size: int
    content: IO[bytes] | None


def is_archive(path: str) -> bool:
    """Whether `path` is a zip or tar, by its content.

    Raises:
        InputError: it is called like an archive, and is none that can be read.
    """
    if not os.path.isfile(path):
        return False
    try:
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
            return True
    except (*DAMAGE, OSError):
        pass
    if path.lower().endswith(ENDINGS):
        raise InputError(f"archive {path} is damaged or not whole: get it again")
    if path.lower().endswith(OTHERS):
        raise InputError(f"archive {path} is neither zip nor tar: unpack it, and give the folder")
    return False


def unpacked(path: str, cache_dir: str | None = None) -> str:
    """The folder with what is in the archive `path`, called by a hash of its content.

    Hidden files stay where they are, and links too, which are counted.

    Raises:
        InputError: the archive is damaged, encrypted, has names that lead out of it or too much for its size, or the
            cache cannot be written.
    """
    cache = default_cache_dir() if cache_dir is None else Path(cache_dir)
    folder = cache / "archives" / _digest(path)
    try:
        make_once(folder, partial(_unpack, path))
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"--data.cache-dir {cache} cannot be written ({why}): give another") from error
    if first_process():
        say(f"mixnn: {printable(path)} is an archive, unpacked in {printable(str(folder))}")
    return str(folder)


def _digest(path: str) -> str:
    digest, done, size = hashlib.blake2b(digest_size=16), 0, os.path.getsize(path)
    progress = counter(f"reading {path}")
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                progress(done := done + len(chunk), size)
    except OSError as error:
        raise InputError(f"archive {path} cannot be read ({error.strerror}): allow it, or give another") from error
    return digest.hexdigest()


def _unpack(path: str, new: Path) -> None:
    limit, total, links = max(SMALL, RATIO * os.path.getsize(path)), 0, 0
    progress = counter(f"unpacking {path}, bytes at most")
    members = _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path)
    try:
        for name, size, content in members:
            total += size
            if total > limit:
                raise InputError(f"archive {path} holds more than {limit:,} bytes, too much: unpack it yourself")
            inner = _safe(name, path)
            if content is None:
                links += 1
            elif not any(part.startswith(".") or part == "__MACOSX" for part in inner.split("/")):
                target = new / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "wb") as file:
                    shutil.copyfileobj(content, file, CHUNK)
            progress(total, limit)
    except InputError:
        raise
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of gzip or bz2
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"archive {path} cannot be unpacked ({why}): get it again, or unpack it") from error
    if links and first_process():
        say(f"mixnn: {printable(path)} holds {links:,} links or devices, which are passed over")


def _zip_members(path: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                yield Member(info.filename, 0, None)
            elif not info.is_dir():
                with archive.open(info) as content:  # never gives more than the size that is said
                    yield Member(info.filename, info.file_size, content)


def _tar_members(path: str) -> Iterator[Member]:
    with tarfile.open(path, "r:*") as archive:
        for info in archive:
            if info.size < 0:
                raise tarfile.ReadError("a file of negative size")  # its end would be where it was before
            if not info.isdir():
                yield Member(info.name, info.size, archive.extractfile(info) if info.isfile() else None)
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")  # which the library does not mind between two files


def _safe(name: str, path: str) -> str:
    """`name` with slashes, below the folder. Raises InputError where it leads out of it."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":":
        raise InputError(f"archive {path} has {name!r}, which leads out of it: unpack it yourself, if you trust it")
    return os.path.normpath(plain)
