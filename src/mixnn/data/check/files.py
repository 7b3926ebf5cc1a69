"""Every image opened once: content, size, mode, or why it cannot be read. Must not know: labels, torch."""

from __future__ import annotations

import io
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mixnn.data.check.findings import as_keys, content_digest
from mixnn.data.images.decoder import DAMAGE, BadImage, no_warnings, reason, refuse_pipe, to_square
from mixnn.data.images.encoded import EncodedImages
from mixnn.errors import InputError

CHUNK, CHUNK_BYTES = 64, 8 << 20  # images that travel to a process together; fewer where a table holds large ones
WORTH_A_PROCESS = 500  # images: fewer are done before it has started

Progress = Callable[[int, int], None]
Source = str | bytes | NDArray[Any] | BadImage  # path, content, pixels or embedding, why there is none


@dataclass
class Contents:
    """What N images hold.

    Attributes:
        keys: uint64 (N, 2), equal where the contents are; where an image cannot be read, as they came in.
        sizes: int32 (N, 2), width and height as stored; 0 where there are none.
        modes: how many images of each of Pillow's modes.
        unreadable: row -> reason.
    """

    keys: NDArray[np.uint64]
    sizes: NDArray[np.int32]
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: dict[int, str] = field(default_factory=dict)


class Look(NamedTuple):
    """One image; with a reason where it cannot be read."""

    digest: bytes = b""
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""


def read_contents(
    parts: Sequence[EncodedImages | NDArray[Any]], keys: NDArray[np.uint64], *, workers: int, progress: Progress
) -> Contents:
    """Look at all images of all parts.

    Args:
        parts: images of any kind, N in all.
        keys: (N, 2), for those that cannot be read.
        workers: processes; below 2, this one alone.
        progress: told how many are done, of how many.

    Raises:
        InputError: the system ended a process.
    """
    contents = Contents(keys.copy(), np.zeros((len(keys), 2), dtype=np.int32))
    start = 0
    for looks in in_processes(chunks(parts), min(workers, len(keys) // WORTH_A_PROCESS)):
        for row, look in enumerate(looks, start):
            if look.reason:
                contents.unreadable[row] = look.reason
            else:
                contents.sizes[row] = look.width, look.height
                contents.modes[look.mode] += 1
                contents.keys[row] = as_keys([look.digest])[0]
        start += len(looks)
        progress(start, len(keys))
    return contents


def chunks(parts: Sequence[EncodedImages | NDArray[Any]]) -> Iterator[list[Source]]:
    """All images of all parts in order, a few at a time."""
    chunk: list[Source] = []
    held = 0
    for images in parts:
        for row in range(len(images)):
            chunk.append(source_of(images, row))
            held += sys.getsizeof(chunk[-1])
            if len(chunk) == CHUNK or held >= CHUNK_BYTES:
                yield chunk
                chunk, held = [], 0
    if chunk:
        yield chunk


def source_of(images: EncodedImages | NDArray[Any], row: int) -> Source:
    """What a process needs to look at one image."""
    if isinstance(images, np.ndarray):
        return np.ascontiguousarray(images[row])
    try:
        return images.source(row)
    except BadImage as error:
        return error


def in_processes(work: Iterator[list[Source]], workers: int) -> Iterator[list[Look]]:
    """What each chunk shows, in order; a few chunks a process are held at a time."""
    if workers < 2:
        yield from map(look_at_all, work)
        return
    # Fresh processes: a copy of this one would hold its locks, but not the threads that release them.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    waiting: deque[Future[list[Look]]] = deque()
    try:
        for chunk in work:
            with without_interrupt():
                waiting.append(pool.submit(look_at_all, chunk))
            if len(waiting) > 3 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError("a process that reads images was ended by the system: use fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def without_interrupt() -> Iterator[None]:
    """Processes started in here never see Ctrl-C, which a terminal sends to all; this one sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def look_at_all(sources: list[Source]) -> list[Look]:
    with no_warnings():
        return [look_at(source) for source in sources]


def look_at(source: Source) -> Look:
    """One image; a file is decoded to the end, by the steps of `mixnn.data.images.decoder.decode`."""
    if isinstance(source, np.ndarray):
        return _look_at_array(source)
    if isinstance(source, BadImage):
        return Look(reason=str(source))
    try:
        if isinstance(source, str):
            refuse_pipe(source)
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            (width, height), mode = image.size, image.mode
            to_square(image, 1)  # so small that a JPEG decodes at an eighth of its size
    except DAMAGE as error:
        return Look(reason=reason(error, source))
    return Look(content_digest(content), width, height, mode)


def _look_at_array(image: NDArray[Any]) -> Look:
    """uint8 (H, W, 3), or an embedding (D,)."""
    if image.ndim > 1:
        return Look(content_digest(image.tobytes()), image.shape[1], image.shape[0], "RGB")
    if not np.isfinite(image).all():
        return Look(reason="holds numbers that are not finite")
    return Look(content_digest(image.tobytes()), mode=f"embedding of {len(image)}")
