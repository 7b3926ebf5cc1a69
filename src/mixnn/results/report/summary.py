"""A run in figures and names, for the sentences of its page. Must not know: torch, training, HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.data_issues import near_duplicate_sets
from mixnn.results.issues import LOW_NOISE, conflicting_duplicates, is_outlier, noise_rate_words
from mixnn.results.report.content import pairs
from mixnn.runs.directory import Evidence

DOUBT = 0.1  # of the labels: where few are flagged, and no more in doubt than this, there is hardly any noise
NAMED = 3  # confusions in the summary


class ClassRow(NamedTuple):
    """A class: labels, of these flagged as issues, the class suggested most with how many, and of the held-out
    samples with that label how many the network is right for, and of how many; None where there are none.
    """

    name: str
    labels: int
    flagged: int
    suggested: tuple[str, int] | None
    heldout: tuple[int, int] | None


def summary(
    evidence: Evidence, issues: LabelIssues, classes: list[str], metrics: list[dict[str, str]]
) -> dict[str, Any]:
    """What came out."""
    labeled, flagged = int((evidence.given >= 0).sum()), int(issues.is_label_issue.sum())
    sets = near_duplicate_sets(evidence)
    few = flagged < LOW_NOISE * labeled
    accuracies = [float(row["accuracy"]) for row in metrics if row.get("accuracy")]
    return {
        "labeled": labeled,
        "flagged": flagged,
        "flagged_share": flagged / max(1, labeled),
        "low_noise": few and issues.noise_rate < DOUBT,  # the labels can be taken as they are
        "poor_evidence": few and issues.noise_rate >= DOUBT,
        "noise_rate": noise_rate_words(issues),
        "confused": [
            (classes[given], classes[suggested], n) for given, suggested, n in pairs(evidence, issues)[:NAMED]
        ],
        "accuracies": accuracies,
        "heldout": metrics[-1]["heldout"] if accuracies else "",
        "twice": int((conflicting_duplicates(evidence) >= 0).sum()),
        "unlabeled": len(evidence.given) - labeled,
        "outliers": int(is_outlier(evidence).sum()),
        "near_duplicates": sum(map(len, sets)),
        "near_duplicate_sets": len(sets),
        "class_rows": list(class_rows(evidence, issues, classes)),
    }


def class_rows(evidence: Evidence, issues: LabelIssues, classes: list[str]) -> Iterator[ClassRow]:
    """The table of classes."""
    counts, flagged = (
        np.bincount(evidence.given[rows], minlength=len(classes))
        for rows in (evidence.given >= 0, issues.is_label_issue)
    )
    most: dict[int, tuple[str, int]] = {}
    for given, suggested, count in pairs(evidence, issues):
        most.setdefault(given, (classes[suggested], count))
    for label, name in enumerate(classes):
        held = 0 if evidence.heldout is None else int(evidence.heldout[label].sum())
        right = None if evidence.heldout is None or not held else (int(evidence.heldout[label, label]), held)
        yield ClassRow(name, int(counts[label]), int(flagged[label]), most.get(label), right)
