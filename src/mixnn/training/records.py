"""Texts, or rows of a table, for a trained run: read as it read them, and encoded by what it encoded them with.

Must not know: the screen's lines, methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.config import DataOptions
from mixnn.data.dataset import Samples
from mixnn.data.labels.missing import is_missing
from mixnn.data.readers import READERS, split_source
from mixnn.data.readers.columns import Places
from mixnn.data.readers.record_columns import column_list, row_names
from mixnn.data.readers.table import read_content
from mixnn.data.records.encode import load_encoder
from mixnn.data.records.records import RecordEncoder, Records
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import counter


class RunEncoder:
    """What makes features of texts or rows in a run.

    Args:
        run: of texts, or of rows of a table.

    Raises:
        InputError: the file is damaged, or needs what is not installed.
    """

    def __init__(self, run: RunDirectory) -> None:
        arrays = run.read_arrays(run.encoder)
        with run.reading(run.encoder):
            encoder, kind, columns = load_encoder(arrays)
        self.encoder: RecordEncoder = encoder
        self.kind, self.columns = kind, columns

    def encode(self, cells: Sequence[tuple[str, ...]]) -> NDArray[np.float32]:
        """float32 (N, D)."""
        records = Records("row" if self.kind == "row" else "text", self.columns, cells)
        return self.encoder.encode(records, counter(f"encoding {records.noun}s"))

    def cells(self, values: Iterable[Any]) -> list[tuple[str, ...]]:
        """Of texts, or of mappings such as {"age": 39, "city": "Rome"}; a frame of pandas or Polars is such, too.

        Raises:
            InputError: a text is none, or a column is missing.
        """
        if hasattr(values, "to_dicts"):
            values = values.to_dicts()  # Polars
        elif hasattr(values, "to_dict"):
            values = values.to_dict("records")
        return [self._cells(value) for value in values]

    def _cells(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, str) and len(self.columns) == 1:
            return (value,)
        if not isinstance(value, Mapping):
            form = "a text" if self.kind == "text" and len(self.columns) == 1 else f"a dict with {self._names}"
            raise InputError(f"{value!r} is a {type(value).__name__}: give {form} for each sample")
        missing = [name for name in self.columns if name not in value]
        if missing:
            raise InputError(f"no column {missing[0]!r} in {column_list(list(map(str, value)))}: give {self._names}")
        return tuple("" if is_missing(value[name]) else str(value[name]) for name in self.columns)

    @property
    def _names(self) -> str:
        return ", ".join(self.columns)

    def read(self, source: str, *, id_column: str | None = None) -> tuple[list[str], list[tuple[str, ...]]]:
        """Names and cells of the rows of a table, which needs no labels.

        Raises:
            InputError: it is no table, or lacks a column.
        """
        kind, path = split_source(source)
        if READERS[kind].corrected != "table":
            fix = f"give a table (.csv, .tsv, .jsonl, .parquet) with the column {self._names}"
            raise InputError(f"{source} is no table, and the run was trained on {self.kind}s: {fix}")

        def choose(header: Sequence[str]) -> Places:
            for name in [*self.columns, *([id_column] if id_column else [])]:
                if name not in header:
                    fix = "the run was trained on that column: rename one"
                    raise InputError(f"table {path} has no column {name!r} ({column_list(header)}): {fix}")
            fields = tuple(header.index(name) for name in self.columns)
            place = header.index(id_column or "id") if (id_column or "id") in header else None
            return Places(fields[0], fields[0], None, fields, place)

        content = read_content(path, kind, choose)
        cells = content.records or []
        if not cells:
            raise InputError(f"table {path} has no rows: add one for each {self.kind}")
        return content.names or row_names([], len(cells)), cells


def run_encoder(run: RunDirectory) -> RunEncoder | None:
    """What encodes for `run`; None where it was made of images or embeddings."""
    return RunEncoder(run) if run.encoder.exists() else None


def with_encoder(run: RunDirectory, samples: Samples) -> Samples:
    """`samples` with embeddings in place of texts or rows, made as the run made them; any other as they are.

    Raises:
        InputError: the run and the samples are not of one kind.
    """
    encoder, records = run_encoder(run), samples.images
    if encoder is None and not isinstance(records, Records):
        return samples
    if encoder is None or not isinstance(records, Records) or records.kind != encoder.kind:
        here = f"{samples.noun}s"
        then = "images or embeddings" if encoder is None else f"{encoder.kind}s"
        raise InputError(f"{run.path} was trained on {then}, and the data has {here}: give data of that kind")
    return replace(samples, images=encoder.encode(records.cells), records=records)


def of_run(run: RunDirectory, data: DataOptions) -> DataOptions:
    """`data` with the columns of the texts or rows of `run`, where none are named."""
    encoder = run_encoder(run)
    if encoder is None or data.text_column or data.columns:
        return data
    names = ",".join(encoder.columns)
    return replace(data, columns=names) if encoder.kind == "row" else replace(data, text_column=names)
