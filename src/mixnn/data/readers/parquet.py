"""Parquet tables; images are file names, or lie inside. Must not know: which columns count, torch."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Sequence
from typing import Any, overload

from mixnn.data.images.encoded import ImageBytes, file_state
from mixnn.data.labels.missing import is_missing
from mixnn.data.readers.columns import Choose, Content, content_of, needed
from mixnn.errors import InputError


class BytesColumn(Sequence[bytes | None]):
    """An Arrow column, whose values become Python objects one by one, when asked for."""

    def __init__(self, column: Any) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, row: int) -> bytes | None: ...
    @overload
    def __getitem__(self, row: slice) -> BytesColumn: ...
    def __getitem__(self, row: int | slice) -> bytes | BytesColumn | None:
        if isinstance(row, slice):
            return BytesColumn(self.column[row])
        content: bytes | None = self.column[row].as_py()
        return content


def read_parquet(path: str, choose: Choose) -> Content:
    """What stands in the columns that `choose` finds in the header; see `mixnn.data.readers.table.read_content`.

    Images are file names, bytes, or what Hugging Face writes: {bytes, path}, and class names for numbers.

    Raises:
        InputError: pyarrow is not installed, the file is damaged, or a column holds something else.
        OSError: it cannot be read.
    """
    arrow, parquet, compute = map(import_arrow, ("pyarrow", "pyarrow.parquet", "pyarrow.compute"))
    try:
        with open(path, "rb") as stream:
            file = parquet.ParquetFile(stream)
            header = list(file.schema_arrow.names)
            places = choose(header)
            keys = [header[place] for place in needed(places)]
            table = file.read(columns=list(dict.fromkeys(keys)))
    except arrow.ArrowException as error:
        raise InputError(f"table {path} is no Parquet file ({_short(error)}): write it again") from error
    label = header[places.label]
    classes = hub_classes(table.schema.metadata, label)
    if places.fields:
        cells = [_words(table.column(key), path, key, classes if key == label else None) for key in keys]
        return content_of(places, cells)._replace(classes=classes)
    image, _, *split = keys
    column = table.column(image)
    if arrow.types.is_struct(column.type) and {"bytes", "path"} <= {field.name for field in column.type}:
        inside, paths = (compute.struct_field(column, key) for key in ("bytes", "path"))
        names = _words(paths, path, image)
        images = None if inside.null_count == len(inside) else inside
    else:
        binary = arrow.types.is_binary(column.type) or arrow.types.is_large_binary(column.type)
        names, images = ([], column) if binary else (_words(column, path, image, only_text=True), None)
    if images is not None and ("" in names or len(set(names)) < len(images)):
        stem = os.path.splitext(os.path.basename(path))[0]
        names = [f"{stem}/{row:05d}" for row in range(len(images))]
    identity = f"{os.path.abspath(path)} {file_state(path)} {image}"
    return Content(
        names,
        _words(table.column(label), path, label, classes),
        _words(table.column(split[0]), path, split[0]) if split else None,
        images=None if images is None else ImageBytes(BytesColumn(images), identity),
        classes=classes,
    )


def import_arrow(module: str) -> Any:
    """Raises InputError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"Parquet needs pyarrow ({error}): pip install 'mixnn[parquet]'") from error


def word(value: Any, classes: Sequence[str] | None = None) -> str:
    """A value of a table as text; None, NaN, and -1 where numbers stand for `classes`, are "".

    Raises:
        TypeError: it is neither text nor a number.
    """
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what pandas makes of integers where some are missing
    if not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__}, neither text nor a number")
    if classes is None:
        return str(value)
    if value == -1:
        return ""
    if not isinstance(value, int) or not 0 <= value < len(classes):
        raise TypeError(f"{value}, but {len(classes)} class names")
    return classes[value]


def _words(
    column: Any, path: str, name: str, classes: Sequence[str] | None = None, *, only_text: bool = False
) -> list[str]:
    try:
        values = column.to_pylist()
        if only_text and not all(isinstance(value, str | None) for value in values):
            raise TypeError(f"{column.type}, neither file names nor images")
        return [word(value, classes) for value in values]
    except (TypeError, ValueError) as error:
        raise InputError(f"table {path}: column {name!r} has {error}: correct it, or name another") from error


def hub_classes(metadata: dict[bytes, bytes] | None, label: str) -> list[str] | None:
    """Class names that Hugging Face keeps with the schema."""
    try:
        note = json.loads((metadata or {})[b"huggingface"])
        names = note.get("info", note)["features"][label]["names"]
        return [str(name) for name in names] if isinstance(names, list) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
