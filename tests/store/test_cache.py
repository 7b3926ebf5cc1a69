"""A cache that several processes fill, that are killed, on disks that are full: what it gives is whole."""

import io
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from photos import BYTES, COUNT, SIZE, assert_same, seen
from PIL import Image

from mixnn.data.images import cache as store_module
from mixnn.data.images import encoded
from mixnn.data.images.cache import checksums, open_images
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.table import read_parquet
from mixnn.errors import InputError


def in_child(work: Callable[[], object]) -> int:
    """`work` in a process of its own; its exit code."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    code = child.exitcode
    child.kill()
    assert code is not None, "it hangs"
    return code


# Other processes


def test_two_processes_fill_one_cache(files, cached, monkeypatch):
    monkeypatch.setattr(store_module, "COMMIT", 1)
    together = multiprocessing.get_context("fork").Barrier(2)

    def work(rows: np.ndarray) -> None:
        together.wait()
        opened = cached(files[rows], progress=lambda *counts: time.sleep(0.01))
        assert opened.kept.tolist() == list(range(len(rows)))

    order = np.arange(COUNT)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(rows,)) for rows in (order[:8], order[::-1])]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert files.looked_at() == list(range(COUNT))
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))


def kill_at(images: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == images:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


@pytest.mark.parametrize("store", ["cache", "nowhere"])
@pytest.mark.parametrize(("commit", "lost"), [(1, 4), (4 * BYTES, 6), (2**26, COUNT)])
def test_a_killed_process_leaves_what_it_committed(files, cached, monkeypatch, store, commit, lost):
    monkeypatch.setattr(store_module, "COMMIT", commit)
    assert in_child(lambda: cached(files, store, progress=kill_at(6))) == -signal.SIGKILL
    assert files.looked_at() == list(range(6))
    opened = cached(files, store)
    assert files.looked_at() == list(range(COUNT - lost, COUNT))
    assert_same(seen(opened), seen(open_images(files, SIZE)))


def test_pixels_that_were_not_committed_count_for_nothing(files, cached, tmp_path):
    """As after a power cut: the file has its length, and anything in it."""
    assert in_child(lambda: cached(files, progress=kill_at(6))) == -signal.SIGKILL
    [path] = (tmp_path / "new").glob("cache/*/pixels")
    path.write_bytes(b"\x55" * (COUNT * BYTES))
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))


def test_an_interrupted_process_leaves_what_it_committed(files, cached, monkeypatch):
    monkeypatch.setattr(store_module, "COMMIT", 1)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(files, progress=interrupt)
    files.looked_at()
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))
    assert files.looked_at().count(0) == 1  # by memory alone


# Disks


def with_file_limit(limit: int, work: Callable[[], object]) -> list[str]:
    """In a child where no file may be longer than `limit`: what `work` is answered, twice."""
    reader, writer = os.pipe()

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for _ in range(2):
            try:
                work()
                os.write(writer, b"no error\n")
            except InputError as error:
                os.write(writer, f"{error}\n".encode())

    assert in_child(limited) == 0
    os.close(writer)
    with open(reader) as file:
        return file.read().splitlines()


LIMITS = {"state": 20, "pixels": 8 * COUNT + 1}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_a_full_disk_is_one_line(files, cached, tmp_path, limit):
    reason = f"--data.cache-dir {tmp_path}/new/cache cannot be written (File too large)"
    answer = f"{reason}: give another, or --data.store nowhere"
    assert with_file_limit(limit, lambda: cached(files)) == [answer, answer]
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))  # once there is room


@pytest.mark.parametrize("room", [0, 1, 2 * BYTES, 2 * BYTES + 1, 5 * BYTES - 1])
def test_an_image_that_fits_in_part_is_no_image(files, cached, room):
    """The disk is full after so many bytes of the last five images."""
    first = cached(files[:5])
    for answer in with_file_limit(5 * BYTES + room, lambda: cached(files)):
        assert "cannot be written (File too large)" in answer
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))
    assert_same(seen(first), seen(open_images(files[:5], SIZE)))


@pytest.mark.parametrize("store", ["cache", "nowhere"])
@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_is_one_line(files, tmp_path, store, place):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"--data\.cache-dir .*{place} cannot be written \((File|Not)[ \w]+\): give"):
        open_images(files, SIZE, store=store, cache_dir=tmp_path / place)


def test_other_troubles_are_not_blamed_on_the_disk(files, cached):
    """Such as a terminal that was closed."""

    def closed(done: int, total: int) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        cached(files, progress=closed)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, BYTES)])
def test_pixels_that_somebody_removed_are_decoded_again(files, cached, tmp_path, damage):
    cached(files)
    [path] = (tmp_path / "new").glob("cache/*/pixels")
    damage(path)
    cached(files[:3])  # nor are the others, which this does not ask for, taken for good
    assert_same(seen(cached(files)), seen(open_images(files, SIZE)))


class Stopped(Exception):
    pass


def test_a_cache_may_be_larger_than_the_memory(files, tmp_path, monkeypatch):
    """A file with holes, of which two images are filled, since all would take long."""

    def stop(done: int, total: int) -> None:
        raise Stopped

    monkeypatch.setattr(store_module, "CHUNK", 2)
    size = 2048
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    many = ImageFiles(files.root, [files.names[0]] * (2 * memory // (size * size * 3)))
    for store in ("cache", "nowhere"):
        with pytest.raises(Stopped):
            open_images(many, size, store=store, cache_dir=tmp_path, progress=stop)
    opened = open_images(many[-1:], size, store="cache", cache_dir=tmp_path)
    assert opened.pixels.nbytes > memory
    assert checksums(opened.pixels[opened.rows].numpy()) == opened.checksums


# Files that change


def rewritten(path: Path, content: bytes) -> None:
    """As programs do that keep times: the same size, the same time of modification."""
    before = path.stat()
    assert len(content) == before.st_size
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("change_time", [True, False])
@pytest.mark.parametrize("place", [60, -1])  # in the first pixels, in the last ones
@pytest.mark.parametrize("store", ["cache", "nowhere"])
def test_a_file_rewritten_with_the_same_size_and_time_is_decoded_again(
    tmp_path, monkeypatch, store, change_time, place
):
    monkeypatch.setattr(encoded, "HAS_CHANGE_TIME", change_time)
    path = tmp_path / "a.bmp"
    Image.new("RGB", (100, 100), "white").save(path)
    files = ImageFiles(tmp_path, ["a.bmp"])
    first = seen(open_images(files, 100, store=store, cache_dir=tmp_path / "cache"))
    content = bytearray(path.read_bytes())
    content[place] = 0
    rewritten(path, bytes(content))
    again = seen(open_images(files, 100, store=store, cache_dir=tmp_path / "cache"))
    assert again.checksums != first.checksums
    assert_same(again, seen(open_images(files, 100)))


def test_a_table_rewritten_with_the_same_size_and_time_is_another(tmp_path):
    path = tmp_path / "a.parquet"
    stamps = []
    for color in ("white", "black"):
        Image.new("RGB", (8, 8), color).save(buffer := io.BytesIO(), "BMP")
        cells = pyarrow.table({"image": [buffer.getvalue()] * 2, "label": ["a", "b"]})
        pyarrow.parquet.write_table(cells, tmp_path / "new", compression="none", use_dictionary=False)
        content = (tmp_path / "new").read_bytes()
        rewritten(path, content) if path.exists() else path.write_bytes(content)
        stamps.append(read_parquet(str(path), Columns()).parts["train"].images.stamp())
    assert stamps[0] != stamps[1]
