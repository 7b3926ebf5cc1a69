"""One result file for each finished run. Must not know: suites' contents, how runs are made, torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite.cells import Cell, Suite
from mixnn.errors import InputError
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import RunDirectory
from mixnn.utils.files import atomic_write, read_yaml

PHASES = ("begin", "eval_pass", "mixture", "neighbors", "train", "evaluate")
KEYS = {"row", "column", "seed", "settings", "accuracy", "seconds", "labels", "environment"}
Result = dict[str, Any]


def result_file(folder: Path, cell: Cell) -> Path:
    return folder / cell.suite.name / f"{cell.name}.json"


def collect(cell: Cell, run: RunDirectory, seconds: float | None = None) -> Result:
    """All that is kept of a finished run.

    Args:
        seconds: wall-clock time of the whole process, start and reports included; None where it was interrupted.

    Raises:
        InputError: nothing was held out.
    """
    metrics = run.read_table(run.metrics)
    if not all(row.get("accuracy") for row in metrics):
        raise InputError(f"{cell.name} has no accuracy: the data has no held-out part that can be read")
    data = " ".join(f"--data {scheme}:PATH" for scheme in cell.column.needs)
    accuracy = [float(row["accuracy"]) for row in metrics]
    best = int(np.argmax(accuracy))
    environment = run.read_json(run.environment)
    for part in (environment, *environment.get("resumed", [])):
        part.pop("command", None)  # it names places of this machine
    phases = {name: round(sum(float(row[f"seconds_{name}"]) for row in metrics), 3) for name in PHASES}
    return {
        "suite": cell.suite.name,
        "row": cell.row,
        "column": cell.column.name,
        "seed": cell.seed,
        "command": f"python -m benchmarks.suite run {cell.suite.name} --only {cell.name} --results DIR {data}",
        "settings": read_yaml(run.config) | {"source": cell.column.data, "noise": cell.column.noise},
        "accuracy": {
            "measured_on": metrics[-1]["heldout"],
            "last": accuracy[-1],
            "best": accuracy[best],
            "best_epoch": best + 1,
            "curve": [round(value, 6) for value in accuracy],
        },
        "calibration_error": float(metrics[-1]["calibration_error"]) if metrics[-1].get("calibration_error") else None,
        "train_loss": [float(row["train_loss"]) for row in metrics],
        "seconds": phases | {"epochs": round(sum(phases.values()), 3), "process": seconds},
        "peak_memory_gb": environment.pop("peak_memory_gb", None),
        "operations": environment.pop("operations", None),
        "labels": label_metrics(run, metrics),
        "environment": environment,
    }


def label_metrics(run: RunDirectory, metrics: list[dict[str, str]]) -> Result | None:
    """How well wrong labels were found and corrected, where it is known which are wrong; shares in 0–1.

    Keys:
        noise_hash: of the draw.
        right_given, right_targets: share of right labels before, and of right soft targets at the end of each epoch.
        list_roc_auc, list_average_precision: of 1 - label quality, a wrong label being what is looked for.
        precision, recall: of the labels that the run flags as label issues.
        right_flagged: share of the right labels that it flags all the same, for each class; None for
            a class without any.
    """
    if not run.noise.exists():
        return None
    from sklearn.metrics import (  # type: ignore[import-untyped,unused-ignore]
        average_precision_score,
        roc_auc_score,
    )

    noise, evidence = run.read_arrays(run.noise), run.read_evidence()
    known = (evidence.given >= 0) & (noise["original"] >= 0)
    wrong: NDArray[np.bool_] = noise["flipped"][known]
    if not 0 < wrong.sum() < len(wrong):
        return None
    issues = stored_label_issues(evidence)
    doubt, issue = 1 - issues.label_quality[known], issues.is_label_issue[known]
    classes = noise["original"][known]
    right = [~wrong & (classes == label) for label in range(evidence.probs.shape[1])]
    corrected = [float(row["right_targets"]) for row in metrics if row.get("right_targets")]
    return {
        "noise_hash": run.read_json(run.noise_record)["labels_sha256"],
        "right_given": float(1 - wrong.mean()),
        "right_predicted": float((evidence.probs.argmax(1) == noise["original"])[known].mean()),
        "right_targets": corrected[-1] if corrected else None,
        "right_targets_curve": [round(value, 6) for value in corrected],
        "list_roc_auc": float(roc_auc_score(wrong, doubt)),
        "list_average_precision": float(average_precision_score(wrong, doubt)),
        "precision": float((issue & wrong).sum() / max(1, issue.sum())),
        "recall": float((issue & wrong).sum() / wrong.sum()),
        "right_flagged": [float(issue[own].mean()) if own.any() else None for own in right],
    }


def write_result(folder: Path, cell: Cell, result: Result) -> None:
    path = result_file(folder, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def read_results(folder: Path, suite: Suite) -> dict[str, Result]:
    """The results of a suite by name of the cell; those made with other settings than the suite has now are left out.

    Raises:
        InputError: a file is damaged.
    """
    found = {}
    for cell in suite.cells():
        path = result_file(folder, cell)
        if path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                if not content.keys() >= KEYS:
                    raise ValueError("no result of a cell")
            except (OSError, ValueError, AttributeError) as error:
                raise InputError(f"result {path} cannot be read ({error}): remove it to run the cell again") from error
            if cell.is_run_by(content["settings"]):
                found[cell.name] = content
    return found


def counts(result: Mapping[str, Any]) -> bool:
    """Whether the code that made it is known: a committed revision with nothing changed, also where it was resumed."""
    environment = result["environment"]
    parts = [environment, *environment.get("resumed", [])]
    return all(part["git_revision"] and part["git_clean"] for part in parts)
