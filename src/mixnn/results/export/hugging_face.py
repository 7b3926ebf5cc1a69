"""For Hugging Face: the `metadata.csv` of an image folder. Must not know: datasets, torch."""

from __future__ import annotations

from pathlib import Path

from mixnn.results.export.findings import Findings
from mixnn.utils.csv_files import write_csv

FINDINGS = ("label_quality", "is_label_issue", "suggested_label", "suggested_confidence")  # columns of labels.csv


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`metadata.csv`: `file_name`, `label` as given, and what was found out about it; to be put beside the images."""
    rows = ([row["file_name"], row["given_label"], *(row[key] for key in FINDINGS)] for row in findings.rows)
    write_csv(folder / "metadata.csv", ["file_name", "label", *FINDINGS], rows)
