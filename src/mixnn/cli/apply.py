"""`mixnn apply`: reviewed labels back into the data, beside it or in place."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixnn.cli.parsing import Parser
from mixnn.config import DataOptions, RunConfig
from mixnn.data.dataset import Dataset
from mixnn.data.labels.corrections import Corrections, read_corrections
from mixnn.data.read import columns_of, read
from mixnn.data.readers import READERS, split_source
from mixnn.data.readers.archives import is_archive, unpacked
from mixnn.errors import InputError
from mixnn.results.apply.arrays import clean_arrays
from mixnn.results.apply.changes import Changes, check_reviewed, find_changes
from mixnn.results.apply.folder import Mode, clean_folder, clean_folder_in_place
from mixnn.results.apply.label_list import clean_label_list
from mixnn.results.apply.table import clean_in_place, clean_table
from mixnn.results.issues import given_words
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.utils.console import show
from mixnn.utils.files import read_yaml
from mixnn.utils.output_paths import check_place, file_in
from mixnn.utils.registry import is_code

MODES: tuple[Mode, ...] = ("copy", "hardlink", "symlink")


def run(words: Sequence[str]) -> int:
    about = "Write the data of a run with the labels that a person has reviewed; the labels of before are kept beside."
    parser = Parser(prog="mixnn apply", description=about)
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn find` or `mixnn train`")
    parser.add_argument("corrections", metavar="CORRECTIONS", help="corrections.csv, from the page of `mixnn report`")
    out = "what to write: a table, an .npz or a folder, as the data is; else a .csv for --data.labels"
    parser.add_argument("--out", type=str | None, default=None, help=out)
    parser.add_argument("--mode", choices=MODES, default="copy", help="images of a folder: copies, or links to them")
    place = "change the data itself: a table (kept as .bak), or a folder, whose images are moved"
    parser.add_argument("--in_place", action="store_true", help=place)
    new = "take labels that no sample has yet"
    parser.add_argument("--new_classes", action="store_true", help=new)
    parser.add_argument("--source", type=str | None, default=None, help="where the data is now, if it was moved")
    parser.add_csv_option()
    given = parser.parse_words(words)
    if given.in_place == (given.out is not None):
        raise InputError("give --out for a place to write to, or --in-place, and not both")
    directory = RunDirectory.existing(given.run)
    settings = read_yaml(directory.config)
    config = directory.read_config()
    source = config.source if given.source is None else given.source
    evidence, classes = directory.read_evidence(), directory.read_classes()
    corrections = read_corrections(given.corrections, given_words(evidence, classes))
    check_reviewed(corrections, given.corrections, evidence, classes, new_classes=given.new_classes)
    data, noise = config.options.data, config.options.noise is not None
    if given.in_place:
        check_in_place(config, source)
    else:
        check_place(Path(given.out), split_source(source)[1])
    kind, path = split_source(source)
    if kind == "folder" and is_archive(path):
        if given.mode != "copy":
            raise InputError(f"--mode {given.mode}: {path} is an archive, so that links would lead nowhere: use copy")
        source = unpacked(path, data.cache_dir)
    dataset = read(source, replace(data, corrections=None))
    earlier = {} if data.corrections is None else read_corrections(data.corrections, given_words(evidence, classes))
    changes = find_changes(evidence, classes, dataset, earlier, corrections, in_data=data.labels is None, noise=noise)
    job = Job(source, data, dataset, changes, earlier | corrections)
    line = summary(corrections, evidence, classes)
    if given.in_place:
        clean_here(job)
        show(f"{line}; changed in place: {source}")
    else:
        words = to_go_on(directory, settings, *write(job, Path(given.out), given.mode))
        show(f"{line}; to go on: {shlex.join(words)}")
    return 0


def to_go_on(
    run: RunDirectory, settings: Mapping[str, Any], source: str, changed: Mapping[str, str | None]
) -> list[str]:
    """The words that train, or find, on the cleaned data with the settings of `run`, but for those that are changed.

    Args:
        changed: options of reading data that are others from now on.
    """
    before, words = settings.get("data") or {}, ["mixnn", "train" if run.trained else "find", source]
    options = {f"data.{name}": value for name, value in changed.items() if before.get(name) != value}
    for name in ("noise", "features"):  # made for the data before, as its corrections were
        if settings.get(name) is not None:
            options[name] = None
    options |= {name: settings[name] for name in ("method", "network", "encoder") if is_code(str(settings.get(name)))}
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", "null" if value is None else value]
    return [*words, "--config", str(run.config), "--out", "runs/cleaned"]


@dataclass(frozen=True)
class Job:
    """What is to be cleaned.

    Attributes:
        source: DATA.
        options: how it is read.
        dataset: what it holds.
        changes: of its labels.
        decisions: all of them.
    """

    source: str
    options: DataOptions
    dataset: Dataset
    changes: Changes
    decisions: Corrections


def check_in_place(config: RunConfig, source: str) -> None:
    """Raise InputError where the data cannot be changed itself, or its own labels are not those that were reviewed."""
    kind, path = split_source(source)
    if READERS[kind].corrected not in ("table", "folder"):
        raise InputError(f"--in-place changes tables and folders, not {kind}: give --out")
    if kind == "folder" and is_archive(path):
        raise InputError(f"--in-place changes tables and folders, and {path} is an archive: give --out")
    other = {"--noise": config.options.noise, "--data.labels": config.options.data.labels}
    for option, value in other.items():
        if value is not None:
            raise InputError(f"--in-place: the run had other labels than {path} ({option} {value}): give --out")


def write(job: Job, out: Path, mode: Mode) -> tuple[str, dict[str, str | None]]:
    """Write the cleaned data; the DATA from now on, and options of reading it that are others."""
    kind, path = split_source(job.source)
    corrected, columns = READERS[kind].corrected, columns_of(job.options)
    changed: dict[str, str | None] = {"labels": None, "corrections": None}
    if corrected == "table":
        target = file_in(out, path)
        clean_table(path, kind, columns, job.changes, target)
        root = job.options.root or os.path.dirname(path) or "."
        stays = job.dataset.train.noun != "image" or target.parent.resolve() == Path(root).resolve()
        changed["root"] = None if stays else root
        return str(target) if target.suffix.lower() == f".{kind}" else f"{kind}:{target}", changed
    if corrected == "folder":
        clean_folder(path, columns, job.changes, job.decisions, out, mode)
        return str(out), changed
    if corrected == "arrays":
        target = out if Path(path).is_dir() else file_in(out, path)
        clean_arrays(path, columns, job.changes, target)
        return f"npz:{target}" if Path(path).is_dir() else str(target), changed
    target = file_in(out, "labels.csv")
    clean_label_list(job.dataset, job.changes, target)
    return job.source, changed | {"labels": str(target)}


def clean_here(job: Job) -> None:
    """Change the data itself."""
    kind, path = split_source(job.source)
    if READERS[kind].corrected == "folder":
        clean_folder_in_place(path, columns_of(job.options), job.changes, job.decisions)
    else:
        clean_in_place(path, kind, columns_of(job.options), job.changes)


def summary(corrections: Corrections, evidence: Evidence, classes: list[str]) -> str:
    """How many decisions there are of each kind, and how many of them change a label."""
    words = given_words(evidence, classes)
    given = {name: words[label] for name, label in zip(evidence.names.tolist(), evidence.given.tolist(), strict=True)}
    kinds = Counter(correction.decision for correction in corrections.values())
    changed = sum(label is not None and label != given[name] for name, (_, label) in corrections.items())
    counts = ", ".join(f"{kind} {kinds[kind]:,}" for kind in ("accept", "other", "keep", "drop"))
    labels = "label" if changed == 1 else "labels"
    return f"{len(corrections):,} of {len(given):,} samples reviewed ({counts}): {changed:,} {labels} changed"
