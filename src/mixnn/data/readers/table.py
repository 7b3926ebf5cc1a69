"""Tables of images with their labels: CSV, TSV, lines of JSON, Parquet. Must not know: which columns count, torch."""

from __future__ import annotations

import csv
import json
import os
from array import array
from typing import Any

from mixnn.data.dataset import Source
from mixnn.data.readers import Columns
from mixnn.data.readers.columns import Choose, Content, choose, is_utf8, to_source
from mixnn.data.readers.parquet import read_parquet, word
from mixnn.errors import InputError


def read_table(path: str, columns: Columns) -> Source:
    """A table, by its ending .tsv, .parquet, .jsonl; any other is CSV. Images are not opened.

    Raises:
        InputError: the table is missing or damaged, lacks a column, or a row has what cannot be used.
    """
    if columns.root is not None and not os.path.isdir(columns.root):
        raise InputError(f"--data.root {columns.root} is no folder: give the one that file names are relative to")
    content = read_content(path, lambda header: choose(header, columns, path))
    return to_source(content, path, columns.root or os.path.dirname(path) or ".")


def read_content(path: str, choose: Choose) -> Content:
    """What stands in the columns that `choose` finds in the header.

    Raises:
        InputError: the table is missing or damaged, or `choose` raises it.
    """
    read = {".parquet": read_parquet, ".jsonl": _read_jsonl}.get(os.path.splitext(path)[1].lower(), _read_csv)
    try:
        return read(path, choose)
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise InputError(f"table {path} cannot be read ({why}): give an existing, whole file") from error


def _read_csv(path: str, choose: Choose) -> Content:
    """Bytes that are no UTF-8 stay in file names as the file system has them, and are refused elsewhere."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.reader(file, delimiter="\t" if path.lower().endswith(".tsv") else ",", strict=True)
        try:
            header = next(rows, [])
            if "\0" in "".join(header) or not is_utf8("".join(header)):
                raise InputError(f"table {path} is not text in UTF-8: save it as CSV in UTF-8")
            image, label, split = choose(header)
            names: list[str] = []
            labels: list[str] = []
            splits: list[str] = []
            lines = array("Q")
            for row in rows:
                if len(row) != len(header):
                    if not row:
                        continue  # a blank line
                    fix = 'put quotes around values with a comma (""), or complete the row'
                    raise InputError(
                        f"table {path}, line {rows.line_num}: {len(row)} values for {len(header)} columns: {fix}"
                    )
                names.append(row[image])
                labels.append(row[label])
                if split is not None:
                    splits.append(row[split])
                lines.append(rows.line_num)
        except csv.Error as error:
            fix = "correct the quotes there"
            raise InputError(f"table {path}, line {rows.line_num}: no CSV ({error}): {fix}") from error
    return Content(names, labels, None if split is None else splits, lines)


def _read_jsonl(path: str, choose: Choose) -> Content:
    """One object a line; the first has all the columns."""
    keys: list[str] = []
    columns: list[list[str]] = [[], [], []]
    lines = array("Q")
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _object(line, f"table {path}, line {number}")
            if not keys:
                header = list(row)
                keys = [header[place] for place in choose(header) if place is not None]
            for column, key in zip(columns, keys, strict=False):
                try:
                    column.append(word(row.get(key)))
                except TypeError as error:
                    raise InputError(f"table {path}, line {number}: {key!r} is {error}: correct it") from None
            lines.append(number)
    names, labels, splits = columns
    return Content(names, labels, splits if len(keys) == 3 else None, lines)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")  # no halves of a character
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON ({error}): correct it") from error
    if not isinstance(row, dict):
        raise InputError(f'{where}: a {type(row).__name__}, not an object: write {{"file_name": …, "label": …}}')
    return row
