"""Whether a directory can take a run, or holds the first part of it. Must not know: data sets, how a run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mixnn.config import AUTO, RunConfig, TrainOptions
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.training.build import with_defaults
from mixnn.training.checkpoint import made_with
from mixnn.utils.files import read_yaml

# Settings that may be others when a run goes on. Files may have moved: what they hold is compared by its hash.
MOVED = {"source", "data.root", "data.labels", "data.corrections"}
MACHINE = {"device", "data.store", "data.cache_dir", "data.workers"}


def check_directory(run: RunDirectory, config: RunConfig, resume: bool) -> RunConfig:
    """Whether `run` is a new directory, or the same run's; `config`, with what it leaves open as that run settled it.

    Raises:
        InputError: `out` holds another run, or this one with other settings; all that differ are named.
    """
    if resume:
        run.check_trained()
    if not (resume and run.config.exists()):
        run.check_free()
        return config
    kept = run.checkpoint.exists()
    stored = made_with(run.checkpoint) if kept else read_yaml(run.config)
    config = settled(config, RunConfig.from_dict(stored, run.checkpoint if kept else run.config).options)
    if others := list(differences(stored, config, "the checkpoint" if kept else "the run")):
        raise InputError(f"--resume {run.path}: {'; '.join(others)}: give the same settings, or a new --out")
    return config


def settled(config: RunConfig, stored: TrainOptions) -> RunConfig:
    """`config`, with the settings that it leaves to the data as a run has `stored` them."""
    options = config.options
    if options.network == AUTO:
        data = options.data
        size = stored.data.image_size if data.image_size is None else data.image_size
        data = replace(data, image_size=size)
        options = replace(options, network=stored.network, weights=stored.weights, data=data)
    freeze = stored.freeze if options.freeze is None else options.freeze
    return replace(config, options=replace(options, freeze=freeze, lr=stored.lr if options.lr is None else options.lr))


def differences(stored: Mapping[str, Any], config: RunConfig, what: str) -> Iterator[str]:
    """A few words for each setting that matters and is another one in `stored`; an option without a value is default.

    Args:
        stored: settings as `RunConfig.to_dict` has them, with everything spelled out, of this release or another.
        config: the settings now, likewise.
        what: holds `stored`.
    """
    options = TrainOptions(method=config.options.method, epochs=config.options.epochs)
    default = flat(with_defaults(replace(config, options=options, method_options={})).to_dict())
    before, now = default | flat(stored), flat(config.to_dict())
    same = MOVED | MACHINE
    if all(str(settings["noise"]).startswith("file:") for settings in (before, now)):
        same = same | {"noise"}
    if before["method"] != now["method"]:  # whose own options cannot be the same
        same = same | {key for key in before | now if "." in key and not key.startswith("data.")}
    for key in [*now, *sorted(before.keys() - now.keys())]:
        if key not in same and before.get(key) != now.get(key):
            here, there = (as_typed(settings.get(key)) for settings in (now, before))
            yield f"--{key.replace('_', '-')} is {here} here, {what} was made with {there}"


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sections as dotted names: {"mixnn": {"alpha": 0.9}} as {"mixnn.alpha": 0.9}."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result |= {f"{key}.{name}": x for name, x in value.items()} if isinstance(value, dict) else {key: value}
    return result


def as_typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
