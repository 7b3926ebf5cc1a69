"""Which samples a report shows, and which of them with a picture. Must not know: torch, training, HTML."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.data_issues import near_duplicate_sets, outliers
from mixnn.runs.directory import Evidence

FLAGGED = 50_000  # cards at most, the worst first
DOUBTFUL = 200  # labels that are not flagged, but next in the order
WITHOUT_LABEL = 10_000
POINTS = 20_000  # on the map
OUTLIERS, DUPLICATES = 2000, 4000
PICTURED, PICTURED_OF_OTHERS = 600, 100
WITH_NEIGHBORS = 150  # cards whose neighbors have pictures as well
WITH_TEXTS = 2000  # cards whose neighbors are told in words
NEIGHBORS = 8  # shown as evidence

Rows = NDArray[np.int64]


class Cards(NamedTuple):
    """Rows of the training set, in the order a person should look at them. A row may be in the last two and another.

    Attributes:
        flagged: label issues, the worst first.
        doubtful: labels that come next.
        unlabeled: samples without a label, the surest suggestion first.
        outliers: the farthest out first.
        duplicates: near duplicates, set after set.
    """

    flagged: Rows
    doubtful: Rows
    unlabeled: Rows
    outliers: Rows
    duplicates: Rows


def cards(evidence: Evidence, issues: LabelIssues) -> Cards:
    """What there is to decide on."""
    count = int(issues.is_label_issue.sum())
    labeled = issues.ranking[evidence.given[issues.ranking] >= 0]
    unlabeled = np.flatnonzero(evidence.given < 0)
    surest = unlabeled[np.argsort(-issues.suggested_confidence[unlabeled], kind="stable")]
    doubtful = labeled[count : max(count, min(count + DOUBTFUL, len(labeled)))]
    duplicates = np.concatenate([doubtful[:0], *near_duplicate_sets(evidence)])[:DUPLICATES]
    return Cards(
        labeled[: min(count, FLAGGED)], doubtful, surest[:WITHOUT_LABEL], outliers(evidence)[:OUTLIERS], duplicates
    )


def pictured(evidence: Evidence, shown: Cards) -> Rows:
    """Samples that a report needs pictures of: those to be looked at first, and neighbors of the first of these."""
    first = np.concatenate([shown.flagged, shown.doubtful])[:PICTURED]
    nearest = evidence.neighbors[first[:WITH_NEIGHBORS], :NEIGHBORS].ravel()
    others = [part[:PICTURED_OF_OTHERS] for part in (shown.unlabeled, shown.outliers, shown.duplicates)]
    return once(np.concatenate([first, *others, nearest]))


def mapped(evidence: Evidence, shown: Cards) -> Rows:
    """Points of the map: label issues first, but where there are very many, half of the room is left for the others."""
    if evidence.coordinates is None:
        return np.zeros(0, dtype=np.int64)
    first = shown.flagged[: POINTS // 2]
    others = np.setdiff1d(np.arange(len(evidence.given)), first)
    room = min(POINTS - len(first), len(others))
    chosen = np.random.default_rng(0).choice(others, room, replace=False)  # the same points every time
    return np.concatenate([first, np.sort(chosen)])


def once(rows: Rows) -> Rows:
    """Each row where it comes first."""
    _, places = np.unique(rows, return_index=True)
    return rows[np.sort(places)]
