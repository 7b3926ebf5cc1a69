"""What the run directory holds of every training sample, for all exports. Must not know: tools, torch."""

from __future__ import annotations

from dataclasses import dataclass

from mixnn.errors import InputError
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_list


@dataclass(frozen=True)
class Findings:
    """N training samples.

    Attributes:
        rows: N rows of `labels.csv`, as text.
        classes: C names.
        evidence: arrays of N rows.
        issues: the label quality that the run has stored.
    """

    rows: list[dict[str, str]]
    classes: list[str]
    evidence: Evidence
    issues: LabelIssues


def read_findings(run: RunDirectory) -> Findings:
    """Raises InputError where the run is not complete."""
    rows, evidence = read_list(run, run.labels), run.read_evidence()
    if [row.get("file_name") for row in rows] != evidence.names.tolist():
        raise InputError(f"{run.labels} and {run.evidence} are not of one run: {run.again}")
    return Findings(rows, run.read_classes(), evidence, stored_label_issues(evidence))
