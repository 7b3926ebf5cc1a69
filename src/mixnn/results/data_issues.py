"""Outliers and near duplicates of a run, as columns and as lists of their own. Must not know: torch, the screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.duplicates import groups
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import given_words, is_outlier
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import write_list
from mixnn.utils.files import Row

OUTLIERS = {"file_name": str, "given_label": str, "outlier_score": float, "nearest": str, "nearest_label": str}
NEAR_DUPLICATES = {
    "near_duplicate_set": str,
    "file_name": str,
    "given_label": str,
    "suggested_label": str,
    "distance": float,
    "conflicting_labels": bool,
}


def outliers(evidence: Evidence) -> NDArray[np.int64]:
    """Rows of outliers, the farthest out first."""
    if evidence.outlier_score is None:
        return np.zeros(0, dtype=np.int64)
    order: NDArray[np.int64] = np.argsort(-evidence.outlier_score, kind="stable").astype(np.int64)
    return order[: int(is_outlier(evidence).sum())]


def near_duplicate_sets(evidence: Evidence) -> list[NDArray[np.int64]]:
    """Rows of each set of near duplicates, in the order of the first of each."""
    return groups(len(evidence.given), evidence.near_duplicates)


def write_data_issues(run: RunDirectory, evidence: Evidence, issues: LabelIssues, classes: list[str]) -> None:
    """Write `outliers.csv`, the farthest out first, and `near_duplicates.csv`, set after set."""
    odd, sets = outliers(evidence), near_duplicate_sets(evidence)
    write_list(run, run.outliers, partial(outlier_rows, evidence, classes, odd), OUTLIERS, len(odd))
    rows = partial(duplicate_rows, evidence, issues, classes, sets)
    write_list(run, run.near_duplicates, rows, NEAR_DUPLICATES, sum(map(len, sets)))


def outlier_rows(evidence: Evidence, classes: list[str], rows: NDArray[np.int64]) -> Iterator[Row]:
    """Each with the sample that comes nearest to it."""
    words = given_words(evidence, classes)
    assert evidence.outlier_score is not None or len(rows) == 0
    for row in rows.tolist():
        nearest = int(evidence.neighbors[row, 0])
        yield {
            "file_name": str(evidence.names[row]),
            "given_label": words[evidence.given[row]],
            "outlier_score": evidence.outlier_score[row],  # type: ignore[index]  # as asserted
            "nearest": str(evidence.names[nearest]),
            "nearest_label": words[evidence.given[nearest]],
        }


def duplicate_rows(
    evidence: Evidence, issues: LabelIssues, classes: list[str], sets: list[NDArray[np.int64]]
) -> Iterator[Row]:
    """Sample by sample, with the distance to the nearest other of its set."""
    words, distance = given_words(evidence, classes), nearest_duplicate_distances(evidence)
    for number, rows in enumerate(sets):
        labels = evidence.given[rows]
        conflict = len(np.unique(labels[labels >= 0])) > 1
        for row in rows.tolist():
            yield {
                "near_duplicate_set": number,
                "file_name": str(evidence.names[row]),
                "given_label": words[evidence.given[row]],
                "suggested_label": classes[issues.suggested[row]],
                "distance": distance[row],
                "conflicting_labels": conflict,
            }


def nearest_duplicate_distances(evidence: Evidence) -> NDArray[np.float64]:
    """Of each sample to its nearest near duplicate, one minus the cosine, (N,); NaN where that is not known."""
    found = np.full(len(evidence.given), np.inf)
    if evidence.distances is not None:
        for one, other in (evidence.near_duplicates.T, evidence.near_duplicates.T[::-1]):
            row, place = np.nonzero(evidence.neighbors[one] == other[:, None])
            for end in (one, other):
                np.minimum.at(found, end[row], evidence.distances[one[row], place])
    return np.where(np.isinf(found), np.nan, found)
