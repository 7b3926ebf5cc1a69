"""For FiftyOne: samples with the fields `ground_truth`, `predictions` and `mistakenness`. Must not know: torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mixnn.errors import InputError
from mixnn.results.export.findings import Findings


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`samples.json`: a list of samples in the form of FiftyOne's `Sample.to_dict`.

    Args:
        prefix: folder that the file names are relative to; paths become absolute, as FiftyOne wants them.
    """
    if findings.noun != "image":
        raise InputError(f"--to fiftyone shows images, and the run has {findings.noun}s: take label-studio")
    samples = [sample(findings, row, prefix) for row in range(len(findings.rows))]
    (folder / "samples.json").write_text(json.dumps(samples, indent=1) + "\n", encoding="utf-8")


def sample(findings: Findings, row: int, prefix: str) -> dict[str, object]:
    """One image; what nobody labeled has neither `ground_truth` nor `mistakenness`."""
    about, probs = findings.rows[row], findings.evidence.probs[row]
    quality = about["label_quality"]
    return {
        "filepath": os.path.abspath(os.path.join(prefix, about["file_name"])),
        "tags": ["label_issue"] if findings.issues.is_label_issue[row] else [],
        "ground_truth": classification(about["given_label"]) if quality else None,
        "predictions": classification(about["predicted_label"], confidence=float(probs.max())),
        "suggested": classification(about["suggested_label"], confidence=float(about["suggested_confidence"])),
        "mistakenness": 1 - float(quality) if quality else None,
    }


def classification(label: str, **more: float) -> dict[str, object]:
    return {"_cls": "Classification", "label": label, **more}
