"""Tables as text: the one place that reads and writes CSV files. Must not know: which columns count."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mixnn.errors import InputError
from mixnn.utils.files import TEXT, atomic_write


def csv_rows(path: str | Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line number, values) of every line that is not blank, the header first.

    Bytes that are no UTF-8 stay in the values as the file system has them.

    Raises:
        InputError: quotes do not match, or a line has more or fewer values than the first.
        OSError: the file cannot be read.
    """
    width = 0
    with open(path, newline="", **TEXT | {"encoding": "utf-8-sig"}) as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                width = width or len(row)
                if row and len(row) != width:
                    fix = 'put quotes around values with a comma (""), or complete the row'
                    raise InputError(
                        f"table {path}, line {rows.line_num}: {len(row)} values for {width} columns: {fix}"
                    )
                if row:
                    yield rows.line_num, row
        except csv.Error as error:
            raise InputError(
                f"table {path}, line {rows.line_num}: no CSV ({error}): correct the quotes there"
            ) from error


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Raises InputError where it cannot be written."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="", **TEXT) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
