"""`mixnn train`: the main job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml

from mixnn.commands.parsing import Parser, underscored
from mixnn.config import RunConfig, TrainOptions, option_section
from mixnn.errors import InputError
from mixnn.run import RunDirectory

PRESETS = resources.files("mixnn") / "presets"


def run(words: Sequence[str]) -> int:
    words = with_preset([underscored(word) for word in words])
    parser = build_parser(method_named(words))
    given = parser.parse_words(words)
    if given.out is None:
        raise InputError("--out is missing: say where to write the run, as --out runs/first")
    config = to_config(given)

    from mixnn.training import train

    directory = train(config, given.out, resume=given.resume)
    if os.environ.get("RANK", "0") == "0":  # the processes of this launch have parted by now
        print(summary(directory))
    return 0


def build_parser(method: str) -> Parser:
    """The options of `mixnn train`, those of `method` among them."""
    from mixnn.methods import method_class

    parser = Parser(prog="mixnn train", description="Train on images with wrong labels.")
    parser.add_argument("--config", action="config", help="settings as YAML, such as the config.yaml of a run")
    parser.add_argument("data_argument", nargs="?", metavar="DATA", help="photos/, csv:FILE, cifar10:DIR, cifar100:DIR")
    parser.add_argument("--source", type=str | None, default=None, help="DATA, for configuration files")
    parser.add_argument("--out", type=str | None, default=None, help="directory to write the run to (required)")
    parser.add_argument("--resume", action="store_true", help="go on where --out stopped, or start it")
    parser.add_argument(
        "--preset", type=str | None, default=None, help=f"settings by name: {', '.join(preset_names())}"
    )
    parser.add_class_arguments(TrainOptions, None)
    skip = {"network", "networks", "labels", "num_classes"}
    parser.add_class_arguments(method_class(method), option_section(method), skip=skip)
    return parser


def to_config(given: object) -> RunConfig:
    """The parsed words as a configuration.

    With --resume and without DATA, the run's own configuration is taken.

    Raises:
        InputError: DATA is missing.
    """
    content = given.as_dict()  # type: ignore[attr-defined]  # jsonargparse.Namespace
    source = content.pop("data_argument") or content.pop("source")
    if source is None:
        stored = Path(content["out"]) / "config.yaml"
        if not (content["resume"] and stored.is_file()):
            raise InputError("DATA is missing: give an image folder, csv:FILE, cifar10:DIR, cifar100:DIR or demo:")
        return RunConfig.from_dict(yaml.safe_load(stored.read_text(encoding="utf-8")))
    return RunConfig.from_dict(content | {"source": source})


def method_named(words: Sequence[str]) -> str:
    """The method these words ask for, found before the parser that needs to know it is built."""
    method = TrainOptions.method
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        value = value if equals else "".join(words[place + 1 : place + 2])
        if name == "--config" and Path(value).is_file():
            content = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
            method = content.get("method", method) if isinstance(content, dict) else method
        if name == "--method":
            method = value
    return method


def with_preset(words: list[str]) -> list[str]:
    """`--preset NAME` turned into the configuration file it stands for, before all others.

    Raises:
        InputError: no such preset.
    """
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--preset":
            preset = value if equals else "".join(words[place + 1 : place + 2])
            if preset not in preset_names():
                raise InputError(f"--preset {preset!r} is unknown: use one of {', '.join(preset_names())}")
            return ["--config", str(PRESETS / f"{preset}.yaml"), *words]
    return words


def preset_names() -> list[str]:
    return sorted(Path(entry.name).stem for entry in PRESETS.iterdir() if entry.name.endswith(".yaml"))


def summary(run: RunDirectory) -> str:
    """What came out, read from the run directory."""
    metrics, labels = run.read_table(run.metrics), run.read_table(run.labels)
    issues = sum(row["is_label_issue"] == "True" for row in labels)
    lines = []
    accuracies = [float(row["accuracy"]) for row in metrics if row.get("accuracy")]
    if accuracies:
        best = max(accuracies)
        lines.append(
            f"accuracy on {metrics[-1]['heldout']}: last epoch {accuracies[-1]:.2%}, "
            f"best epoch {best:.2%} (epoch {accuracies.index(best) + 1})"
        )
    lines.append(f"label issues: {issues:,} of {len(labels):,} ({issues / len(labels):.1%})")
    lines.append(f"run directory: {run.path}  (labels.csv, overview.png, model.safetensors, metrics.csv)")
    return "\n".join(lines)
