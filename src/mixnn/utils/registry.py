"""Things by their name, or as the user's own `package.module:name`. Must not know: what they are."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mixnn.errors import InputError


def is_code(name: str) -> bool:
    """Whether `name` is a user's own `package.module:name`, and no `timm:NAME`; or a program of torch.export."""
    ending = os.path.splitext(name)[1].lower()
    return ending == ".pt2" or (":" in name and not name.startswith("timm:") and ending != ".onnx")


def refuse_code(content: Mapping[str, Any], where: object, typed: Mapping[str, str | None]) -> None:
    """Code runs only where a person typed its name: raise InputError where a file alone names it.

    Args:
        content: what the file holds; `where`: the file, for the message.
        typed: what the person typed, by the option's name.
    """
    for option, given in typed.items():
        name = content.get(option)
        if given is None and isinstance(name, str) and is_code(name):
            raise InputError(
                f"{where} names code, {option} {name}: a file never runs code; where you trust it, "
                f"add --{option} {name}"
            )


def resolve(name: str, known: Mapping[str, Any], what: str, custom: str) -> Any:
    """`known[name]`, or what `package.module:name` imports.

    Args:
        what: the kind of thing, for the message; `custom`: what a user's own is, "Class" or "factory".

    Raises:
        InputError: it is neither known nor can it be imported.
    """
    if name in known:
        return known[name]
    if ":" not in name:
        close = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {close[0]}? There are" if close else "use one of"
        raise InputError(f"{what} {name!r} is unknown: {meant} {', '.join(known)}, or package.module:{custom}")
    module, _, attribute = name.partition(":")
    try:
        with searched(os.getcwd()):
            return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{what} {name!r} cannot be imported ({error}): write package.module:{custom}") from error


@contextmanager
def searched(folder: str) -> Iterator[None]:
    """Modules are looked for in `folder` too, after all other places."""
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
