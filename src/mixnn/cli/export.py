"""`mixnn export`: what a run found out, for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixnn.cli.parsing import Parser
from mixnn.results.export import TOOLS, export
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import show


def run(words: Sequence[str]) -> int:
    about = "Write what a run found out as files that another tool reads; docs/export.md says how to load them."
    parser = Parser(prog="mixnn export", description=about)
    parser.add_argument("run", metavar="RUN", help="the --out of a `mixnn find` or `mixnn train`")
    parser.add_argument("--to", required=True, choices=list(TOOLS), help="the tool")
    parser.add_argument("--out", required=True, help="new folder to write to")
    prefix = "before the file names: the address of the images for Label Studio, their folder for FiftyOne"
    parser.add_argument("--prefix", type=str | None, default=None, help=prefix)
    parser.add_argument("--source", type=str | None, default=None, help="where the data is now, if it was moved")
    given = parser.parse_words(words)
    names = export(RunDirectory.existing(given.run), given.to, Path(given.out), given.prefix, given.source)
    show(f"{given.out}: {', '.join(names)}")
    return 0
