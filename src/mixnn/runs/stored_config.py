"""The settings of a run as its `config.yaml` has them, checked. Must not know: what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mixnn.config import DataOptions, FindOptions, RunConfig, TrainOptions, option_section
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.utils.files import read_yaml


def stored_config(run: RunDirectory) -> RunConfig:
    """Raises InputError where the file is damaged, or a setting is of another type than its option."""
    content = read_yaml(run.config)
    data, options = content.get("data", {}), content.keys() & {field.name for field in fields(TrainOptions)} - {"data"}
    types = get_type_hints(RunConfig) | get_type_hints(TrainOptions)
    if content.get("command") == "find":
        types |= get_type_hints(FindOptions)
    check_types(types, {"source": content.get("source")} | {name: content[name] for name in options}, run)
    section = option_section(content.get("method", TrainOptions.method))
    for name, part in {"data": data, section: content.get(section) or {}}.items():
        if not isinstance(part, Mapping):
            raise InputError(f"{run.config}: {name} is {part!r}: correct the file")
    check_types(get_type_hints(DataOptions), data, run)
    return RunConfig.from_dict(content)


def check_types(types: Mapping[str, Any], settings: Mapping[str, Any], run: RunDirectory) -> None:
    """Raise InputError for a setting without a type, or of another one."""
    for name, value in settings.items():
        if name not in types or not is_of(value, types[name]):
            raise InputError(f"{run.config}: {name} is {value!r}: correct the file")


def is_of(value: object, kind: Any) -> bool:
    """Whether `value` is what the annotation of an option says."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return value in parts
    if get_origin(kind) is list:
        return isinstance(value, list) and all(is_of(part, parts[0]) for part in value)
    if parts:  # a union
        return any(is_of(value, part) for part in parts)
    return isinstance(value, (int, float) if kind is float else kind)
