"""A table again, with reviewed labels: everything else as it was. Must not know: runs, decisions, torch."""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mixnn.data.readers import Columns
from mixnn.data.readers.columns import Places, choose, whole_numbers
from mixnn.data.readers.parquet import import_arrow
from mixnn.data.readers.table import read_content
from mixnn.errors import InputError
from mixnn.results.apply.changes import ORIGINAL, Changes
from mixnn.utils.csv_files import CsvWriter, csv_rows
from mixnn.utils.files import TEXT, atomic_write

BATCH = 1024  # rows of Parquet at a time


class Rows(NamedTuple):
    """What becomes of the N rows of a table.

    Attributes:
        label: name of the column with the labels.
        current: labels as the table has them.
        now: labels from now on; None for rows that go.
        original: labels of before.
        classes: names that numbers in the column stand for; None where they stand for themselves.
    """

    label: str
    current: list[str]
    now: list[str | None]
    original: list[str]
    classes: list[str] | None


def clean_table(
    path: str, kind: str, columns: Columns, changes: Changes, out: Path, *, inside: str = "", guess: bool = False
) -> None:
    """Write the table `path` to `out`: other labels, without the rows that go, and a column of original labels.

    That column stays what it is where there is one already: what was said first is the original.

    Args:
        kind: csv, tsv, jsonl or parquet.
        inside: what stands before the table's file names in those of `changes`, as `train/`.
        guess: see `mixnn.data.readers.columns.choose`.

    Raises:
        InputError: the table cannot be read, its column cannot hold a label, or `out` cannot be written.
    """
    found: list[str] = []

    def places(header: Sequence[str]) -> Places:
        chosen = choose(header, columns, path, guess=guess)
        found.append(header[chosen.label])
        return chosen

    content = read_content(path, kind, places)
    original, now = changes.of([inside + name for name in content.names], whole_numbers(content.labels))
    rows = Rows(found[0], content.labels, now, original, content.classes)
    with atomic_write(out) as temporary:
        if kind in ("csv", "tsv"):
            _write_csv(path, "," if kind == "csv" else "\t", rows, temporary)
        else:
            (_write_parquet if kind == "parquet" else _write_jsonl)(path, rows, temporary)


def clean_in_place(path: str, kind: str, columns: Columns, changes: Changes, **more: Any) -> None:
    """`clean_table` that takes the table's place; what it was is kept as `path`.bak.

    Raises:
        InputError: there is such a file already, or as for `clean_table`.
    """
    backup = Path(f"{path}.bak")
    check_replaceable(path)
    with atomic_write(backup) as temporary:
        temporary.write_bytes(Path(path).read_bytes())
    clean_table(path, kind, columns, changes, Path(path), **more)


def check_replaceable(path: str) -> None:
    """Raise InputError where a backup of `path` would replace a file, or `path` is a link to another place."""
    if os.path.islink(path):
        raise InputError(f"--in-place: {path} is a link to {os.path.realpath(path)}, which stays as it is: give --out")
    if os.path.lexists(f"{path}.bak"):
        raise InputError(f"--in-place keeps the table of before as {path}.bak, which exists: move it away")


def _write_csv(path: str, delimiter: str, rows: Rows, out: Path) -> None:
    with open(path, "rb") as stream:
        first = stream.readline()
    text = TEXT | ({"encoding": "utf-8-sig"} if first.startswith(BOM_UTF8) else {})
    reader = (row for _, row in csv_rows(path, delimiter))
    with open(out, "w", newline="", **text) as target:
        writer = CsvWriter(target, delimiter, "\r\n" if first.endswith(b"\r\n") else "\n")
        header = next(reader)
        at, more = header.index(rows.label), ORIGINAL not in header
        writer.writerow([*header, ORIGINAL] if more else header)
        for row, now, original in zip(reader, rows.now, rows.original, strict=True):
            if now is not None:
                row[at] = now
                writer.writerow([*row, original] if more else row)


def _write_jsonl(path: str, rows: Rows, out: Path) -> None:
    with open(path, **(TEXT | {"encoding": "utf-8-sig"})) as source, open(out, "w", **TEXT) as target:
        whole = (json.loads(line) for line in source if line.strip())
        for row, current, now, original in zip(whole, rows.current, rows.now, rows.original, strict=True):
            if now is None:
                continue
            if now != current:
                number = isinstance(row.get(rows.label), int) and now.isascii() and now.isdigit()
                row[rows.label] = int(now) if number else now
            row.setdefault(ORIGINAL, original)
            target.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(path: str, rows: Rows, out: Path) -> None:
    """Piece by piece: images may lie inside."""
    arrow, parquet = import_arrow("pyarrow"), import_arrow("pyarrow.parquet")
    with open(path, "rb") as stream:
        file = parquet.ParquetFile(stream)
        schema = file.schema_arrow
        at, more = schema.get_field_index(rows.label), ORIGINAL not in schema.names
        new_schema = schema.append(arrow.field(ORIGINAL, arrow.string())) if more else schema
        done = 0
        with parquet.ParquetWriter(out, new_schema) as writer:
            for batch in file.iter_batches(BATCH):
                part = slice(done, done + len(batch))
                done += len(batch)
                keep = [now is not None for now in rows.now[part]]
                values = batch.column(at).to_pylist()
                for i, (current, now) in enumerate(zip(rows.current[part], rows.now[part], strict=True)):
                    if now is not None and now != current:
                        values[i] = _value(now, schema.field(at).type, rows.classes, path)
                columns = [*batch.columns[:at], arrow.array(values, schema.field(at).type), *batch.columns[at + 1 :]]
                if more:
                    columns.append(arrow.array(rows.original[part], arrow.string()))
                writer.write_batch(arrow.record_batch(columns, schema=new_schema).filter(arrow.array(keep)))


def _value(label: str, kind: Any, classes: list[str] | None, path: str) -> str | int | float:
    """`label` as a column of the Arrow type `kind` has it."""
    types = import_arrow("pyarrow").types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_string(kind) or types.is_large_string(kind):
        return label
    if classes is not None and label in classes:
        return classes.index(label)
    if classes is None and (types.is_integer(kind) or types.is_floating(kind)) and label.isascii() and label.isdigit():
        return int(label)
    raise InputError(f"table {path}: its labels are {kind}, which cannot say {label!r}: make them text first")
