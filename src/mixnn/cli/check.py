"""`mixnn check`: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mixnn.cli.parsing import Parser, data_options, readable_output
from mixnn.config import LAYOUT
from mixnn.data.read import read
from mixnn.errors import require_between
from mixnn.utils.console import counter, say, show
from mixnn.utils.option_values import MAX_WORKERS

OPTIONS = {*LAYOUT, "unlabeled", "missing_labels", "heldout", "class_order", "merge_similar_labels"}  # of DataOptions


def run(words: Sequence[str]) -> int:
    about = "Say what is wrong with a data set; exit code 1 where something is."
    parser = Parser(prog="mixnn check", description=about, example="mixnn check photos/")
    parser.add_argument("source", metavar="DATA", help="as for train; all of its parts are looked at")
    parser.add_argument("--out", type=str | None, default=None, help="findings as FILE.csv, with FILE.png beside it")
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, MAX_WORKERS), help="processes that read images"
    )
    how = "near duplicates by pixels, or by network (EfficientNet-Lite0, which tells outliers too), or none"
    parser.add_argument("--near_duplicates", type=Literal["pixels", "network", "none"], default="pixels", help=how)
    parser.add_data_options(OPTIONS)
    parser.add_csv_option()
    given = parser.parse_words(words)
    require_between("--workers", given.workers, 0, MAX_WORKERS)

    from mixnn.data.check import check
    from mixnn.data.check.picture import draw_findings
    from mixnn.data.check.table import check_free, report_lines, write_findings
    from mixnn.data.images.intensity import union

    out = None if given.out is None else Path(given.out)
    if out is not None:
        check_free(out)
    dataset = read(given.source, data_options(given))
    contents, findings = check(dataset, workers=given.workers, progress=counter(f"checking {dataset.train.noun}s"))
    if given.near_duplicates != "none" and dataset.train.records is None:
        from mixnn.training.compare_parts import compare_parts  # imports torch

        findings += compare_parts(dataset, contents, given.near_duplicates)
    with readable_output():
        show(*report_lines(dataset, contents, findings))
    if out is not None:
        write_findings(findings, out)
        spans = contents.spans
        draw_findings(dataset, findings, out.with_suffix(".png"), union(spans).range if spans else None)
        say(f"all findings: {out}, picture: {out.with_suffix('.png')}")
    return int(any(finding.severity == "wrong" for finding in findings))
