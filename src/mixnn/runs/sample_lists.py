"""Lists with a row for each sample: CSV, or Parquet where very long. Must not know: what columns mean, torch."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np

from mixnn.runs.directory import RunDirectory
from mixnn.utils.files import Row, as_text, atomic_write

LONG = 1_000_000  # rows; with more of them text is slow to read, and few programs open it
CHUNK = 100_000  # rows made ready at a time
Columns = Mapping[str, type]  # name -> str, float or bool


def write_list(run: RunDirectory, path: Path, rows: Callable[[], Iterable[Row]], columns: Columns, count: int) -> None:
    """`count` rows to `path`, a CSV file; more than a million as Parquet beside it, in its place.

    Without pyarrow (`mixnn[parquet]`), or with a file name that is no UTF-8, it is CSV however long. One of the two
    files is there in the end.
    """
    parquet = path.with_suffix(".parquet")
    if count > LONG and importlib.util.find_spec("pyarrow") is not None:
        with suppress(UnicodeEncodeError):
            with atomic_write(parquet) as temporary:
                write_parquet(temporary, rows(), columns)
            path.unlink(missing_ok=True)
            return
    run.write_table(path, rows(), list(columns))
    parquet.unlink(missing_ok=True)


def list_file(path: Path) -> Path:
    """Where the list called `path` stands: there, or as Parquet beside it."""
    parquet = path.with_suffix(".parquet")
    return parquet if parquet.exists() else path


def read_list(run: RunDirectory, path: Path) -> list[dict[str, str]]:
    """The rows of a list as text, whichever file they stand in.

    Raises:
        InputError: there is none.
    """
    file = list_file(path)
    if file == path:
        return run.read_table(path)
    columns = importlib.import_module("pyarrow.parquet").read_table(file).to_pydict()
    texts = [["" if value is None else str(as_text(value)) for value in values] for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*texts, strict=True)]


def read_records(run: RunDirectory) -> tuple[str, list[str]]:
    """What a sample is called, image, text or row, and what each says; nothing of images.

    Raises:
        InputError: the file is damaged.
    """
    if not run.records.exists():
        return "image", []
    content = run.read_json(run.records)
    with run.reading(run.records):
        return str(content["noun"]), list(map(str, content["texts"]))


def write_parquet(path: Path, rows: Iterable[Row], columns: Columns) -> None:
    """Part by part; a number that is none is null."""
    arrow = importlib.import_module("pyarrow")
    kinds = {str: arrow.string(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    rows = iter(rows)
    with importlib.import_module("pyarrow.parquet").ParquetWriter(path, schema) as writer:
        while part := list(islice(rows, CHUNK)):
            values = {name: [number_or_null(row[name]) for row in part] for name in columns}
            writer.write_table(arrow.table(values, schema=schema))


def number_or_null(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return value
