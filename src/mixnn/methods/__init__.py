"""The methods by name: every file here that defines a subclass of `Method` is one, called as the file is."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from mixnn.errors import InputError
from mixnn.methods.base import Method
from mixnn.utils.registry import resolve


def find_methods() -> dict[str, type[Method]]:
    """The classes by their files' names, in the order of these."""
    found = {}
    for name in sorted(module.name for module in iter_modules(__path__)):
        home = import_module(f"{__name__}.{name}")
        for kind in vars(home).values():
            if isinstance(kind, type) and kind.__module__ == home.__name__ and issubclass(kind, Method):
                found[name] = kind
    del found["base"]  # where `Method` itself is
    return found


METHODS: dict[str, type[Method]] = find_methods()


def method_class(name: str) -> type[Method]:
    """The class of a method, by its name here or as `package.module:Class`.

    Raises:
        InputError: no such method.
    """
    found = resolve(name, METHODS, "method", "Class")
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InputError(f"method {name!r} is not a subclass of mixnn.Method")
    return found
