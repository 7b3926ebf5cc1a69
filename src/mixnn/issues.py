"""From the evidence of a run to the list of its labels. Must not know: torch, training, the screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.run import Evidence, Row, RunDirectory


def belief(evidence: Evidence) -> NDArray[np.float64]:
    """What is held to be each sample's label, (N, C), rows sum to one.

    The mean of three opinions: the soft target, the network's prediction, and the neighbours' soft
    targets. On the demo's photos the three together find the flipped labels better than any one.
    """
    targets = evidence.targets.astype(np.float64)
    mean: NDArray[np.float64] = (targets + evidence.probs + targets[evidence.neighbors].mean(1)) / 3
    return mean


def label_quality(evidence: Evidence) -> NDArray[np.float64]:
    """How much is believed of each given label, (N,) in 0–1, low = suspicious."""
    quality: NDArray[np.float64] = belief(evidence)[np.arange(len(evidence.given)), evidence.given]
    return quality


def suggested_labels(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The likeliest label of each sample (N,) and how likely it is (N,)."""
    likely = belief(evidence)
    return likely.argmax(1), likely.max(1)


def find_issues(evidence: Evidence) -> NDArray[np.bool_]:
    """Labels held to be wrong, (N,): another label is likelier, and the loss lies in the upper component."""
    suggested, _ = suggested_labels(evidence)
    issues: NDArray[np.bool_] = (suggested != evidence.given) & (evidence.clean_prob < 0.5)
    return issues


def worst_first(evidence: Evidence) -> NDArray[np.int64]:
    """Rows (N,) in the order a person should look at them: issues first, by label quality."""
    return np.lexsort((label_quality(evidence), ~find_issues(evidence)))


def neighbor_agreement(evidence: Evidence) -> NDArray[np.float64]:
    """Share of each sample's nearest neighbours that carry its given label, (N,) in 0–1."""
    same = evidence.given[evidence.neighbors] == evidence.given[:, None]
    share: NDArray[np.float64] = same.mean(1)
    return share


def label_rows(evidence: Evidence, classes: list[str]) -> list[Row]:
    """The rows of `labels.csv`, one per training sample, in order; cleanlab's column names where it has them."""
    suggested, confidence = suggested_labels(evidence)
    predicted = evidence.probs.argmax(1)
    quality, issue, agreement = label_quality(evidence), find_issues(evidence), neighbor_agreement(evidence)
    return [
        {
            "file_name": str(evidence.names[i]),
            "given_label": classes[evidence.given[i]],
            "predicted_label": classes[predicted[i]],
            "label_quality": quality[i],
            "is_label_issue": bool(issue[i]),
            "clean_prob": evidence.clean_prob[i],
            "suggested_label": classes[suggested[i]],
            "suggested_confidence": confidence[i],
            "neighbor_agreement": agreement[i],
        }
        for i in range(len(evidence.given))
    ]


def issue_lines(evidence: Evidence, classes: list[str], rows: Sequence[int]) -> list[str]:
    """Samples as text for a terminal: name, given → suggested, confidence."""
    suggested, confidence = suggested_labels(evidence)
    changes = [f"{classes[evidence.given[i]]} → {classes[suggested[i]]}" for i in rows]
    return [f"  {evidence.names[i]}  {change:<28} {confidence[i]:.0%}" for i, change in zip(rows, changes, strict=True)]


def write_labels(run: RunDirectory) -> int:
    """Write `labels.csv` from the evidence in the run directory; the number of label issues."""
    evidence = run.read_evidence()
    run.write_table(run.labels, label_rows(evidence, run.read_classes()))
    return int(find_issues(evidence).sum())
