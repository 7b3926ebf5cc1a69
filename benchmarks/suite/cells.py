"""What a benchmark consists of. Must not know: which suites there are, how runs are made, torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixnn.errors import InputError

Settings = dict[str, Any]  # as a run's config.yaml: options, and sections named after methods


@dataclass(frozen=True)
class Column:
    """A data set with one kind of wrong labels.

    Attributes:
        name: as tables head it.
        data: scheme of the DATA argument, such as cifar10.
        noise: of `--noise`; {cifar10n} and the like stand for the file the user names by that scheme.
        rows: settings of single rows that are published for this data set, by the row's name.
    """

    name: str
    data: str
    noise: str | None = None
    rows: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def needs(self) -> list[str]:
        """Schemes that the user has to give."""
        return [self.data, *re.findall(r"{(\w+)}", self.noise or "")]


@dataclass(frozen=True)
class Part:
    """Some of the cells of a suite: rows × columns × seeds, all by name."""

    rows: Sequence[str]
    columns: Sequence[str]
    seeds: Sequence[int]


@dataclass(frozen=True)
class Suite:
    """Rows × columns × seeds, or parts of these.

    Attributes:
        name: as the command line calls it.
        about: one line.
        columns: those that decide most first.
        rows: settings of each row by its name; those that decide most first.
        common: settings of all.
        seeds: of weights, order, augmentation and noise; all cells of the first come before those of the second.
        minutes: what a cell of cross-entropy takes, about, before any was measured.
        costs: what the other rows take, in that of cross-entropy; 1 where not said.
        device: that this is about.
        parts: which cells there are, those that decide most first; all of them, seed by seed, where empty.
    """

    name: str
    about: str
    columns: Sequence[Column]
    rows: Mapping[str, Settings]
    common: Settings
    seeds: Sequence[int]
    minutes: float
    costs: Mapping[str, float]
    device: str
    parts: Sequence[Part] = ()

    def cells(self) -> Iterator[Cell]:
        """In the order of the queue."""
        columns = {column.name: column for column in self.columns}
        for part in self.parts or [Part(list(self.rows), list(columns), (seed,)) for seed in self.seeds]:
            for seed in part.seeds:
                for column in part.columns:
                    for row in part.rows:
                        yield Cell(self, row, columns[column], seed)


@dataclass(frozen=True)
class Cell:
    """One run."""

    suite: Suite
    row: str
    column: Column
    seed: int

    @property
    def name(self) -> str:
        """A file name."""
        return re.sub(r"[^\w.+-]", "-", f"{self.column.name}_{self.row}_{self.seed}")

    def settings(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The run's settings.

        Args:
            given: what the user named, by scheme: {"cifar10": DIR, "cifar10n": FILE}.

        Raises:
            InputError: something this cell needs is not there.
        """
        if missing := self.missing(given):
            raise InputError(f"{self.name} needs {missing[0]}: give --data {missing[0]}:PATH")
        column = self.column
        noise = None if column.noise is None else column.noise.format(**given)
        own = {"source": f"{column.data}:{given[column.data]}", "noise": noise, "seed": self.seed}
        return merged(self.requested, own)

    @property
    def requested(self) -> dict[str, Any]:
        """What the suite says of the run's settings; it may name a preset, which is weaker."""
        return merged(self.suite.common, self.suite.rows[self.row], self.column.rows.get(self.row, {}))

    def is_run_by(self, settings: Mapping[str, Any]) -> bool:
        """Whether a run with these settings, as in its `config.yaml`, is what the suite asks for today."""
        return all(
            settings.get(key) == value
            if not isinstance(value, dict)
            else value.items() <= settings.get(key, {}).items()
            for key, value in self.requested.items()
            if key != "preset"
        )

    def missing(self, given: Mapping[str, str]) -> list[str]:
        """Schemes that the user has not given."""
        return [scheme for scheme in self.column.needs if scheme not in given]


def merged(*settings: Settings) -> dict[str, Any]:
    """One after the other, later ones win; sections are merged too."""
    result: dict[str, Any] = {}
    for content in settings:
        for key, value in content.items():
            below = result.get(key)
            result[key] = merged(below or {}, value) if isinstance(value, dict) else value
    return result


def chosen(suite: Suite, words: Sequence[str]) -> list[Cell]:
    """The cells whose row, column, noise, data or seed is among what `words` ask for: elr, symmetric:0.5, seed0.

    All words have to fit; a word with commas fits where one of its parts does.

    Raises:
        InputError: there is none.
    """
    cells = [cell for cell in suite.cells() if all(fits(cell, word) for word in words)]
    if not cells:
        columns = ", ".join(column.name for column in suite.columns)
        raise InputError(
            f"--only {' '.join(words)} fits no cell of {suite.name}: use rows ({', '.join(suite.rows)}), "
            f"columns ({columns}), their noise, or seed{suite.seeds[0]}"
        )
    return cells


def fits(cell: Cell, word: str) -> bool:
    column = cell.column.name
    names = {cell.row, column, cell.column.data, f"seed{cell.seed}", cell.name}
    if " " in column:
        names.add(column.partition(" ")[2])  # the noise, as tables of one data set head it
    return any(part in names for part in (word, *word.split(",")))  # some rows have a comma in their name
