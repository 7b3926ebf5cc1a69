"""Lines for a person who watches, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from rich.console import Console


def counter(what: str) -> Callable[[int, int], None]:
    """A `progress(done, in all)` that says every few seconds how far `what` is; silent when it is quick."""
    state = {"next": time.monotonic() + 2}

    def tell(done: int, total: int) -> None:
        if time.monotonic() >= state["next"]:
            state["next"] = time.monotonic() + 5
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return tell


@contextmanager
def showing(what: str) -> Iterator[None]:
    """Show what is under way for as long as it is, where somebody watches."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


def say(line: str) -> None:
    """Above the bar, where there is one."""
    with suppress(OSError):  # that nobody reads it any more is no reason to stop
        print(line, file=sys.stderr, flush=True)
