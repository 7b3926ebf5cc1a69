"""Published recipes, each the settings of a run as YAML."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from mixnn.errors import InputError
from mixnn.utils.files import read_yaml

PRESETS = resources.files("mixnn.presets")


def read_preset(name: str) -> dict[str, Any]:
    """The settings of a preset.

    Raises:
        InputError: no such preset.
    """
    if name not in preset_names():
        raise InputError(f"--preset {name!r} is unknown: use one of {', '.join(preset_names())}")
    return read_yaml(str(PRESETS / f"{name}.yaml"))


def preset_names() -> list[str]:
    return sorted(Path(entry.name).stem for entry in PRESETS.iterdir() if entry.name.endswith(".yaml"))
