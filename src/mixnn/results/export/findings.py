"""What the run directory holds of every training sample, for all exports. Must not know: tools, torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_list


@dataclass(frozen=True)
class Findings:
    """N training samples.

    Attributes:
        rows: N rows of `labels.csv`, as text.
        classes: C names.
        evidence: arrays of N rows.
        quality: (N,) P(the given label is right), 0–1; NaN where there is none.
        issue: (N,) bool, flagged as label issues.
        suggested: (N,) int64.
    """

    rows: list[dict[str, str]]
    classes: list[str]
    evidence: Evidence
    quality: NDArray[np.float64]
    issue: NDArray[np.bool_]
    suggested: NDArray[np.int64]

    @property
    def worst_first(self) -> list[int]:
        """Rows in the order a person should look at them: issues first, by quality."""
        order: list[int] = np.lexsort((self.quality, ~self.issue)).tolist()
        return order


def read_findings(run: RunDirectory) -> Findings:
    """Raises InputError where the run is not complete."""
    rows, classes, evidence = read_list(run, run.labels), run.read_classes(), run.read_evidence()
    if [row.get("file_name") for row in rows] != evidence.names.tolist():
        raise InputError(
            f"{run.labels} and {run.evidence} are not of one run: repeat `mixnn train` with --resume, or `mixnn find`"
        )
    place = {name: i for i, name in enumerate(classes)}
    return Findings(
        rows,
        classes,
        evidence,
        np.array([float(row["label_quality"] or "nan") for row in rows]),
        np.array([row["is_label_issue"] == "True" for row in rows]),
        np.array([place[row["suggested_label"]] for row in rows], dtype=np.int64),
    )
