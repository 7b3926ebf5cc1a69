"""All figures of what one rival has found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_errors.rivals import Found, Labels
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped,unused-ignore]

Figures = dict[str, Any]
BINS = 15  # of the expected calibration error, of equal counts
SURE = 0.9  # from this confidence on a suggestion counts as sure
ENOUGH = 10  # wrong labels that should be a class, from which on its share of the suggestions is judged
TIMES, MORE = 3.0, 0.05  # a class may have so many times the share of the suggestions that it should have, and so much
SUSPECTS = 50


def figures(found: Found, given: Labels, truth: Labels | None, classes: list[str]) -> Figures:
    """What can be said of `found`, as `of_list`, `of_rate` and `of_truth` have it."""
    changed = found.suggested != given
    listed = changed if found.listed is None else found.listed
    shown: Figures = {"flagged": None if found.listed is None else float(found.listed.mean())}
    shown |= {"suggestions": int((listed & changed).sum())}
    if found.rate is not None:
        shown |= {"rate": found.rate}
    if found.interval is not None:
        shown |= {"rate_low": found.interval[0], "rate_high": found.interval[1]}
        shown |= {"rate_width": found.interval[1] - found.interval[0]}
    if found.confidence is not None:
        shown |= {"sure": int((listed & changed & (found.confidence >= SURE)).sum())}
    if truth is not None:
        shown |= against(found, given, truth, listed, classes)
    return shown


def against(found: Found, given: Labels, truth: Labels, listed: NDArray[np.bool_], classes: list[str]) -> Figures:
    """The figures that need the truth, shares in 0-1.

    ap: average precision of the wrong labels. precision, recall: of the list. right_before, right_after: labels that
    are right, as given and after every suggestion of the list is taken. sure_right: sure suggestions that are right.
    ece: see `calibration_error`. rate_error: told less true share of wrong labels. holds: the interval has it.
    class_excess: see there.
    """
    wrong = given != truth
    taken = listed & (found.suggested != given)
    right = found.suggested == truth
    shown: Figures = {"right_before": float(1 - wrong.mean()), "ece": calibration_error(found.quality, ~wrong)}
    shown |= {"right_after": float(np.where(taken, right, ~wrong).mean())}
    if wrong.any():
        shown |= {"ap": float(average_precision_score(wrong, -found.quality))}
    if found.listed is not None:
        both = int((found.listed & wrong).sum())
        shown |= {"precision": both / max(1, int(found.listed.sum())), "recall": both / max(1, int(wrong.sum()))}
    if found.confidence is not None:
        shown |= {"sure_right": int((taken & right & (found.confidence >= SURE)).sum())}
    if found.rate is not None:
        shown |= {"rate_error": found.rate - float(wrong.mean())}
    if found.interval is not None:
        shown |= {"holds": bool(found.interval[0] <= wrong.mean() <= found.interval[1])}
    return shown | class_excess(found.suggested[taken], truth[wrong], classes)


def calibration_error(quality: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """How far the mean quality is from the share of right labels, in the mean over bins of equal counts.

    Example:
        >>> round(calibration_error(np.full(30, 0.9), np.arange(30) > 2), 3)
        0.173
    """
    order = np.argsort(quality, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    off = sum(len(rows) * abs(float(quality[rows].mean() - right[rows].mean())) for rows in bins)
    return off / len(quality)


def class_excess(suggested: Labels, should: Labels, classes: list[str]) -> Figures:
    """The class that is suggested most beyond three times the share that it should have and one in twenty.

    Judged are classes with at least ten wrong labels that should be theirs. Where wrong labels are ten times as many
    as classes, a class without any is judged too. Nothing is said where no class can be judged or nothing is suggested.

    Args:
        suggested: (n,), of the suggestions.
        should: (m,), the truth of the wrong labels.
        classes: names.
    """
    has, should_have = (np.bincount(labels, minlength=len(classes)) for labels in (suggested, should))
    judged = should_have >= ENOUGH
    if len(should) >= ENOUGH * len(classes):
        judged |= should_have == 0
    if not judged.any() or not len(suggested):
        return {}
    excess = has / len(suggested) - TIMES * should_have / len(should) - MORE
    worst = int(np.where(judged, excess, -np.inf).argmax())
    return {"class_excess": float(excess[worst]), "class_excess_of": classes[worst]}


def suspects(found: Found, given: Labels, classes: list[str]) -> list[str]:
    """The first fifty that a person should look at, those listed first: row, label, suggestion, confidence."""
    listed = found.suggested != given if found.listed is None else found.listed
    order = np.lexsort((found.quality, ~listed))[:SUSPECTS].tolist()
    lines = [f"{row}: {classes[given[row]]} -> {classes[found.suggested[row]]}" for row in order]
    if found.confidence is None:
        return lines
    return [f"{line} {found.confidence[row]:.2f}" for line, row in zip(lines, order, strict=True)]
