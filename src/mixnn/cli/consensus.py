"""`mixnn consensus`: one label out of those of several annotators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixnn.cli.parsing import Parser, data_options
from mixnn.config import DataOptions
from mixnn.config.find import FindConfig, FindOptions
from mixnn.data.readers import split_source
from mixnn.data.readers.columns import Places
from mixnn.data.readers.table import read_content, read_header
from mixnn.errors import InputError
from mixnn.results.consensus import FILES, consensus_lines, write_consensus
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import note, say, say_loading, show

KINDS = ("csv", "tsv", "jsonl", "parquet")
PROBED = 20  # items that are looked for on the disk
NAMES = {  # of columns, the likeliest first
    "item": ("item", "task", "file_name", "filename", "image", "sample", "item_id", "task_id", "id"),
    "annotator": ("annotator", "worker", "user", "labeler", "rater", "annotator_id", "worker_id", "user_id"),
    "label": ("label", "annotation", "answer", "class", "category", "vote"),
}
FIRST = {
    "VOTES": "a table with a row for each label: .csv, .tsv, .jsonl or .parquet with the columns item,annotator,label",
    "--out RUN": "folder to write the consensus, the annotators and the report to",
    "--features FILE": "embeddings of the items, .npy or .npz: a row an item, in the order in which items come first",
    "--data.root DIR": "folder of the photos, where items are file names; that of the table where not given",
    "--item-column NAME": "where it is not called item, task, file_name …",
    "--annotator-column NAME": "where it is not called annotator, worker, user …",
    "--label-column NAME": "where it is not called label, annotation, class …",
    "--network NAME": "another network to see photos by; EfficientNet-Lite0 where not given",
    "--device NAME": "cpu, cuda, cuda:1 …; auto takes a GPU where there is one",
    "--seed N": "of the draw between labels that are equally likely",
}
DATA = {"root", "image_size", "workers", "store", "cache_dir", "intensity_range", "on_bad_image"}


def run(words: Sequence[str]) -> int:
    given = build_parser().parse_words(words)
    if given.out is None:
        raise InputError("--out is missing: say where to write the consensus, as --out runs/consensus")
    out, data = Path(given.out), data_options(given)
    kind, path = split_source(given.votes)
    if kind not in KINDS:
        raise InputError(f"{given.votes} is no table of labels: give a .csv, .tsv, .jsonl or .parquet file")
    named = {what: given[f"{what}_column"] for what in NAMES}
    places = columns_of(read_header(path, kind), named, path)
    content = read_content(path, kind, lambda header: places)
    directory = RunDirectory(out)
    directory.check_free(resumable=False)
    say_loading()

    from mixnn.evidence.consensus import by_votes, consensus
    from mixnn.evidence.votes import read_votes
    from mixnn.training.consensus import find_by_votes

    if not content.names:
        raise InputError(f"table {path} has no rows: add one for each label")
    table = {"items": text(content.names), "annotators": text(content.splits or [])}
    told = read_votes(text(content.labels), **table)
    order = list(dict.fromkeys(content.names))
    say(f"mixnn: {len(content.names):,} labels of {len(told.items):,} items, annotators: {len(told.annotators):,}")
    root = data.root or (os.path.dirname(path) or ".")
    photos = given.data.root is not None or any(os.path.isfile(os.path.join(root, name)) for name in order[:PROBED])
    if not photos and given.features is None:
        found = consensus(told, seed=given.seed)
        out.mkdir(parents=True, exist_ok=True)
        write_consensus(found, out)
        show(*consensus_lines(found), f"written to {out}: {', '.join(FILES)}")
        return 0
    if given.features is not None:
        note(f"--features {given.features}: the first row is {order[0]!r}, the last {order[-1]!r}")
    votes_alone = [str(told.classes[i]) if i >= 0 else "" for i in by_votes(told.votes, given.seed)[0].tolist()]
    how = DataOptions(**vars(data) | {"image_column": "item", "label_column": "votes_label", "split_column": "none"})
    how.root = root if photos else None
    names = ("features", "network", "weights", "device", "seed")
    options = FindOptions(**{name: given[name] for name in names}, data=how)
    found = find_by_votes(told, votes_alone, FindConfig(f"csv:{out / FILES[0]}", options), out)
    write_consensus(found, out)
    show(*consensus_lines(found), f"run directory: {out}  (report.html, label_issues.csv, {', '.join(FILES)})")
    return 0


def text(words: list[str]) -> NDArray[np.object_]:
    """As an array."""
    found = np.empty(len(words), dtype=object)
    found[:] = words
    return found


def build_parser() -> Parser:
    parser = Parser(
        prog="mixnn consensus",
        description="One label out of those of several annotators, how good each of them is, and what to ask next.",
        example="mixnn consensus votes.csv --out runs/consensus",
        first=FIRST,
    )
    parser.add_argument("votes", metavar="VOTES", help=FIRST["VOTES"])
    parser.add_argument("--out", type=str | None, default=None, help="directory to write to (required)")
    for what in NAMES:
        parser.add_argument(f"--{what}_column", type=str | None, default=None, help=FIRST[f"--{what}-column NAME"])
    parser.add_class_arguments(FindOptions, None, skip={"data", "noise", "limit"})
    parser.add_data_options(DATA)
    parser.add_csv_option()
    return parser


def columns_of(header: Sequence[str], named: dict[str, str | None], path: str) -> Places:
    """Where items, labels and annotators stand; raises InputError where a column is missing."""
    plain = [name.strip().lower() for name in header]
    found = {}
    for what, usual in NAMES.items():
        own = named[what]
        known = list(header) if own is not None else plain
        place = next((known.index(word) for word in ([own] if own is not None else usual) if word in known), None)
        if place is None:
            has = ", ".join(map(repr, header[:20]))
            lacks = f"no column {own!r}" if own is not None else f"no {what} column ({', '.join(usual[:4])}, …)"
            raise InputError(
                f"table {path} has {lacks}, it has {has}: name it with --{what}-column; there is a row for each label"
            )
        found[what] = place
    if len(set(found.values())) < len(found):
        raise InputError(f"table {path}: items, annotators and labels are three columns: name them")
    return Places(found["item"], found["label"], found["annotator"])
