"""For Label Studio: tasks to import, with the suggestion as a prediction, and the labeling configuration.

Must not know: Label Studio, torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from mixnn.errors import InputError, printable
from mixnn.results.export.findings import Findings


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`tasks.json`, worst label first, and `label_config.xml`.

    Args:
        prefix: of the images' addresses, as `/data/local-files/?d=photos/`.

    Texts, and rows of a table, stand in the tasks themselves.
    """
    if prefix and findings.texts:
        raise InputError(f"--prefix {prefix} stands before file names, and the run has {findings.noun}s: leave it away")
    tasks = [task(findings, row, prefix) for row in findings.issues.ranking.tolist()]
    (folder / "tasks.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "label_config.xml").write_text(label_config(findings.classes, findings.noun), encoding="utf-8")


def task(findings: Findings, row: int, prefix: str) -> dict[str, object]:
    """One image as Label Studio imports it."""
    about, label = findings.rows[row], findings.classes[findings.issues.suggested[row]]
    name = about["file_name"].encode("utf-8", "surrogateescape")
    choice = {"type": "choices", "value": {"choices": [label]}}
    result = {"id": "label", "from_name": "label", "to_name": tag(findings.noun), **choice}
    return {
        "data": {
            tag(findings.noun): findings.texts[row] if findings.texts else prefix + quote(name),
            "file_name": printable(about["file_name"]),
            "given_label": about["given_label"],
            "label_quality": float(about["label_quality"]) if about["label_quality"] else None,
            "is_label_issue": bool(findings.issues.is_label_issue[row]),
            "is_outlier": about["is_outlier"] == "True",
            "outlier_score": float(about["outlier_score"]) if about["outlier_score"] else None,
            "near_duplicate_set": int(about["near_duplicate_set"]) if about["near_duplicate_set"] else None,
        },
        "predictions": [
            {"model_version": "mixnn", "score": float(about["suggested_confidence"]), "result": [result]},
        ],
    }


def tag(noun: str) -> str:
    """What shows a sample: an image, or the text that it is."""
    return "image" if noun == "image" else "text"


def label_config(classes: list[str], noun: str = "image") -> str:
    """An image or a text, its given label, and a choice of one class."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="given label: $given_label")
    shown = tag(noun)
    ElementTree.SubElement(view, shown.title(), name=shown, value=f"${shown}")
    choices = ElementTree.SubElement(
        view, "Choices", name="label", toName=shown, choice="single", required="true", showInline="true"
    )
    for name in classes:
        ElementTree.SubElement(choices, "Choice", value=name)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
