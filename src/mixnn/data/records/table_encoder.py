"""Rows of a table as numbers: scaled, and categories one-hot. Must not know: labels, files, torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.labels.missing import WORDS
from mixnn.data.records.records import Progress, Records
from mixnn.errors import InputError
from mixnn.utils.console import note

VALUES = 100  # of a column of categories, the most frequent ones; the others are one
OWN = 20  # different values from which on a column may say who a row is, and not what
LIKE_ID = re.compile(r"(.*[\W_])?(id|ids|uid|uuid|guid|index|idx|key|nr|no|number|row)|unnamed.*|", re.IGNORECASE)
ORIGIN = 3.0  # how far away the point is that rows are seen from, in root mean squares of a row


class TableEncoder:
    """Numbers at mean 0 and variance 1, dates as numbers, and a column of 0 and 1 for each category.

    Two rows of another category are as far apart as two that differ in a number are on average. What is missing is
    the mean, and a column of its own says so. A last column, the same for all, makes nearest by direction nearest by
    distance.

    Attributes:
        columns: what each column of the table became.
        notes: what a person should know.
    """

    def __init__(self) -> None:
        self.columns: list[dict[str, Any]] = []
        self.origin = 1.0
        self.notes: list[str] = []

    def fit(self, records: Records) -> None:
        """Look at the values of the training rows.

        Raises:
            InputError: no column says anything.
        """
        left_out: list[str] = []
        taken: list[str] = []
        for place, name in enumerate(records.columns):
            words = [cells[place].strip() for cells in records.cells]
            column, reason = fitted(name, words)
            self.columns.append(column)
            (left_out if reason else taken).append(f"{name} ({reason or kind_text(column)})")
        if not taken:
            raise InputError(f"no column says anything of a row: {', '.join(left_out)}: name others by --data.columns")
        width = self.encode(records, lambda done, total: None)
        self.origin = ORIGIN * float(np.sqrt(np.square(width[:, :-1]).sum(1).mean()))
        self.notes = [", ".join(taken), *(["left out: " + ", ".join(left_out)] if left_out else [])]

    def encode(self, records: Records, progress: Progress) -> NDArray[np.float32]:
        parts = []
        for place, column in enumerate(self.columns):
            if column["kind"] != "none":
                words = [cells[place].strip() for cells in records.cells]
                parts.append(category(column, words) if column["kind"] == "category" else number(column, words))
            progress(place + 1, len(self.columns))
        return np.concatenate([*parts, np.full((len(records), 1), self.origin)], 1).astype(np.float32)

    def about(self) -> dict[str, Any]:
        return {"origin": self.origin, "values": self.columns}

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}

    def load(self, about: Mapping[str, Any]) -> None:
        """The reverse of `about`."""
        self.origin, self.columns = float(about["origin"]), list(about["values"])


def fitted(name: str, words: Sequence[str]) -> tuple[dict[str, Any], str]:
    """What a column becomes, and why it is left out, where it is.

    Example:
        >>> fitted("age", ["39", "", "41"])[0] == {
        ...     "name": "age", "kind": "number", "mean": 40.0, "scale": 1.0, "missing": True
        ... }
        True
        >>> fitted("country", ["IT", "IT", "IT"])[1]
        'one value only'
    """
    known = [word for word in words if word not in WORDS]
    counts, missing = Counter(known), len(known) < len(words)
    none = {"name": name, "kind": "none"}
    if not known or (len(counts) == 1 and not missing):
        return none, "empty" if not known else "one value only"
    for kind, read in (("number", as_number), ("date", as_date)):
        values = np.array([read(word) for word in words])
        if not all(is_infinite(word) for word in counts if np.isnan(read(word))):
            continue
        if kind == "number" and is_id(name, values[~np.isnan(values)], len(words)):
            return none, "a number of its own in each row"
        values = values[~np.isnan(values)]
        if len(values) == 0 or (values.std() == 0 and not missing):
            return none, "one value only"
        column = {"name": name, "kind": kind, "mean": float(values.mean()), "scale": float(values.std()) or 1.0}
        return column | {"missing": len(values) < len(words)}, ""
    if len(counts) > max(OWN, len(known) / 2):
        longest = max(map(len, counts))
        return none, "text: --data.text-column takes it" if longest > 60 else "a value of its own in most rows"
    kept = [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:VALUES]]
    return none | {"kind": "category", "values": kept, "missing": missing, "more": len(counts) > VALUES}, ""


def is_id(name: str, values: NDArray[np.float64], rows: int) -> bool:
    """Whether numbers only say which row it is."""
    if len(values) < max(OWN, rows) or (values % 1).any() or len(np.unique(values)) < rows:
        return False
    return bool(LIKE_ID.fullmatch(name.strip())) or values.max() - values.min() == rows - 1


def as_number(word: str) -> float:
    """NaN for what is no finite number."""
    try:
        value = float(word) if "_" not in word else np.nan
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def is_infinite(word: str) -> bool:
    return word.lower().lstrip("+-") in ("inf", "infinity", "nan")


def as_date(word: str) -> float:
    """Days from 1970 of an ISO date, such as 2026-12-01 or 2026-12-01T08:30; NaN for anything else."""
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        return np.nan
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / 86400


def number(column: Mapping[str, Any], words: Sequence[str]) -> NDArray[np.float64]:
    """(N, 1), or (N, 2) with what is missing."""
    read = as_date if column["kind"] == "date" else as_number
    values = np.array([read(word) for word in words])[:, None]
    missing = np.isnan(values)
    scaled = np.where(missing, 0, (values - column["mean"]) / column["scale"])
    return np.hstack([scaled, missing]) if column["missing"] else scaled


def category(column: Mapping[str, Any], words: Sequence[str]) -> NDArray[np.float64]:
    """(N, values), and a column for what is missing, and one for rare values, where there were any."""
    place = {value: i for i, value in enumerate(column["values"])}
    width, strange = len(place) + column["missing"] + column["more"], 0
    table = np.zeros((len(words), width))
    for row, word in enumerate(words):
        at = place.get(word)
        if at is None and word in WORDS:
            at = len(place) if column["missing"] else None
        elif at is None:
            at = width - 1 if column["more"] else None
            strange += at is None
        if at is not None:
            table[row, at] = 1
    if strange:
        note(f"column {column['name']!r}: {strange:,} values that no training row has, as if there were none")
    return table


def kind_text(column: Mapping[str, Any]) -> str:
    what = f"{len(column['values'])} values" if column["kind"] == "category" else f"{column['kind']}s"
    more = ", and rare ones as one" if column.get("more") else ""
    return f"{what}{more}{', some missing' if column['missing'] else ''}"
