"""For FiftyOne: samples with `ground_truth`, `predictions`, `mistakenness`, `outlier_score`. Must not know: torch."""

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
        "tags": tags(findings, row),
        "ground_truth": classification(about["given_label"]) if quality else None,
        "predictions": classification(about["predicted_label"], confidence=float(probs.max())),
        "suggested": classification(about["suggested_label"], confidence=float(about["suggested_confidence"])),
        "mistakenness": 1 - float(quality) if quality else None,
        "outlier_score": float(about["outlier_score"]) if about["outlier_score"] else None,
        "near_duplicate_set": int(about["near_duplicate_set"]) if about["near_duplicate_set"] else None,
    }


def tags(findings: Findings, row: int) -> list[str]:
    """What was found out about a sample, as words to filter by."""
    about = findings.rows[row]
    found = {
        "label_issue": findings.issues.is_label_issue[row],
        "outlier": about["is_outlier"] == "True",
        "near_duplicate": about["near_duplicate_set"] != "",
    }
    return [tag for tag, there in found.items() if there]


def classification(label: str, **more: float) -> dict[str, object]:
    return {"_cls": "Classification", "label": label, **more}
