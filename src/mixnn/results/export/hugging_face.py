"""For Hugging Face: the `metadata.csv` of an image folder, or a table of texts or values.

Must not know: datasets, torch.
"""

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

    Of texts, or rows of a table: `data.csv`, likewise, which has these columns as well.
    """
    rows = [[row["file_name"], row["given_label"], *(row[key] for key in FINDINGS), "train"] for row in findings.rows]
    rows += [[name, label, *[""] * len(FINDINGS), split] for name, label, split in findings.others]
    header = ["file_name", "label", *FINDINGS, "split"]
    columns = len(header) if len({row[-1] for row in rows}) > 1 else len(header) - 1
    if findings.noun == "image":
        write_csv(folder / "metadata.csv", header[:columns], (row[:columns] for row in rows))
        return
    said = [findings.cells.get(row[0], ()) for row in rows]
    lines = ([row[0], *cells, *row[1:columns]] for row, cells in zip(rows, said, strict=True) if cells)
    write_csv(folder / "data.csv", ["row", *findings.columns, *header[1:columns]], lines)
