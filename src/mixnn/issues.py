"""From the evidence of a run to the list of its labels. Must not know: torch, training, the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.belief import LEAST, appearance, believed
from mixnn.confusion import Rows, estimate_confusion, neighbor_vote, normalized
from mixnn.errors import printable
from mixnn.lists import write_list
from mixnn.run import Evidence, Row, RunDirectory

COLUMNS = {  # of labels.csv
    "file_name": str,
    "given_label": str,
    "predicted_label": str,
    "label_quality": float,
    "is_label_issue": bool,
    "clean_prob": float,
    "suggested_label": str,
    "suggested_confidence": float,
    "neighbor_agreement": float,
    "look_closer": str,
}
TIE = 0.5  # two classes tie where the second is believed at least so much of the first
CLEAR, TIED, UNLIKE = range(3)  # whether a person should look closer, and why; a `twin` is another reason


class Verdicts(NamedTuple):
    """What is held of every training label, in data-set order.

    Attributes:
        quality: (N,) how much is believed of the given label, 0–1, low = suspicious; NaN where there is none.
        suggested: (N,) int64, the likeliest label.
        confidence: (N,) how much is believed of that one, 0–1.
        issue: (N,) bool, held to be wrong: another label is likelier, also after what the given one says.
        order: (N,) rows in the order a person should look at them: issues first, by quality.
        second: (N,) int64, the next likeliest label.
        closer: (N,) TIED where that one is nearly as likely, UNLIKE where the sample looks like so many classes (more
            than half of them, and than two) that it may be of none, CLEAR elsewhere.
        twin: (N,) int64, a row with the same picture and another label; -1 where there is none.
    """

    quality: NDArray[np.float64]
    suggested: NDArray[np.int64]
    confidence: NDArray[np.float64]
    issue: NDArray[np.bool_]
    order: NDArray[np.int64]
    second: NDArray[np.int64]
    closer: NDArray[np.int8]
    twin: NDArray[np.int64]


def belief(evidence: Evidence, rows: Rows = slice(None)) -> NDArray[np.float32]:
    """What some samples are held to look like, (n, C), rows sum to one."""
    probs = evidence.probs[rows]
    if evidence.vote is not None:
        vote: NDArray[np.floating] = evidence.vote[rows]
    else:
        vote = neighbor_vote(evidence.given, evidence.neighbors[rows], probs.shape[1])
    likely: NDArray[np.float32] = appearance(vote, probs)
    own = np.arange(len(evidence.given))[rows]
    certain = np.isin(own, evidence.certain)
    likely[certain] = evidence.targets[own[certain]]  # a person has looked: no other opinion counts
    return likely


def joint_of(evidence: Evidence) -> NDArray[np.floating]:
    """How the classes are labelled, (C, C), sums to one; made anew for a run that was written before it was kept."""
    if evidence.joint is not None:
        return evidence.joint
    return estimate_confusion(evidence.given, evidence.neighbors, evidence.probs.shape[1]).joint


def estimated_wrong(verdicts: Verdicts) -> float:
    """Share of wrong labels, in 0–1: what the qualities leave. Too high where classes are hard to tell apart."""
    known = ~np.isnan(verdicts.quality)
    return float(1 - verdicts.quality[known].mean()) if known.any() else 0.0


def wrong_between(evidence: Evidence, verdicts: Verdicts) -> tuple[float, float]:
    """What other estimates of that share lie between; itself where a run has no others."""
    here = estimated_wrong(verdicts)
    others = [here] if evidence.rate_bounds is None else evidence.rate_bounds.tolist()
    return min(here, *others), max(here, *others)


def wrong_words(evidence: Evidence, verdicts: Verdicts) -> str:
    """The estimated share of wrong labels in words, such as "34% (27 to 38%)"."""
    low, high = wrong_between(evidence, verdicts)
    between = f" ({100 * low:.0f} to {high:.0%})" if evidence.rate_bounds is not None else ""
    return f"{estimated_wrong(verdicts):.0%}{between}"


def judge(evidence: Evidence) -> Verdicts:
    """Quality, suggestion and verdict for every label."""
    given = evidence.given
    parts = [
        judge_part(given[rows], *seen) for rows, *seen in believed(partial(belief, evidence), given, joint_of(evidence))
    ]
    quality, suggested, confidence, second, closer = (np.concatenate(column) for column in zip(*parts, strict=True))
    issue = (suggested != given) & (given >= 0)
    order = np.lexsort((quality, ~issue))
    return Verdicts(quality, suggested, confidence, issue, order, second, closer, conflicting(evidence))


def judge_part(
    given: NDArray[np.int64], looks: NDArray[np.floating], likely: NDArray[np.floating]
) -> tuple[NDArray[Any], ...]:
    """Of n samples: quality, suggested, confidence, second and closer, see `Verdicts`; `likely` (n, C) is used up."""
    rows = np.arange(len(likely))
    quality = likely[rows, given.clip(0)]
    quality[given < 0] = np.nan
    suggested, confidence = likely.argmax(1), likely.max(1)
    likely[rows, suggested] = -1.0
    second = likely.argmax(1)
    closer = np.where(likely.max(1) >= TIE * confidence, TIED, CLEAR)
    closer[spread(looks) > max(2.5, looks.shape[1] / 2)] = UNLIKE
    return quality, suggested, confidence, second, closer.astype(np.int8)


def conflicting(evidence: Evidence) -> NDArray[np.int64]:
    """For each sample a row that shows the same picture under another label, (N,); -1 where there is none."""
    found = np.full(len(evidence.given), -1)
    labels = evidence.given[evidence.twins]  # (M, 2)
    for one, other in evidence.twins[(labels[:, 0] != labels[:, 1]) & (labels >= 0).all(1)].tolist():
        found[one], found[other] = other, one
    return found


def spread(looks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Over how many classes a belief is spread, (N,) from 1 to C: the exponential of its entropy."""
    entropy: NDArray[np.float64] = -(looks * np.log(looks.clip(LEAST))).sum(1)
    return np.exp(entropy)


