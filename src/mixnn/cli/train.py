"""`mixnn train`: the main job."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from mixnn.cli.parsing import (
    DATA,
    HELP,
    Parser,
    config_words,
    underscored,
    value_of,
    values_of,
    wants_all,
    without_files,
)
from mixnn.cli.summaries import label_lines
from mixnn.config import RunConfig, TrainOptions, option_section
from mixnn.errors import InputError
from mixnn.presets import read_preset
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import list_file
from mixnn.utils.console import say_loading, show
from mixnn.utils.files import read_yaml
from mixnn.utils.processes import first_process
from mixnn.utils.registry import refuse_code

FIRST = {
    "DATA": DATA,
    "--out RUN": "folder to write the model, the list of wrong labels and the report to",
    "--epochs N": "how often to go through all images; more are slower, and most often better",
    "--method NAME": "how wrong labels are dealt with; `mixnn methods` lists them",
    "--network NAME": "auto takes a pretrained one for photos, where there is one; or cnn, resnet18, timm:NAME …",
    "--weights FILE": "start from a pretrained network: a file, or hub for those of timm",
    "--freeze true|false": "train a head on the features of the pretrained network, or all of it; auto freezes",
    "--batch-size N": "images a step; fewer need less memory",
    "--lr X": "learning rate; lower it where the loss does not fall",
    "--augment KIND": "how images are varied: crop-flip, resized-crop, color, strong or none",
    "--data.image-size N": "pixels that photos are scaled to; what the network takes where not given",
    "--data.holdout X": "share of the images kept apart to measure accuracy",
    "--data.corrections FILE": "labels that you have reviewed: corrections.csv of the report",
    "--preset NAME": "a published recipe; `mixnn methods` lists them",
    "--device NAME": "cpu, cuda, cuda:1 …; auto takes a GPU where there is one",
    "--seed N": "another number gives another run; the same one, the same run",
    "--resume": "go on where --out stopped",
}
RESERVED = {"source", "out", "resume", "preset", "config", *(field.name for field in fields(TrainOptions))}


def run(words: Sequence[str]) -> int:
    if not set(words).isdisjoint(HELP) and not wants_all(words):
        build_parser(None).parse_words(words)  # prints, and ends; the options of methods need torch
    if set(words).isdisjoint(HELP):
        say_loading()
    config, out, resume = parse(words)

    from mixnn.training.run import train

    directory = train(config, out, resume=resume)
    if first_process():  # the processes of this launch have parted by now
        show(*summary(directory))
    return 0


def parse(words: Sequence[str]) -> tuple[RunConfig, str, bool]:
    """The words as a configuration, the run directory, and whether to resume.

    Raises:
        InputError: an option is unknown or of the wrong type, or DATA or --out is missing.
    """
    words = [underscored(word) for word in words]
    settings = read_settings(words)
    named = [value_of(words, "--method"), *(content.get("method") for content in reversed(settings))]
    method = next((str(name) for name in named if name is not None), None)
    if method is None:
        method = method_of_options(words, settings) or TrainOptions.method
        words = [*words, "--method", method]
    given = build_parser(method).parse_words([*as_config_words(settings, method), *without_files(words)])
    if given.out is None:
        raise InputError("--out is missing: say where to write the run, as --out runs/first")
    content = given.as_dict()
    source = content.pop("data_argument", None) or content["source"]
    if source is None:
        nothing = f", and {given.out} holds no run to go on with" if given.resume else ""
        fix = "give an image folder, csv:FILE, cifar10:DIR or demo:; docs/data.md has all"
        raise InputError(f"DATA is missing{nothing}: {fix}")
    return RunConfig.from_dict(content | {"source": source}), given.out, given.resume


def method_of_options(words: Sequence[str], settings: Sequence[dict[str, Any]]) -> str | None:
    """The method that an option such as --mixnn.neighbors, or else a section of a file, belongs to; None: no such."""
    from mixnn.methods import METHODS

    sections = [word[2:].partition(".")[0] for word in words if word.startswith("--") and "." in word]
    sections += [key for content in reversed(settings) for key in content]
    return next((section for section in sections if section in METHODS), None)


def build_parser(method: str | None) -> Parser:
    """The options of `mixnn train`, those of `method` among them; None: without those of a method."""
    parser = Parser(
        prog="mixnn train",
        description="Train a classifier on images with wrong labels, and list the labels that look wrong.",
        example="mixnn train photos/ --out runs/first --epochs 40",
        first=FIRST,
    )
    parser.add_argument("data_argument", nargs="?", metavar="DATA", default=SUPPRESS, help=DATA)
    parser.add_argument("--source", type=str | None, default=None, help="DATA, for files of settings")
    parser.add_argument("--out", type=str | None, default=None, help="directory to write the run to (required)")
    resume = "go on where --out stopped, with its settings; start it if there is nothing yet"
    parser.add_argument("--resume", action="store_true", help=resume)
    preset = "a published recipe, as paper or elr-cifar10; `mixnn methods` lists them"
    parser.add_argument("--preset", type=str | None, default=None, help=preset)
    parser.add_argument("--config", action="config", help="settings as YAML, such as the config.yaml of a run")
    parser.add_class_arguments(TrainOptions, None, skip={"data"})  # as one option it would import what a file names
    parser.add_data_options()
    parser.add_csv_option()
    if method is None:
        return parser
    from mixnn.methods import method_class

    section = option_section(method)
    if section in RESERVED:
        raise InputError(f"method {method!r}: the name {section} is taken by a setting: give the class another name")
    skip = {"network", "networks", "labels", "num_classes"}
    parser.add_class_arguments(method_class(method), section, skip=skip)
    return parser


def read_settings(words: Sequence[str]) -> list[dict[str, Any]]:
    """What the files these words name hold, the weakest first: a preset, the run to resume, --config.

    Raises:
        InputError: no such preset, or a file cannot be read.
    """
    files = values_of(words, "--config")
    if "--resume" in words and (out := value_of(words, "--out")) is not None and RunDirectory(out).config.exists():
        RunDirectory(out).check_trained()
        files.insert(0, str(RunDirectory(out).config))
        RunDirectory(out).read_config()  # whose errors name the file
    settings = [read_yaml(file) for file in files]
    for file, content in zip(files, settings, strict=True):
        refuse_code(content, file, {name: value_of(words, f"--{name}") for name in ("method", "network")})
    presets = [content.pop("preset", None) for content in settings]
    preset = next((name for name in [value_of(words, "--preset"), *reversed(presets)] if name is not None), None)
    if preset is not None:
        settings.insert(0, read_preset(preset))
    return settings


def as_config_words(settings: Sequence[dict[str, Any]], method: str) -> Iterator[str]:
    """The settings for the parser, without the sections of methods other than the one asked for."""
    from mixnn.methods import METHODS

    for content in settings:
        others = {*METHODS, option_section(str(content.get("method", method)))} - {option_section(method)}
        kept = {key: value for key, value in content.items() if key not in others}
        yield from config_words(kept, ("data", option_section(method)))


def kept(words: Sequence[str]) -> str:
    """What the run of these words, which was stopped, goes on from; nothing where they do not say where it is."""
    run = RunDirectory(value_of([underscored(word) for word in words], "--out") or "")
    if not run.checkpoint.exists():
        return ""
    done = len(run.read_table(run.metrics))
    if run.metrics.stat().st_mtime_ns > run.checkpoint.stat().st_mtime_ns:  # a checkpoint comes after its row
        done -= 1
    return f"{done} epoch{'' if done == 1 else 's'} kept in {run.checkpoint}: "


def summary(run: RunDirectory) -> list[str]:
    """What came out, read from the run directory."""
    metrics, evidence = run.read_table(run.metrics), run.read_evidence()
    lines = []
    accuracies = [float(row["accuracy"]) for row in metrics if row.get("accuracy")]
    if accuracies:
        best = max(accuracies)
        lines.append(
            f"accuracy on {metrics[-1]['heldout']}: last epoch {accuracies[-1]:.2%}, "
            f"best epoch {best:.2%} (epoch {accuracies.index(best) + 1})"
        )
    lines += label_lines(run, evidence, stored_label_issues(evidence))
    names = f"report.html, {list_file(run.labels).name}, model.safetensors, metrics.csv"
    lines.append(f"run directory: {run.path}  ({names})")
    return lines
