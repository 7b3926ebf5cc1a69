"""How one of several processes ends when another is lost, so that a person reads one line about it, not one from each.

Must not know: torch, methods, files.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from mixnn.utils import console

GO_ON = "repeat the command with --resume, on any number of processes; it goes on after the last finished epoch"
LOST = f"another process of this run has ended, or cannot be reached: {GO_ON}"
STOPPED = f"told to stop (SIGTERM), as a launcher does where another process of this run has ended: {GO_ON}"

Say = Callable[[str], None]


class Counter(Protocol):
    """The part of torch's stores that is needed here."""

    def add(self, key: str, amount: int, /) -> int: ...


def said_once(store: Counter) -> Say:
    """A way to speak that only the first process of each machine is heard with, and only the first time.

    The first one knows most: what the others have to tell is that it has left them.
    """
    lock = threading.Lock()  # nobody ends this process between its word being taken and given

    def say(text: str) -> None:
        with lock:
            if is_first(store):
                console.say(f"mixnn: {text}")

    return say


def is_first(store: Counter) -> bool:
    try:
        return store.add(f"said/{socket.gethostname()}", 1) == 1
    except RuntimeError:  # the process that kept the store is lost: rather two lines than none
        return True


@contextmanager
def saying_when_stopped(say: Callable[[], None]) -> Iterator[None]:
    """Call `say` before this process ends by SIGTERM, with exit code 143.

    A thread does it, since the main one may sit in a call of torch that never comes back, as NCCL's do when another
    process is lost; Python would run a handler only after it.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # somebody else decides what happens then
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=end_on_signal, args=(reading, say), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(writing)  # which the thread reads as the end
        thread.join()
        os.close(reading)


def end_on_signal(reading: int, say: Callable[[], None]) -> None:
    """Wait for SIGTERM among the numbers of signals that come in, until there are no more."""
    while numbers := os.read(reading, 64):
        if signal.SIGTERM in numbers:
            with suppress(Exception):  # whatever it is, this process ends
                say()
            os._exit(128 + signal.SIGTERM)
