"""Samples that are text, or rows of a table, where others are images. Must not know: files, encoders, torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["text", "row"]
SHOWN = 2000  # characters of a text that a run keeps, to be looked at


class Records:
    """N texts, or rows of values.

    Args:
        kind: text, of one column or several; row, of values that stand for themselves.
        columns: names of the columns, M.
        cells: N tuples of M words, as the table has them; "" where there is none.

    Example:
        >>> records = Records("row", ("age", "city"), [("39", "Rome"), ("", "Oslo")])
        >>> records.text(1), len(records[:1])
        ('city: Oslo', 1)
    """

    def __init__(self, kind: Kind, columns: Sequence[str], cells: Sequence[tuple[str, ...]]) -> None:
        self.kind, self.columns, self.cells = kind, tuple(columns), list(cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Any:
        """Those of `rows`, `Records` again; they take the place of encoded images until they are embeddings."""
        places = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        return Records(self.kind, self.columns, [self.cells[row] for row in places])

    def text(self, row: int) -> str:
        """What a person reads: the text, or `age: 39 · city: Rome`."""
        cells = self.cells[row]
        if self.kind == "text":
            return "\n".join(cell for cell in cells if cell.strip())
        return " · ".join(f"{name}: {cell}" for name, cell in zip(self.columns, cells, strict=True) if cell)

    def texts(self) -> list[str]:
        return [self.text(row) for row in range(len(self))]

    def shown(self) -> list[str]:
        """Texts, of which long ones are cut off."""
        return [text if len(text) <= SHOWN else f"{text[:SHOWN]} …" for text in self.texts()]

    def source(self, row: int) -> bytes:
        """The same bytes where two say the same, but for case and spaces."""
        return "\0".join(" ".join(cell.split()).casefold() for cell in self.cells[row]).encode("utf-8", "surrogatepass")

    def stamp(self) -> str:
        """Another text whenever the records are others."""
        return hashlib.sha256(
            "\0".join("\1".join(cells) for cells in self.cells).encode("utf-8", "replace")
        ).hexdigest()

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return self.kind


Progress = Callable[[int, int], None]


class RecordEncoder(Protocol):
    """Makes features of records; fitted, and to be kept as arrays.

    Attributes:
        notes: what a person should know of how features are made.
    """

    notes: list[str]

    def encode(self, records: Records, progress: Progress) -> NDArray[np.float32]:
        """float32 (N, D), finite."""

    def about(self) -> Mapping[str, Any]:
        """What it is, for JSON."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """What else it is made of, without pickles; `mixnn.data.records.encode.load_encoder` reads it."""
