"""What values options may have: numbers in a range, and of which type. Must not know: what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mixnn.errors import InputError, require_between

MAX_WORKERS = 256  # processes that decode images
# Least and most of each number; beyond, a training diverges, or it does not fit where it goes.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("epochs", "restart_every", "steps_per_epoch", "imbalance"), (1, 1_000_000)),
    **dict.fromkeys(("lr", "min_lr", "weight_decay"), (0, 1000)),
    **dict.fromkeys(("data.image_size", "data.crop_size"), (8, 1024)),
    "batch_size": (2, 1_000_000),
    "momentum": (0, 0.9999),
    "gamma": (1e-6, 1),
    "limit": (2, 2**63 - 1),
    "seed": (0, 2**32 - 1),
    "data.holdout": (0, 0.99),
    "data.workers": (0, MAX_WORKERS),
}


def check_ranges(values: Mapping[str, Any]) -> None:
    """Raise InputError for the first number among `values`, by the names of options, that is out of its range."""
    for name, (low, high) in RANGES.items():
        if values.get(name) is not None:
            require_between(f"--{name.replace('_', '-')}", values[name], low, high)


def check_types(kind: type[Any], settings: Mapping[str, Any], where: object) -> None:
    """Raise InputError for a setting that the dataclass `kind` has not, or of another type."""
    types = get_type_hints(kind)
    for name, value in settings.items():
        if name not in types or not is_of(value, types[name]):
            raise InputError(f"{where}: {name} is {value!r}: correct it")


def is_of(value: object, kind: Any) -> bool:
    """Whether `value` is what the annotation `kind` of an option says."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return value in parts
    if get_origin(kind) is list:
        return isinstance(value, list) and all(is_of(part, parts[0]) for part in value)
    if parts:  # a union
        return any(is_of(value, part) for part in parts)
    return isinstance(value, (int, float) if kind is float else kind)


def part_of(kind: type[Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Those of `settings` that the dataclass `kind` has fields for."""
    return {field.name: settings[field.name] for field in fields(kind)}
