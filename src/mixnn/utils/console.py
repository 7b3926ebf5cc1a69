"""Lines for a person who watches, on standard error."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from typing import Any, TextIO

from rich.console import Console

from mixnn.errors import printable
from mixnn.utils.processes import first_process


def write_on_any_terminal() -> None:
    """From now on, what a terminal or a pipe has no sign for is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def counter(what: str, before: int = 0) -> Callable[[int, int], None]:
    """A `progress(done, in all)` that says every few seconds how far `what` is, and how long it takes yet.

    It is silent when that is quick. `before`: how much was done already.
    """
    began = time.monotonic()
    state, line = {"next": began + 2}, rewritten_line() or say

    def tell(done: int, total: int) -> None:
        now = time.monotonic()
        if now >= state["next"]:
            state["next"] = now + 5
            left = time_text((now - began) / max(1, done - before) * (total - done))
            line(f"{what}: {done:,} of {total:,}, about {left} left")

    return tell


def rewritten_line() -> Callable[[str], None] | None:
    """In a notebook, what shows a text in place of the one before; None elsewhere."""
    kernel = sys.modules.get("ipykernel.iostream")
    if kernel is None or not isinstance(sys.stderr, kernel.OutStream):  # also where nothing is to be seen
        return None
    display = import_module("IPython.display").display
    shown: list[Any] = []

    def show_line(text: str) -> None:
        content = {"text/plain": printable(text)}
        if shown:
            shown[0].update(content, raw=True)
        else:
            shown.append(display(content, raw=True, display_id=True))

    return show_line


def error_console() -> Console:
    """Standard error; no terminal where a notebook runs a command by "!", as it keeps each state of a bar as a line."""
    return Console(stderr=True, force_terminal=False if "JPY_PARENT_PID" in os.environ else None)


@contextmanager
def bar(what: str, done: int, total: int, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A `progress(done, in all)` that moves a bar with figures, or a `counter` where nobody watches.

    Args:
        done: how much of `total` is there already.
        unit: what is counted, for the speed.
    """
    console = error_console()
    if not console.is_terminal:
        yield counter(what, done)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # slow to load, for what starts here

    columns = (TextColumn(what), BarColumn(bar_width=None), TextColumn("{task.completed:,} of {task.total:,} "))
    with Progress(
        *columns, TextColumn("{task.fields[speed]}"), TimeRemainingColumn(), console=console, speed_estimate_period=300
    ) as progress:
        task, began = progress.add_task("", completed=done, total=total, speed=""), time.monotonic()

        def tell(now: int, total: int) -> None:
            speed = (now - done) / max(1e-9, time.monotonic() - began)
            progress.update(task, completed=now, total=total, speed=f"{speed:,.0f} {unit}/s")

        yield tell


@contextmanager
def showing(what: str) -> Iterator[None]:
    """Show what is under way for as long as it is, where somebody watches."""
    console = error_console()
    spinner = "line" if console.options.ascii_only else "dots"
    with console.status(what, spinner=spinner) if console.is_terminal else nullcontext():
        yield


def say(*lines: str) -> None:
    """Lines on standard error, above the bar where there is one; names in them are text, whatever they hold."""
    with suppress(OSError):  # that nobody reads it any more is no reason to stop
        sys.stderr.write(_on_screen(lines, sys.stderr))
        sys.stderr.flush()


def show(*lines: str) -> None:
    """Results, on standard output; likewise."""
    sys.stdout.write(_on_screen(lines, sys.stdout))


def _on_screen(lines: Iterable[str], stream: TextIO) -> str:
    """Each as one line, in signs that `stream` has."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return "".join(f"{printable(line)}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding)


def note(line: str) -> None:
    """What a person should know, once however many processes there are."""
    if first_process():
        say(f"mixnn: {line}")


def say_loading() -> None:
    """The first word of a command that needs torch, which takes seconds to load."""
    if first_process() and "torch" not in sys.modules:
        say("mixnn: loading PyTorch …")


def time_text(seconds: float) -> str:
    """4:05 for minutes and seconds, 1:04:05 with hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
