"""For Hugging Face: the `metadata.csv` of an image folder. Must not know: datasets, torch."""

from __future__ import annotations

from pathlib import Path

from mixnn.results.export.findings import Findings
from mixnn.utils.csv_files import write_csv

FINDINGS = (  # columns of labels.csv
    *("label_quality", "is_label_issue", "suggested_label", "suggested_confidence"),
    *("outlier_score", "is_outlier", "near_duplicate_set"),
)


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`metadata.csv`: `file_name`, `label` as given, and what was found out about it; to be put beside the images.

    Samples that the run did not judge, such as held-out ones, have empty cells there: a file without them would make
    them vanish from the data. Where the data has parts, `split` says them.
    """
    rows = [[row["file_name"], row["given_label"], *(row[key] for key in FINDINGS), "train"] for row in findings.rows]
    rows += [[name, label, *[""] * len(FINDINGS), split] for name, label, split in findings.others]
    header = ["file_name", "label", *FINDINGS, "split"]
    columns = len(header) if len({row[-1] for row in rows}) > 1 else len(header) - 1
    write_csv(folder / "metadata.csv", header[:columns], (row[:columns] for row in rows))
