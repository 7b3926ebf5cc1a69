"""`mixnn report`: one HTML file that shows a run, and takes decisions on its label issues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mixnn.cli.parsing import Parser
from mixnn.errors import InputError
from mixnn.results.report.page import write_report
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import show


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn report", description="Write one HTML file to look through a run and its label issues.")
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn find` or `mixnn train`")
    parser.add_argument("--out", type=str | None, default=None, help="the file; RUN/report.html where not given")
    parser.add_argument("--map", type=Literal["pca", "umap"], default="pca", help="umap shows groups, and takes longer")
    given = parser.parse_words(words)
    directory = RunDirectory.existing(given.run)
    path = directory.report if given.out is None else Path(given.out)
    if path.is_dir():
        raise InputError(f"--out {path} is a folder: name a file, as {path / 'report.html'}")
    write_report(directory, path, given.map)
    show(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB; open it in a browser)")
    return 0
