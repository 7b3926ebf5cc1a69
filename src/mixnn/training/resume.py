"""Whether a directory can take a run, or holds the first part of it. Must not know: data sets, how a run goes on."""

from __future__ import annotations

from typing import Any

from mixnn.config import RunConfig
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.training.build import with_defaults
from mixnn.utils.files import read_yaml

ANYWHERE = {"data.store", "data.cache_dir", "data.workers"}  # settings that change no result


def check_directory(run: RunDirectory, config: RunConfig, resume: bool) -> None:
    """Whether `run` is a new directory, or the same run's.

    Raises:
        InputError: `out` holds another run, or this one with other settings.
    """
    if resume:
        run.check_trained()
    if not (resume and run.config.exists()):
        run.check_free()
        return
    stored, now = read_yaml(run.config), flat(config.to_dict())
    if "method" in stored and "source" in stored:
        stored = with_defaults(RunConfig.from_dict(stored)).to_dict()  # options that came in since have their defaults
    # However it is written, and wherever files and decoded images stay: the data is compared by its hash.
    same = {"source": config.source} | {key: value for key, value in now.items() if key in ANYWHERE}
    if all(str(settings.get("noise")).startswith("file:") for settings in (stored, now)):
        same["noise"] = now["noise"]
    stored = flat(stored) | same
    for key in sorted(stored.keys() | now.keys()):
        if stored.get(key) != now.get(key):
            raise InputError(
                f"--resume: {run.path} was trained with {key} {stored.get(key)!r}, now it is {now.get(key)!r}: "
                "give the same settings, or a new --out"
            )


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Sections as dotted names: {"mixnn": {"alpha": 0.9}} as {"mixnn.alpha": 0.9}."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result |= {f"{key}.{name}": x for name, x in value.items()} if isinstance(value, dict) else {key: value}
    return result