def closer_words(evidence: Evidence, verdicts: Verdicts, classes: list[str], sample: int) -> str:
    """Why a person should look closer at a sample; nothing where there is no reason."""
    if (twin := verdicts.twin[sample]) >= 0:
        return f"same picture as {evidence.names[twin]}, labelled {classes[evidence.given[twin]]}"
    if verdicts.closer[sample] == UNLIKE:
        return "like no class"
    if verdicts.closer[sample] == TIED:
        return f"{classes[verdicts.suggested[sample]]} or {classes[verdicts.second[sample]]}"
    return ""


def neighbor_agreement(evidence: Evidence) -> NDArray[np.float64]:
    """Share of each sample's nearest neighbours that carry its given label, (N,) in 0–1."""
    same = evidence.given[evidence.neighbors] == evidence.given[:, None]
    share: NDArray[np.float64] = np.where(evidence.given < 0, np.nan, same.mean(1))
    return share


def given_words(evidence: Evidence, classes: list[str]) -> list[str]:
    """Words by given label, those below 0 counting from the end."""
    return [*classes, *reversed(evidence.unlabelled.tolist())]


def label_rows(evidence: Evidence, verdicts: Verdicts, classes: list[str], samples: Iterable[int]) -> Iterator[Row]:
    """The rows of `labels.csv`, one for each of `samples`; cleanlab's column names where it has them."""
    agreement, predicted = neighbor_agreement(evidence), evidence.probs.argmax(1)
    words = given_words(evidence, classes)
    for i in samples:
        yield {
            "file_name": str(evidence.names[i]),
            "given_label": words[evidence.given[i]],
            "predicted_label": classes[predicted[i]],
            "label_quality": verdicts.quality[i],
            "is_label_issue": bool(verdicts.issue[i]),
            "clean_prob": evidence.clean_prob[i],
            "suggested_label": classes[verdicts.suggested[i]],
            "suggested_confidence": verdicts.confidence[i],
            "neighbor_agreement": agreement[i],
            "look_closer": closer_words(evidence, verdicts, classes, i),
        }


def issue_lines(evidence: Evidence, verdicts: Verdicts, classes: list[str], rows: Sequence[int]) -> list[str]:
    """Samples as text for a terminal: name, given → suggested, confidence."""
    changes = [f"{classes[evidence.given[i]]} → {classes[verdicts.suggested[i]]}" for i in rows]
    return [
        f"  {printable(str(evidence.names[i]))}  {change:<28} {verdicts.confidence[i]:.0%}"
        for i, change in zip(rows, changes, strict=True)
    ]


def label_noise(evidence: Evidence, verdicts: Verdicts, classes: list[str]) -> Row:
    """What is known of the labels as a whole, for `label_noise.json`; shares in 0–1."""
    known = evidence.given >= 0
    counts = np.bincount(evidence.given[known], minlength=len(classes))
    flagged = np.bincount(evidence.given[verdicts.issue], minlength=len(classes))
    bounds = evidence.transition_bounds
    return {
        "labels": int(known.sum()),
        "flagged": int(verdicts.issue.sum()),
        "estimated_wrong": round(estimated_wrong(verdicts), 4),
        "estimated_wrong_between": [round(end, 4) for end in wrong_between(evidence, verdicts)],
        "classes": classes,
        "flagged_by_class": (flagged / counts.clip(1)).round(4).tolist(),
        "transition": normalized(joint_of(evidence)).round(4).tolist(),  # [right label][given label]
        **({} if bounds is None else {"transition_between": bounds.round(4).tolist()}),  # [low, high] of the same
    }


def write_labels(run: RunDirectory) -> None:
    """Write `labels.csv`, `label_issues.csv` (the worst first) and `label_noise.json` from the run's evidence.

    A list of more than a million rows is Parquet, see `mixnn.lists`.
    """
    evidence, classes = run.read_evidence(), run.read_classes()
    verdicts = judge(evidence)
    worst = verdicts.order[: int(verdicts.issue.sum())].tolist()
    for path, samples in ((run.labels, range(len(evidence.given))), (run.label_issues, worst)):
        rows = partial(label_rows, evidence, verdicts, classes, samples)
        write_list(run, path, rows, COLUMNS, len(samples))
    run.write_json(run.label_noise, label_noise(evidence, verdicts, classes))


def summary_figures(run: RunDirectory) -> Row:
    """A run in four figures, 0–1: held-out accuracy of the last and of the best epoch; of the labels that
    `noise.npz` says were flipped, precision and recall of those held to be wrong.
    """
    accuracy = [float(row["accuracy"]) for row in run.read_table(run.metrics)]
    issues, flipped = judge(run.read_evidence()).issue, run.read_arrays(run.noise)["flipped"]
    both = int((issues & flipped).sum())
    return {
        "last_accuracy": accuracy[-1],
        "best_accuracy": max(accuracy),
        "precision": both / max(1, int(issues.sum())),
        "recall": both / max(1, int(flipped.sum())),
    }
