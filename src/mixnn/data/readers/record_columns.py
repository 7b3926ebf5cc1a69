"""Which columns of a table are texts, or values, and what to say of them. Must not know: file formats, torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, split_words
from mixnn.data.readers import Columns
from mixnn.data.records.records import Records
from mixnn.data.words import as_number
from mixnn.errors import InputError
from mixnn.utils.csv_files import SAFE

TEXT, ID, ALL = "text", ("id",), "all"


def text_places(header: Sequence[str], columns: Columns, image: int | None, path: str) -> tuple[int, ...]:
    """The columns with texts: those named, or the one called text where nothing says that there are images."""
    others = {"--data.image-column": columns.image, "--data.text-column": columns.text, "--data.columns": columns.table}
    given = [f"{option} {value}" for option, value in others.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} say what a sample is, each in its way: give one of them")
    if columns.text is None and (given or image is not None or columns.root is not None):
        return ()
    return _named(header, columns.text or TEXT, path, "--data.text-column", maybe=columns.text is None)


def value_places(header: Sequence[str], named: str, taken: Sequence[int | None], path: str) -> tuple[int, ...]:
    """The columns with values; without `taken` where all that are left are wanted."""
    if named != ALL:
        return _named(header, named, path, "--data.columns")
    left = [i for i, name in enumerate(header) if i not in taken and name not in ("original_label", SAFE)]
    if not left:
        raise InputError(
            f"--data.columns all: table {path} has labels only ({column_list(header)}): add columns with values"
        )
    return tuple(left)


def _named(header: Sequence[str], named: str, path: str, option: str, *, maybe: bool = False) -> tuple[int, ...]:
    """The places of columns by their names, with commas between; `maybe`: none where there is no such column."""
    plain = [name.strip().lower() for name in header] if maybe else list(header)
    names = [named] if named in plain else split_words(named)
    for name in names:
        if name not in plain and maybe:
            return ()
        if plain.count(name) != 1:
            what = f"has no column {name!r}" if name not in plain else f"has {plain.count(name)} columns {name!r}"
            fix = "name those that it has" if name not in plain else "rename one"
            raise InputError(f"{option}: table {path} {what} ({column_list(header)}): {fix}")
    return tuple(plain.index(name) for name in names)


def row_names(ids: Sequence[str], count: int) -> list[str]:
    """What rows are called: their number in the table, the first below the header being 1, and their own name."""
    return [f"row {i + 1} {ids[i]}".rstrip() if ids else f"row {i + 1}" for i in range(count)]


def record_notes(records: Records, where: str, *, named: bool) -> list[str]:
    """Which column was taken for texts where nobody said so, and whether they are numbers.

    Raises:
        InputError: all of them are empty.
    """
    name = ", ".join(map(repr, records.columns))
    if not any(cell.strip() for cells in records.cells for cell in cells):
        raise InputError(f"{where}: column {name} is empty in every row: name another")
    if records.kind == "row":
        return []
    notes = []
    if not named:
        notes.append(f"{where}: column {name} has the texts; --data.text-column takes another, --data.columns values")
    numbers = [as_number(cell.strip()) is not None for cells in records.cells for cell in cells if cell.strip()]
    if all(numbers):
        notes.append(f"{where}: column {name} has numbers only, which are taken as text; --data.columns takes values")
    return notes


def take(part: Part, rows: NDArray[np.int64]) -> Part:
    """These rows of a part whose labels are words."""
    order = rows.tolist()
    return Part(part.images[rows], [part.labels[row] for row in order], [part.names[row] for row in order])


def without_empty(part: Part) -> Part:
    """A part of records without those that are empty, which are listed as unreadable."""
    records = part.images
    if not isinstance(records, Records):
        return part
    full = np.array([any(cell.strip() for cell in cells) for cells in records.cells], dtype=bool)
    if full.all():
        return part
    reason = "the text is empty" if records.kind == "text" else "all its values are empty"
    empty = [(part.names[row], reason) for row in np.flatnonzero(~full).tolist()]
    return take(part, np.flatnonzero(full))._replace(unreadable=empty)


def column_list(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:20])) + (" …" if len(header) > 20 else "") or "no columns"
