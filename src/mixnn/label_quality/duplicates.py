"""One picture has one true label: what near duplicates under different labels say together.

Must not know: pictures, runs, files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.issues import LabelIssues
from mixnn.label_quality.probabilities import normalized

MIN_PROB = 1e-12


def reconcile(issues: LabelIssues, pairs: NDArray[np.int64]) -> LabelIssues:
    """Label issues in which near duplicates have one posterior, wherever their given labels differ.

    q(c) ∝ geometric mean of each one's evidence π L · Π T[c, given label]: the qualities of two labels of one picture
    sum to at most one, and whichever is not the likeliest is an issue. A label that a person has verified decides for
    all.

    Args:
        issues: to begin with; its table is changed in place.
        pairs: int64 (M, 2), near duplicates.

    Returns:
        The same, with qualities and suggestions of what was changed.
    """
    given = issues.given
    for rows in groups(len(given), pairs):
        labels = given[rows]
        if len(np.unique(labels[labels >= 0])) < 2:
            continue
        log_columns = np.zeros((len(rows), len(issues.classes)))
        log_columns[labels >= 0] = np.log(np.maximum(issues.noise_matrix[:, labels[labels >= 0]].T, MIN_PROB))
        verified = rows[issues.verified[rows]]
        if len(verified):
            joint = np.zeros(len(issues.classes))
            joint[np.unique(given[verified])] = 1.0
        else:
            whole = np.stack([issues.label_posterior[int(row)] for row in rows]).astype(np.float64)
            log_evidence = (np.log(whole.clip(MIN_PROB)) - log_columns).mean(0)
            log_joint = log_evidence + log_columns.sum(0)
            joint = np.exp(log_joint - log_joint.max())
        posterior = normalized(joint[None])
        for row in rows[~issues.verified[rows]].tolist():
            issues.label_posterior[row : row + 1] = posterior
    return replace(issues)  # what was worked out from the table before is no longer true


def set_numbers(samples: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which set of duplicates each row is in, (N,) from 0 on, in the order of their first rows; -1 for none."""
    numbers = np.full(samples, -1)
    for number, rows in enumerate(groups(samples, pairs)):
        numbers[rows] = number
    return numbers


def groups(samples: int, pairs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows that are duplicates of one another, also by way of others: two and more each."""
    first = np.arange(samples)  # the first row that each is known to be a duplicate of
    while (first[pairs] != first[pairs].min(1, keepdims=True)).any():
        np.minimum.at(first, pairs, first[pairs].min(1, keepdims=True))
        first = first[first]  # so that a long chain takes few rounds
    rows = np.unique(pairs)
    rows = rows[np.argsort(first[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(first[rows])) + 1) if len(rows) else []
