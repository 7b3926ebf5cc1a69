"""Images decoded ahead by other processes: the same pixels in the same order, whatever happens to the processes."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixnn.data.images import decode_pool as stream_module
from mixnn.data.images.decode_pool import Stream
from mixnn.data.images.decoder import decode
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.errors import LocalError

SIZE = 8
COUNT = 7


@pytest.fixture
def files(tmp_path):
    random = np.random.RandomState(0)
    names = [f"{i}.png" for i in range(COUNT)]
    for name in names:
        Image.fromarray(random.randint(256, size=(12, 10, 3), dtype=np.uint8)).save(tmp_path / name)
    return ImageFiles(tmp_path, names)


def batches(*rows: list[int]) -> list[np.ndarray]:
    return [np.array(some, dtype=np.int64) for some in rows]


def expected(files: ImageFiles, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([decode(files.source(row), SIZE) for row in rows.tolist()]))


def check(stream: Stream, files: ImageFiles, plan: list[np.ndarray]) -> None:
    for rows, (pixels, bad) in zip(plan, stream.batches(plan), strict=True):
        assert torch.equal(torch.from_numpy(pixels), expected(files, rows))
        assert bad == {}


PLAN = batches([3, 1], [0, 1, 2, 3, 4, 5, 6], [6], [2, 2, 2], [5, 0], [4], [1], [0], [3, 6])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_as_planned(files, workers):
    stream = Stream(files, SIZE, workers)
    assert len(stream) == COUNT
    check(stream, files, PLAN)
    check(stream, files, PLAN[::-1])  # another plan
    check(stream, files, [])


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_batches_of_several_pieces(files, piece, monkeypatch):
    monkeypatch.setattr(stream_module, "CHUNK_BYTES", piece * 3 * SIZE * SIZE)
    stream = Stream(files, SIZE, 2)
    check(stream, files, 3 * PLAN)
    Path(files.source(5)).write_bytes(b"")
    [(pixels, bad)] = stream.batches(batches([0, 5, 1, 2, 3, 5]))
    assert bad == {1: "is empty", 5: "is empty"}
    assert torch.equal(torch.from_numpy(pixels)[2:5], expected(files, np.array([1, 2, 3])))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("plan", [batches([]), batches([], [3, 1], [], [2], [])], ids=["alone", "among others"])
def test_a_batch_may_be_empty(files, workers, plan):
    """As the share of a rank is, where there are fewer held-out images than ranks."""
    got = [pixels.shape for pixels, _ in Stream(files, SIZE, workers).batches(plan)]
    assert got == [(len(rows), SIZE, SIZE, 3) for rows in plan]


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_images_have_a_place_and_a_reason(files, workers):
    Path(files.source(1)).write_bytes(b"<html>404</html>")
    Path(files.source(4)).unlink()
    pixels, bad = next(Stream(files, SIZE, workers).batches(batches([4, 0, 1, 4])))
    assert bad == {0: "does not exist", 2: "is no image", 3: "does not exist"}
    assert torch.equal(torch.from_numpy(pixels)[1:2], expected(files, np.array([0])))
    assert not pixels[[0, 2, 3]].any()


@pytest.mark.parametrize("workers", [0, 1])
def test_bytes_of_a_table(files, workers):
    contents = [Path(files.source(row)).read_bytes() for row in range(3)]
    [(pixels, bad)] = Stream(ImageBytes([*contents, None, b""], ""), SIZE, workers).batches(batches([2, 3, 0, 4]))
    assert torch.equal(torch.from_numpy(pixels)[[0, 2]], expected(files, np.array([2, 0])))
    assert bad == {1: "holds no image", 3: "is empty"}


def test_processes_start_when_used_stay_and_end_with_the_stream(files):
    stream = Stream(files, SIZE, 2)
    check(stream, files, [])
    assert multiprocessing.active_children() == []
    check(stream, files, PLAN)
    first = {process.pid for process in multiprocessing.active_children()}
    check(stream, files, PLAN)
    assert {process.pid for process in multiprocessing.active_children()} == first
    assert len(first) == 2
    del stream
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_use_that_is_left_does_not_disturb_the_next(files, workers):
    stream = Stream(files, SIZE, workers)
    left = stream.batches(PLAN)
    next(left)
    check(stream, files, PLAN[::-1])
    left.close()
    check(stream, files, PLAN)


def test_two_uses_at_a_time(files):
    stream = Stream(files, SIZE, 1)
    one, other = stream.batches(PLAN), stream.batches(PLAN[::-1])
    for first, second, rows, back in zip(one, other, PLAN, PLAN[::-1], strict=True):
        assert torch.equal(torch.from_numpy(first.pixels), expected(files, rows))
        assert torch.equal(torch.from_numpy(second.pixels), expected(files, back))


class Deadly(ImageFiles):
    """Image 1 ends the process that looks at it, as the kernel does where memory is short."""

    def source(self, row: int) -> str:
        if row == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().source(row)


class Faulty(ImageFiles):
    def source(self, row: int) -> str:
        raise RuntimeError(f"a mistake of ours at {row}")


def test_a_process_that_was_killed_is_one_line(files):
    stream = Stream(Deadly(files.root, files.names), SIZE, 1)
    with pytest.raises(LocalError, match=r"memory may be short; use fewer --data\.workers, 0 for none") as raised:
        list(stream.batches(batches([0], [1], [2])))
    assert "\n" not in str(raised.value)


def test_a_process_that_is_killed_between_two_uses_is_one_line(files):
    stream = Stream(files, SIZE, 1)
    check(stream, files, PLAN)
    [process] = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises(LocalError, match="the system ended a process"):
        check(stream, files, PLAN)


def test_processes_end_with_a_process_that_is_killed(files):
    """They would wait for work for ever."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        stream = Stream(files, SIZE, 2)
        check(stream, files, PLAN)
        os.write(writing, b" ".join(b"%d" % process.pid for process in multiprocessing.active_children()))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    workers = [int(pid) for pid in os.read(reading, 100).split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    """Not one that has ended and that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [0, 1])
def test_mistakes_of_ours_are_not_blamed_on_the_memory(files, workers):
    with pytest.raises(RuntimeError, match="a mistake of ours at 5"):
        list(Stream(Faulty(files.root, files.names), SIZE, workers).batches(batches([5])))
