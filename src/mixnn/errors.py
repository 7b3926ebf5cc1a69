"""The one exception that reaches a user as a single line. Must not know: anything of ours."""

import math
from typing import TypeVar

Number = TypeVar("Number", int, float)


def printable(text: str) -> str:
    """Text that keeps to its line: control characters, bytes that are no text and invisible signs as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(ValueError):
    """Something the user gave is wrong; the message names the thing, the value and the fix."""

    def __str__(self) -> str:
        return printable(super().__str__())  # names of files may hold anything


class LocalError(InputError):
    """One that this process may be alone with, of several that train together."""


class ToldError(InputError):
    """One that a person has read already, from this process or from another that trains together with it."""


class ResultsError(RuntimeError):
    """The long part is done and kept, but some of what is made of it could not be written."""


class LostError(RuntimeError):
    """Another of several processes that train together is gone; said already as well."""


def short_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python, torch or the system, says that memory is short."""
    signs = ["allocate memory", "out of memory", "not enough memory", "start new thread", "failed to map segment"]
    signs.append("could not create a primitive")  # what oneDNN makes of it, through torch
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)


LARGEST = 1_000_000_000  # of options without an upper limit of their own: what computes with them overflows somewhere


def require_between(name: str, value: Number, low: float, high: float = LARGEST) -> Number:
    """`value`; raises InputError about the option `name` unless low ≤ value ≤ high and it is finite."""
    if not (low <= value <= high and math.isfinite(value)):
        without_limit = high == LARGEST and not value > high
        allowed = f"at least {shown(low)}" if without_limit else f"{shown(low)} to {shown(high)}"
        raise InputError(f"{name} is {value}: use {allowed}")
    return value


def shown(bound: float) -> str:
    """An integer with all of its digits."""
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
