"""Tables of images with their labels: CSV, TSV, lines of JSON, Parquet. Must not know: which columns count, torch."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from mixnn.data.dataset import Source
from mixnn.data.readers import Columns, parquet
from mixnn.data.readers.columns import (
    Choose,
    Content,
    Places,
    choose,
    content_of,
    is_utf8,
    needed,
    to_source,
)
from mixnn.data.readers.parquet import word
from mixnn.data.readers.record_columns import row_names
from mixnn.data.readers.splits import split_of
from mixnn.errors import InputError
from mixnn.utils.csv_files import csv_rows


def read_table(path: str, columns: Columns, *, kind: str) -> Source:
    """A table of this kind, whatever its ending. Images are not opened.

    Args:
        kind: csv, tsv, jsonl or parquet.

    Raises:
        InputError: the table is missing or damaged, lacks a column, or a row has what cannot be used.
    """
    if columns.root is not None and not os.path.isdir(columns.root):
        raise InputError(f"--data.root {columns.root} is no folder: give the one that file names are relative to")
    content = read_content(path, kind, lambda header: choose(header, columns, path))
    source = to_source(content, path, columns.root or os.path.dirname(path) or ".", columns)
    return source if content.splits is not None else source._replace(notes=[*source.notes, *_other_parts(path)])


read_csv, read_tsv, read_jsonl, read_parquet = (
    partial(read_table, kind=kind) for kind in ("csv", "tsv", "jsonl", "parquet")
)


def read_content(path: str, kind: str, choose: Choose) -> Content:
    """What stands in the columns that `choose` finds in the header.

    Raises:
        InputError: the table is missing or damaged, or `choose` raises it.
    """
    found: list[tuple[list[str], Places]] = []

    def noted(header: Sequence[str]) -> Places:
        found.append((list(header), choose(header)))
        return found[0][1]

    try:
        if kind in ("csv", "tsv"):
            content = _read_csv(path, "," if kind == "csv" else "\t", noted)
        else:
            content = (parquet.read_parquet if kind == "parquet" else _read_jsonl)(path, noted)
        return content._replace(header=found[0][0], places=found[0][1]) if found else content
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise InputError(f"table {path} cannot be read ({why}): give an existing, whole file") from error


def _other_parts(path: str) -> list[str]:
    """What to say of tables beside this one that are called like other parts: `test.csv` beside `train.csv`."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    if split_of(stem) is None:
        return []
    files = sorted(file for file in os.listdir(folder or ".") if file.lower().endswith(ending.lower()))
    others = [file for file in files if split_of(file.removesuffix(ending)) not in (None, split_of(stem))]
    fix = "to measure on one, put both into one table with a column split"
    return [f"not read: {', '.join(others)} beside {path}; {fix}"] if others else []


class _Header(Exception):
    """What was asked for is known; the rest need not be read."""


def read_header(path: str, kind: str) -> list[str]:
    """Names of the columns; none of an empty table.

    Raises:
        InputError: as `read_content`.
    """
    header: list[str] = []

    def stop(found: Sequence[str]) -> Places:
        header.extend(found)
        raise _Header

    with suppress(_Header):
        read_content(path, kind, stop)
    return header


def _read_csv(path: str, delimiter: str, choose: Choose) -> Content:
    """Bytes that are no UTF-8 are refused in the header, and wherever they are no file name."""
    rows = csv_rows(path, delimiter)
    _, header = next(rows, (0, []))
    if "\0" in "".join(header) or not is_utf8("".join(header)):
        raise InputError(f"table {path} is not text in UTF-8: save it as CSV in UTF-8")
    if len(header) < 2:
        raise _one_column(header, path, delimiter)
    image, label, split, fields, own = choose(header)
    names: list[str] = []
    labels: list[str] = []
    splits: list[str] | None = None if split is None else []
    records: list[tuple[str, ...]] | None = [] if fields else None
    lines = array("Q")
    for line, row in rows:
        names.append(row[image] if records is None else "" if own is None else row[own])
        labels.append(row[label])
        if splits is not None and split is not None:
            splits.append(row[split])
        if records is not None:
            records.append(tuple(row[field] for field in fields))
        lines.append(line)
    if records is not None:
        names = row_names(names, len(names))
    return Content(names, labels, splits, lines, records=records)


def _one_column(header: list[str], path: str, delimiter: str) -> InputError:
    if not header:
        return InputError(f"table {path} is empty: write the columns file_name,label into its first line")
    sign, kind = ("commas", "tsv") if delimiter == "," else ("tabs", "csv")
    fix = f"separate columns with {sign}, or name it {kind}:{path}"
    return InputError(f"table {path} has one column only, {header[0]!r}: {fix}")


def _read_jsonl(path: str, choose: Choose) -> Content:
    """One object a line; the first has all the columns."""
    keys: list[str] = []
    columns: list[list[str]] = []
    places: Places | None = None
    lines = array("Q")
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _object(line, f"table {path}, line {number}")
            if not keys:
                header = list(row)
                places = choose(header)
                keys = [header[place] for place in needed(places)]
                columns = [[] for _ in keys]
            for column, key in zip(columns, keys, strict=False):
                try:
                    column.append(word(row.get(key)))
                except TypeError as error:
                    raise InputError(f"table {path}, line {number}: {key!r} is {error}: correct it") from None
            lines.append(number)
    return Content([], [], lines=lines) if places is None else content_of(places, columns)._replace(lines=lines)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")  # no halves of a character
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON ({error}): correct it") from error
    if not isinstance(row, dict):
        raise InputError(f'{where}: a {type(row).__name__}, not an object: write {{"file_name": …, "label": …}}')
    return row
