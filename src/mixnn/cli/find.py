"""`mixnn find`: the wrong labels of a data set, without training."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Sequence
from dataclasses import fields

from mixnn.cli.parsing import DATA, Parser, data_options, with_settings
from mixnn.cli.summaries import label_lines
from mixnn.config import DataOptions
from mixnn.config.find import UNUSED, FindConfig, FindOptions
from mixnn.errors import InputError
from mixnn.results.explanation import explain
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import list_file
from mixnn.utils.console import say, show

READING = {field.name for field in fields(DataOptions)}.difference(UNUSED)
FIRST = {
    "DATA": DATA,
    "--out RUN": "folder to write the list of wrong labels and the report to",
    "--features FILE": "of `mixnn embed`; or embeddings of your own, .npy or .npz, a row for each sample of DATA",
    "--network NAME": "network to see photos by, such as timm:NAME; auto takes the best pretrained one there is",
    "--weights FILE": "of that network: a file, or hub for those of timm",
    "--encoder FILE": "a network of your own to see photos by, .onnx, or .pt2 of torch.export",
    "--data.image-size N": "pixels that photos are scaled to; what the network takes where not given",
    "--data.text-column NAME": "of a table: texts in place of images; text where not given",
    "--data.columns NAMES": "of a table: values in place of images, as age,city; or all",
    "--data.labels FILE": "other labels than the data has",
    "--data.corrections FILE": "labels that you have reviewed: corrections.csv of the report",
    "--data.unlabeled WORDS": 'labels that mean "don\'t know", with commas between; each gets a suggestion',
    "--noise KIND:RATE": "redraw some labels, for a try, such as symmetric:0.2",
    "--limit N": "take so many samples, for a try",
    "--device NAME": "cpu, cuda, cuda:1 …; auto takes a GPU where there is one",
    "--explain NAME": "a file name: why its label is doubted; without DATA from the run at --out",
}


def run(words: Sequence[str]) -> int:
    config, out, explained = parse(words)
    if config is None:
        directory = RunDirectory.existing(out)
    else:
        say(f"mixnn: reading {config.source} …")

        from mixnn.training.find import find

        directory = find(config, out)
        show(*summary(directory))
    if explained is not None:
        show(*explain(directory, explained))
    return 0


def parse(words: Sequence[str]) -> tuple[FindConfig | None, str, str | None]:
    """The words as a configuration, None where a run is explained, the run directory, and the name to explain.

    Raises:
        InputError: an option is unknown or of the wrong type, or DATA or --out is missing.
    """
    given = build_parser().parse_words(with_settings(words))
    if given.out is None:
        raise InputError("--out is missing: say where to write the run, as --out runs/first")
    source = given.data_argument or given.source
    if source is None and given.explain is None:
        raise InputError("DATA is missing: give an image folder, csv:FILE, npz:FILE or demo:; docs/data.md has all")
    if source is None:
        return None, given.out, given.explain
    names = [field.name for field in fields(FindOptions) if field.name != "data"]
    options = FindOptions(**{name: given[name] for name in names}, data=data_options(given))
    return FindConfig(source, options), given.out, given.explain


def build_parser() -> Parser:
    parser = Parser(
        prog="mixnn find",
        description="List the wrong labels of a data set, without training a network.",
        example="mixnn find photos/ --out runs/first",
        first=FIRST,
    )
    parser.add_argument("data_argument", nargs="?", metavar="DATA", default=None, help=DATA)
    parser.add_argument("--source", type=str | None, default=None, help="DATA, for files of settings")
    parser.add_argument("--out", type=str | None, default=None, help="directory to write the run to (required)")
    why = "a file name: why its label is doubted; without DATA from the run at --out"
    parser.add_argument("--explain", type=str | None, default=None, metavar="NAME", help=why)
    parser.add_argument("--command", type=str | None, default=None, help=SUPPRESS)  # stands in config.yaml
    parser.add_argument("--config", action="config", help="settings as YAML, such as the config.yaml of a run")
    parser.add_class_arguments(FindOptions, None, skip={"data"})
    parser.add_data_options(READING)
    parser.add_csv_option()
    return parser


def summary(run: RunDirectory) -> list[str]:
    """What came out, read from the run directory."""
    evidence = run.read_evidence()
    lines = [f"{len(evidence.given):,} samples, {len(evidence.noise_matrix):,} classes"]
    lines += label_lines(run, evidence, stored_label_issues(evidence))
    names = f"report.html, {list_file(run.label_issues).name}, {list_file(run.labels).name}, overview.png"
    lines.append(f"run directory: {run.path}  ({names})")
    return lines
