"""`mixnn find`: the wrong labels of a data set, without training."""

from __future__ import annotations

import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from dataclasses import fields

from mixnn.cli.parsing import Parser, data_options
from mixnn.cli.summaries import label_lines
from mixnn.config import UNUSED, DataOptions, FindConfig, FindOptions
from mixnn.errors import InputError, printable
from mixnn.results.explanation import explain
from mixnn.results.issues import judge
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import list_file

DATA = {field.name for field in fields(DataOptions)}.difference(UNUSED)


def run(words: Sequence[str]) -> int:
    given = build_parser().parse_words(words)
    if given.out is None:
        raise InputError("--out is missing: say where to write the run, as --out runs/first")
    source = given.data_argument or given.source
    if source is None and given.explain is None:
        raise InputError("DATA is missing: give an image folder, csv:FILE, npz:FILE or demo:; docs/data.md has all")
    if source is None:
        directory = RunDirectory.existing(given.out)
    else:
        names = [field.name for field in fields(FindOptions) if field.name != "data"]
        options = FindOptions(**{name: given[name] for name in names}, data=data_options(given))
        print(f"mixnn: reading {printable(source)} …", file=sys.stderr, flush=True)

        from mixnn.training.find import find

        directory = find(FindConfig(source, options), given.out)
        print(summary(directory))
    if given.explain is not None:
        print("\n".join(explain(directory, given.explain)))
    return 0


def build_parser() -> Parser:
    parser = Parser(prog="mixnn find", description="List the wrong labels of a data set, without training a network.")
    data = "photos/, csv:FILE, npz:FILE, hf:NAME, cifar10:DIR, demo: …, see docs/data.md"
    parser.add_argument("data_argument", nargs="?", metavar="DATA", default=None, help=data)
    parser.add_argument("--source", type=str | None, default=None, help="DATA, for files of settings")
    parser.add_argument("--out", type=str | None, default=None, help="directory to write the run to (required)")
    why = "a file name: why its label is doubted; without DATA from the run at --out"
    parser.add_argument("--explain", type=str | None, default=None, metavar="NAME", help=why)
    parser.add_argument("--command", type=str | None, default=None, help=SUPPRESS)  # stands in config.yaml
    parser.add_argument("--config", action="config", help="settings as YAML, such as the config.yaml of a run")
    parser.add_class_arguments(FindOptions, None, skip={"data"})
    parser.add_data_options(DATA)
    return parser


def summary(run: RunDirectory) -> str:
    """What came out, read from the run directory."""
    evidence = run.read_evidence()
    lines = [f"{len(evidence.given):,} samples, {len(evidence.noise_matrix):,} classes"]
    lines += label_lines(run, evidence, judge(evidence))
    names = f"report.html, {list_file(run.label_issues).name}, {list_file(run.labels).name}, overview.png"
    lines.append(f"run directory: {run.path}  ({names})")
    return "\n".join(lines)
