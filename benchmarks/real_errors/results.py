"""Reads the files that `run` writes: columns are cells, each with the rows of all its seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from real_errors.cells import CHOOSE, REPORT
from real_errors.rivals import RIVALS

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A cell.

    Attributes:
        name: see `Cell.name`.
        draws: what the file of each seed holds.
    """

    name: str
    draws: Sequence[dict[str, Any]]

    @property
    def wrong(self) -> float | None:
        """The share of wrong labels; None where nobody knows it."""
        shares = [draw["wrong"] for draw in self.draws]
        return None if None in shares else mean(shares)

    @property
    def wrong_count(self) -> float:
        """How many labels are wrong, in the mean over seeds; 0 where nobody knows."""
        return mean(draw["wrong_count"] or 0 for draw in self.draws)

    @property
    def noise(self) -> str:
        """The kind of noise, the first word after the data set."""
        return self.name.split(" ", 1)[1].partition(":")[0]

    def rows(self, row: str) -> list[Row]:
        """What a rival has found, one for each seed that has it."""
        return [draw["rows"][row] for draw in self.draws if row in draw["rows"]]

    def values(self, row: str, key: str) -> list[float]:
        """One figure of a rival, one for each seed that has it."""
        return [float(found[key]) for found in self.rows(row) if found.get(key) is not None]

    def mean(self, row: str, key: str) -> float | None:
        values = self.values(row, key)
        return mean(values) if values else None

    def shown(self, row: str, key: str, scale: float = 1.0, digits: int = 3) -> str:
        """Mean and deviation over seeds, in words."""
        values = [scale * value for value in self.values(row, key)]
        if not values:
            return "–"
        return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def read(folder: Path, which: str) -> list[Column]:
    """The cells of a set that have results, in the order of the set."""
    cells = {"report": REPORT, "choose": CHOOSE}[which]
    drawn: dict[str, list[dict[str, Any]]] = {cell.name: [] for cell in cells}
    for path in sorted(folder.glob("*.json")):
        draw = json.loads(path.read_text())
        if draw["cell"] in drawn and draw["set"] == which:
            drawn[draw["cell"]].append(draw)
    return [Column(name, draws) for name, draws in drawn.items() if draws]


def row_names(columns: Sequence[Column]) -> list[str]:
    """Rivals that have results, in the order of `RIVALS`."""
    return [name for name in RIVALS if any(column.rows(name) for column in columns)]
