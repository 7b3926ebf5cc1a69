"""Processes that work through pieces, in order: one pool for all that decodes. Must not know: images, labels, torch."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from mixnn.errors import LocalError
from mixnn.utils.memory import keep_freed_memory

AHEAD = 3  # pieces that each process has done, or is at, before they are asked for

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Pool(Generic[Piece, Result]):
    """Does `work` for one piece after the other; its processes start when used, and end with it.

    Args:
        work: each process has a copy, made once.
        workers: processes; 0 works where the results are asked for.
        option: that sets how many there are, for errors.
    """

    def __init__(self, work: Callable[[Piece], Result], workers: int, option: str) -> None:
        self.work, self.workers, self.option = work, workers, option
        self.processes: ProcessPoolExecutor | None = None

    def map(self, pieces: Iterable[Piece]) -> Iterator[Result]:
        """What `work` makes of each piece, in order.

        A Ctrl-C stops the processes at their next `stopping()`.

        Raises:
            LocalError: the system ended a process.
        """
        if self.workers == 0:
            yield from map(self.work, pieces)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for piece in pieces:
                with uninterrupted():
                    waiting.append(self._started().submit(_work_on, piece))
                if len(waiting) >= AHEAD * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except KeyboardInterrupt:
            if self.processes is not None:  # it may come before they start
                self.stop.value, self.processes = True, None
            raise
        except BrokenProcessPool as error:
            raise LocalError(
                "the system ended a process that reads images: memory may be short; "
                f"use fewer {self.option}, 0 for none"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self.processes is None:
            self.stop = multiprocessing.RawValue(ctypes.c_bool, False)
            self.processes = ProcessPoolExecutor(self.workers, initializer=_begin, initargs=(self.work, self.stop))
            weakref.finalize(self, _end, self.processes, self.stop)
        return self.processes


def _end(processes: ProcessPoolExecutor, stop: Any) -> None:
    """Waits for the processes, but where garbage is collected in the thread that waits for their results."""
    stop.value = True
    with uninterrupted():
        processes.shutdown(wait=threading.current_thread() is threading.main_thread(), cancel_futures=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C takes effect at the end: in the middle, processes that just start would die of it, or be waited for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if interrupts:
            signal.raise_signal(signal.SIGINT)


_work: Callable[[Any], Any]  # of this process
_stop: Any = None  # shared with the first process; None in that


def stopping() -> bool:
    """Whether nobody waits any more for what this process does: to be asked now and then within a piece."""
    return _stop is not None and bool(_stop.value)


def _begin(work: Callable[[Any], Any], stop: Any) -> None:
    global _work, _stop
    _work, _stop = work, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the first process says what happens
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler of the first process is of no use here
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()


def _end_with_parent() -> None:
    """A process waits for work for ever, also where the one that it works for was killed."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _work_on(piece: Any) -> Any:
    return None if stopping() else _work(piece)
