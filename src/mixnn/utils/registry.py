"""Things by their name, or as the user's own `package.module:name`. Must not know: what they are."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from mixnn.errors import InputError


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
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{what} {name!r} cannot be imported ({error}): write package.module:{custom}") from error
