"""What a run says of its labels, and why a person should look at one. Must not know: torch, training, the screen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.issues import LabelIssues
from mixnn.runs.directory import Evidence
from mixnn.tables.topk_rows import TOPK, Table, TopkTable, chunks

MIN_TIE_RATIO = 0.5  # two classes tie where the second is at least so many times as likely as the first
CLEAR, AMBIGUOUS, OUT_OF_DISTRIBUTION = range(3)  # `conflicting_duplicate` is another reason to look
UNEXPLAINED = 0.1  # of the labels: so many more than may be wrong does the evidence contradict, where it is told
LOW_NOISE = 0.01  # of the labels: with fewer wrong there is hardly any noise


class Review(NamedTuple):
    """Which samples a person should see for another reason than their quality.

    Attributes:
        kind: (N,) AMBIGUOUS where the second label is nearly as likely as the first, OUT_OF_DISTRIBUTION where so many
            classes are possible (more than half of them, and than two) that it may be none; CLEAR elsewhere.
        duplicate: (N,) int64, a row with the same picture and another label; -1 where there is none.
    """

    kind: NDArray[np.int8]
    duplicate: NDArray[np.int64]


def stored_label_issues(evidence: Evidence) -> LabelIssues:
    """What the run has stored of every label; nothing is worked out anew."""
    verified = np.zeros(len(evidence.given), dtype=bool)
    verified[evidence.verified] = True
    low, high = evidence.noise_rate_interval.tolist()
    return LabelIssues(
        label_posterior=evidence.label_posterior,
        given=evidence.given,
        classes=range(len(evidence.noise_matrix)),
        noise_matrix=evidence.noise_matrix,
        noise_rate=float(evidence.noise_rate),
        noise_rate_interval=(low, high),
        verified=verified,
        contradicted=float(evidence.contradicted),
    )


def review(evidence: Evidence, issues: LabelIssues) -> Review:
    """Why a person should look, sample by sample."""
    kind = np.where(issues.second_confidence >= MIN_TIE_RATIO * issues.suggested_confidence, AMBIGUOUS, CLEAR)
    kind[perplexity(evidence.label_posterior) > max(2.5, len(evidence.noise_matrix) / 2)] = OUT_OF_DISTRIBUTION
    return Review(kind.astype(np.int8), conflicting_duplicates(evidence))


def conflicting_duplicates(evidence: Evidence) -> NDArray[np.int64]:
    """For each sample a row that shows the same picture under another label, (N,); -1 where there is none."""
    found = np.full(len(evidence.given), -1)
    labels = evidence.given[evidence.near_duplicates]  # (M, 2)
    conflict = (labels[:, 0] != labels[:, 1]) & (labels >= 0).all(1)
    for one, other in evidence.near_duplicates[conflict].tolist():
        found[one], found[other] = other, one
    return found


def perplexity(table: Table) -> NDArray[np.float64]:
    """Over how many classes each row is spread, (N,) from 1 to C: the exponential of its entropy."""
    entropy: list[NDArray[np.floating]]
    if isinstance(table, TopkTable):
        entropy = [table.entropy(rows) for rows in chunks(len(table), TOPK)]
    else:
        entropy = [-(p * np.log(p.clip(1e-12))).sum(1) for p in (table[rows] for rows in chunks(*table.shape))]
    values: NDArray[np.float64] = np.exp(np.concatenate(entropy or [np.zeros(0)])).astype(np.float64)
    return values


def review_reason(evidence: Evidence, issues: LabelIssues, why: Review, classes: list[str], sample: int) -> str:
    """Why a person should look at a sample, in words; nothing where there is no reason."""
    if (other := why.duplicate[sample]) >= 0:
        return f"conflicting_duplicate: {evidence.names[other]} labeled {classes[evidence.given[other]]}"
    if why.kind[sample] == OUT_OF_DISTRIBUTION:
        return "out_of_distribution"
    if why.kind[sample] == AMBIGUOUS:
        return f"ambiguous: {classes[issues.suggested[sample]]} or {classes[issues.second[sample]]}"
    return ""


def percent(value: float) -> str:
    """A share in 0–1, to a tenth of a per cent."""
    return f"{100 * value:.1f} %"


def rate_words(rate: float, interval: tuple[float, float]) -> str:
    """A share of wrong labels with its interval, such as "34 % (27 to 38 %)", or "0.3 % (0.0 to 1.0 %)"."""
    low, high = interval
    digits = 1 if rate < LOW_NOISE else 0
    return f"{100 * rate:.{digits}f} % ({100 * low:.{digits}f} to {100 * high:.{digits}f} %)"


def noise_rate_words(issues: LabelIssues) -> str:
    """How many labels are wrong, as one clause."""
    words = rate_words(issues.noise_rate, issues.noise_rate_interval)
    if issues.contradicted > issues.noise_rate_interval[1] + UNEXPLAINED:
        return (
            f"{words} of the labels look wrong; the evidence contradicts {100 * issues.contradicted:.0f} %, which are "
            "hard samples, or wrong labels of samples that look like another class"
        )
    if issues.noise_rate < LOW_NOISE:
        return f"almost nothing is wrong here: {words} of the labels"
    return f"about {words} of the labels look wrong"


def neighbor_agreement(evidence: Evidence) -> NDArray[np.float64]:
    """Share of each sample's nearest neighbors that carry its given label, (N,) in 0–1."""
    same = evidence.given[evidence.neighbors] == evidence.given[:, None]
    agreement: NDArray[np.float64] = np.where(evidence.given < 0, np.nan, same.mean(1))
    return agreement


def given_words(evidence: Evidence, classes: list[str]) -> list[str]:
    """Words by given label, those below 0 counting from the end."""
    return [*classes, *reversed(evidence.unlabeled.tolist())]
