"""Every image looked at once, before training: what cannot be read is found, what is decoded is kept.

Where decoded images stay makes no difference to any result. Must not know: labels, epochs, methods.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import PIL
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from mixnn.data.images.decode_pool import Decoded, Stream
from mixnn.data.images.encoded import EncodedImages, Selection
from mixnn.data.images.intensity import Range, as_uint8
from mixnn.errors import InputError
from mixnn.utils.files import default_cache_dir

Store = Literal["memory", "cache", "nowhere"]
Progress = Callable[[int, int], None]  # images done, images in all
CHUNK = 64  # images in one piece of a process's work
IN_MEMORY = 2 * 2**30  # bytes of pixels that "auto" keeps in memory
COMMIT = 2**26  # bytes of pixels after which the disk is waited for
VERSION = "2"  # of how images are decoded: another one, another cache
SEEN = np.uint64(1 << 32)  # marks an image that could be read; the bits below are its checksum


class Opened(NamedTuple):
    """The images of a selection that can be read.

    Attributes:
        pixels: uint8 (M, S, S, 3) or float32 (M, D), these images and perhaps others; or a stream of them.
        rows: int64 (n,), where each image is in `pixels`.
        kept: int64 (n,), which of the selection they are.
        checksums: uint32 (n,), CRC-32 of the pixels of each.
        bad: row of the selection -> why it cannot be read.
    """

    pixels: Tensor | Stream
    rows: NDArray[np.int64]
    kept: NDArray[np.int64]
    checksums: NDArray[np.uint32]
    bad: dict[int, str]


def open_images(
    images: EncodedImages | NDArray[Any],
    size: int,
    *,
    store: Store = "memory",
    cache_dir: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    intensity: Range | None = None,
) -> Opened:
    """Decode `images` once at `size` pixels, or take up what an earlier run decoded.

    Args:
        images: encoded; or an array (N, H, W, 3), uint8 or to be scaled; or float32 (N, D).
        store: "memory"; "cache", a memory-mapped file; or "nowhere", decode again at each use.
        cache_dir: holds the file, or for "nowhere" what is known of each image; the user's where None.
        workers: processes that decode.
        progress: called with (images done, images to do).
        intensity: what becomes black and white of pixels of more than 8 bits.

    Raises:
        UnknownRangeError: there are such pixels, and no `intensity` is given.
        InputError: the cache cannot be written.
    """
    if isinstance(images, np.ndarray):
        images, all_rows = as_uint8(images, intensity), np.arange(len(images))
        writable = images if images.flags.writeable else images.copy()  # torch knows no other
        return Opened(torch.from_numpy(writable), all_rows, all_rows, checksums(images), {})
    chosen = selection(images)
    stream = Stream(chosen.base, size, workers, intensity)
    kept: Memory | Cache
    if store == "memory" or len(chosen.base) == 0:
        kept = Memory(chosen.rows, size)
    else:
        kept = Cache(cache_dir or default_cache_dir(), chosen, size, with_pixels=store == "cache", intensity=intensity)
    bad: dict[int, str] = {}
    with kept.locked() as state:
        missing = np.flatnonzero(state == 0)
        chunks = np.split(missing, range(CHUNK, len(missing), CHUNK)) if len(missing) else []
        done = 0
        for places, decoded in zip(chunks, stream.batches([chosen.rows[chunk] for chunk in chunks]), strict=True):
            bad |= {int(places[i]): reason for i, reason in decoded.bad.items()}
            kept.put(places, decoded, np.isin(np.arange(len(places)), list(decoded.bad), invert=True))
            done += len(places)
            if progress is not None:
                progress(done, len(missing))
    readable = np.flatnonzero(kept.state)
    pixels = kept.pixels() if store != "nowhere" else stream
    where = readable if store == "memory" else chosen.rows[readable]
    return Opened(pixels, where, readable, kept.state[readable].astype(np.uint32), bad)


def choose_store(images: int, size: int, cache_dir: Path | None, held: Callable[[], int] = lambda: 0) -> Store:
    """Memory for up to 2 GiB of pixels; else a file, where the disk has room for it twice; else nowhere.

    What `held` bytes of such a file are there already take no room; it is asked where that decides.
    """
    needed = images * size * size * 3
    if needed <= IN_MEMORY:
        return "memory"
    folder = (cache_dir or default_cache_dir()).absolute()
    while not folder.exists():
        folder = folder.parent
    missing = 2 * needed - shutil.disk_usage(folder).free
    return "cache" if missing <= 0 or missing <= held() else "nowhere"


def held_bytes(
    parts: Iterable[EncodedImages], size: int, cache_dir: Path | None, intensity: Range | None = None
) -> int:
    """Bytes on the disk of the files that hold pixels of `parts`."""
    folder = cache_dir or default_cache_dir()
    chosen = (Cache(folder, selection(images), size, with_pixels=True, intensity=intensity) for images in parts)
    caches = {cache.path / "pixels" for cache in chosen}
    return sum(512 * path.stat().st_blocks for path in caches if path.exists())


def selection(images: EncodedImages) -> Selection:
    return images if isinstance(images, Selection) else images[:]


def checksums(images: NDArray[Any]) -> NDArray[np.uint32]:
    """CRC-32 of each image (N, …): uint32 (N,)."""
    return np.fromiter((zlib.crc32(np.ascontiguousarray(image).data) for image in images), np.uint32, len(images))


class Memory:
    """Decoded images of a selection, in memory.

    Attributes:
        state: uint64 (n,), 0, or SEEN and a checksum.

    Raises:
        InputError: they do not fit.
    """

    def __init__(self, rows: NDArray[np.int64], size: int) -> None:
        self.state = np.zeros(len(rows), np.uint64)
        try:
            self.images = np.empty((len(rows), size, size, 3), np.uint8)
        except MemoryError as error:
            raise InputError(
                f"{len(rows):,} images of {size} px do not fit into memory: use --data.store cache"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[NDArray[np.uint64]]:
        yield self.state

    def put(self, places: NDArray[np.int64], decoded: Decoded, good: NDArray[np.bool_]) -> None:
        self.images[places] = decoded.pixels
        self.state[places] = np.where(good, SEEN | checksums(decoded.pixels), 0)

    def pixels(self) -> Tensor:
        return torch.from_numpy(self.images)


class Cache:
    """Decoded images in a file that is mapped into memory, filled in any order, by one process at a time.

    An image counts once its pixels are on disk: after a kill or a power cut the next process goes
    on from there. The file has a place for every image of the source, and holes where nothing was
    asked for, so that every selection shares it.

    Args:
        folder: holds a folder for each source and size, named by a hash of names and states of files.
        chosen: the images.
        size: S, pixels.
        with_pixels: keep them; otherwise only what was seen to be readable.
        intensity: the scale of pixels of more than 8 bits.

    Every method raises InputError where the folder cannot be written.
    """

    def __init__(
        self, folder: Path, chosen: Selection, size: int, *, with_pixels: bool, intensity: Range | None
    ) -> None:
        self.rows, self.shape = chosen.rows, (len(chosen.base), size, size, 3)
        kind = "pixels" if with_pixels else "seen"
        about = f"{VERSION} {PIL.__version__} {kind} {size} {intensity} {chosen.base.stamp()}"
        key = hashlib.sha256(about.encode()).hexdigest()[:32]
        self.folder, self.path, self.with_pixels = folder, folder / key, with_pixels
        self.pending: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []
        self.waiting = 0  # bytes

    @contextmanager
    def locked(self) -> Iterator[NDArray[np.uint64]]:
        """The state of the selection, while no other process adds; a killed one lets go by itself."""
        with ExitStack() as stack:
            with self._writing():
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(self.path / "lock"))
                whole = int(np.prod(self.shape)) if self.with_pixels else 0
                (self.path / "pixels").touch()
                self.file = stack.enter_context(open(self.path / "pixels", "rb+", buffering=0))
                self.all_states = self._states()
                if self.file.seek(0, os.SEEK_END) != whole:  # new, or somebody has freed space
                    self.all_states[:] = 0
                    self.file.truncate(whole)
                self.state = self.all_states[self.rows]
            yield self.state
            self._commit()

    def put(self, places: NDArray[np.int64], decoded: Decoded, good: NDArray[np.bool_]) -> None:
        images = decoded.pixels
        if self.with_pixels:
            with self._writing():
                for row, image in zip(self.rows[places].tolist(), images, strict=True):
                    self.file.seek(row * image.nbytes)
                    rest = memoryview(image).cast("B")
                    while rest:  # not through a map: a full disk would end the process without a word
                        rest = rest[self.file.write(rest) :]
        self.pending.append((places, np.where(good, SEEN | checksums(images), 0)))
        self.waiting += images.nbytes
        if self.waiting >= COMMIT:
            self._commit()

    def pixels(self) -> Tensor:
        return torch.from_numpy(np.memmap(self.path / "pixels", np.uint8, "r+", shape=self.shape))

    def _states(self) -> NDArray[np.uint64]:
        path = self.path / "state"
        with open(path, "ab") as file:
            file.truncate(8 * self.shape[0])  # zeros, where it is new
        return np.memmap(path, np.uint64, "r+", shape=self.shape[:1])

    def _commit(self) -> None:
        with self._writing():
            os.fsync(self.file.fileno())
        for places, state in self.pending:  # last: what is marked is there
            self.state[places] = self.all_states[self.rows[places]] = state
        self.pending, self.waiting = [], 0

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Errors of the disk in the user's words."""
        try:
            yield
        except (OSError, NotImplementedError) as error:  # the latter where a file system knows no locks
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"--data.cache-dir {self.folder} cannot be written ({reason}): give another, or --data.store nowhere"
            ) from error
