"""Tables as text: the one place that reads and writes CSV files. Must not know: which columns count."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from mixnn.errors import InputError, printable
from mixnn.utils.files import TEXT, atomic_write

SAFE = "spreadsheet_safe"  # last column of a table in which no cell is a formula, and each of its values
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # how cells begin that a spreadsheet would run, or that look like ones made safe
options = {SAFE: False}  # of this process, see `mixnn.cli.parsing`


def csv_rows(path: str | Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line number, values) of every line that is not blank, the header first.

    Bytes that are no UTF-8 stay in the values as the file system has them. Cells that were made safe for spreadsheets
    are what they were before.

    Raises:
        InputError: quotes do not match, or a line has more or fewer values than the first.
        OSError: the file cannot be read.
    """
    width, safe = 0, False
    with open(path, newline="", **TEXT | {"encoding": "utf-8-sig"}) as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                if row and not width:
                    width, safe = len(row), row[-1] == SAFE
                if row and len(row) != width:
                    fix = 'put quotes around values with a comma (""), or complete the row'
                    raise InputError(
                        f"table {path}, line {rows.line_num}: {len(row)} values for {width} columns: {fix}"
                    )
                if row:
                    yield rows.line_num, [as_it_was(cell) for cell in row[:-1]] if safe else row
        except csv.Error as error:
            raise InputError(
                f"table {path}, line {rows.line_num}: no CSV ({error}): correct the quotes there"
            ) from error


class CsvWriter:
    """Rows as lines of a file or the screen, the header first; cells with a line break are quoted, a bare \\r too.

    Args:
        file: open for text, without translation of line breaks.
        delimiter: between cells.
        end: of a line.
    """

    def __init__(self, file: TextIO, delimiter: str = ",", end: str = "\n") -> None:
        self.file, self.end, self.safe, self.last = file, end, options[SAFE], SAFE
        self.watched = file.isatty()
        # Python up to 3.12 quotes just those line breaks that end its own lines.
        self.rows = csv.writer(self, delimiter=delimiter, lineterminator="\r\n")

    def writerow(self, row: Iterable[object]) -> None:
        if self.safe:
            row, self.last = [*map(without_formula, row), self.last], "yes"
        self.rows.writerow(row)

    def write(self, line: str) -> None:
        """A line, as `csv` makes it."""
        text = line.removesuffix("\r\n")
        self.file.write((printable(text) if self.watched else text) + self.end)


def without_formula(cell: object) -> object:
    """A cell that a spreadsheet shows and does not run: with an apostrophe before it; numbers stay."""
    if not isinstance(cell, str) or not FORMULA.match(cell) or re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cell):
        return cell
    return f"'{cell}"


def as_it_was(cell: str) -> str:
    """The reverse of `without_formula`."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Raises InputError where it cannot be written."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="", **TEXT) as file:
        writer = CsvWriter(file)
        for row in chain([header], rows):
            writer.writerow(row)
