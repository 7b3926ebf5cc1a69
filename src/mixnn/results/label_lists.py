"""From the stored label quality of a run to the list of its labels. Must not know: torch, training, the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import printable
from mixnn.label_quality.issues import LabelIssues
from mixnn.label_quality.probabilities import chunks
from mixnn.runs.directory import Evidence, Row, RunDirectory
from mixnn.runs.sample_lists import write_list
from mixnn.tables.topk_rows import Table

COLUMNS = {  # of labels.csv; `clean_prob` after a training only
    "file_name": str,
    "given_label": str,
    "predicted_label": str,
    "label_quality": float,
    "is_label_issue": bool,
    "clean_prob": float,
    "suggested_label": str,
    "suggested_confidence": float,
    "neighbor_agreement": float,
    "review_reason": str,
}
TIE = 0.5  # two classes tie where the second is at least so many times as likely as the first
CLEAR, AMBIGUOUS, OUT_OF_DISTRIBUTION = range(3)  # `conflicting_duplicate` is another reason to look
LITTLE = 0.01  # of the labels: with fewer wrong there is hardly any noise


class Review(NamedTuple):
    """Which samples a person should see for another reason than their quality.

    Attributes:
        kind: (N,) AMBIGUOUS where the second label is nearly as likely as the first, OUT_OF_DISTRIBUTION where so many
            classes are possible (more than half of them, and than two) that it may be none; CLEAR elsewhere.
        duplicate: (N,) int64, a row with the same picture and another label; -1 where there is none.
    """

    kind: NDArray[np.int8]
    duplicate: NDArray[np.int64]


def judge(evidence: Evidence) -> LabelIssues:
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
    )


def review(evidence: Evidence, issues: LabelIssues) -> Review:
    """Why a person should look, sample by sample."""
    kind = np.where(issues.second_confidence >= TIE * issues.suggested_confidence, AMBIGUOUS, CLEAR)
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
    entropy = [-(p * np.log(p.clip(1e-12))).sum(1) for _, p in chunks(table)]
    spread: NDArray[np.float64] = np.exp(np.concatenate(entropy or [np.zeros(0)])).astype(np.float64)
    return spread


def review_reason(evidence: Evidence, issues: LabelIssues, why: Review, classes: list[str], sample: int) -> str:
    """Why a person should look at a sample, in words; nothing where there is no reason."""
    if (other := why.duplicate[sample]) >= 0:
        return f"conflicting_duplicate: {evidence.names[other]} labeled {classes[evidence.given[other]]}"
    if why.kind[sample] == OUT_OF_DISTRIBUTION:
        return "out_of_distribution"
    if why.kind[sample] == AMBIGUOUS:
        return f"ambiguous: {classes[issues.suggested[sample]]} or {classes[issues.second[sample]]}"
    return ""


def rate_words(rate: float, interval: tuple[float, float]) -> str:
    """A share of wrong labels with its interval, such as "34 % (27 to 38 %)", or "0.3 % (0.0 to 1.0 %)"."""
    low, high = interval
    digits = 1 if rate < LITTLE else 0
    return f"{100 * rate:.{digits}f} % ({100 * low:.{digits}f} to {100 * high:.{digits}f} %)"


def noise_rate_words(issues: LabelIssues) -> str:
    """How many labels are wrong, as one clause."""
    words = rate_words(issues.noise_rate, issues.noise_rate_interval)
    if issues.noise_rate < LITTLE:
        return f"almost nothing is wrong here: {words} of the labels"
    return f"about {words} of the labels look wrong"


def neighbor_agreement(evidence: Evidence) -> NDArray[np.float64]:
    """Share of each sample's nearest neighbors that carry its given label, (N,) in 0–1."""
    same = evidence.given[evidence.neighbors] == evidence.given[:, None]
    share: NDArray[np.float64] = np.where(evidence.given < 0, np.nan, same.mean(1))
    return share


def given_words(evidence: Evidence, classes: list[str]) -> list[str]:
    """Words by given label, those below 0 counting from the end."""
    return [*classes, *reversed(evidence.unlabelled.tolist())]


def columns_of(evidence: Evidence) -> Mapping[str, type]:
    """The columns of `labels.csv` that the run has something for."""
    return {name: kind for name, kind in COLUMNS.items() if name != "clean_prob" or evidence.clean_prob is not None}


def label_rows(evidence: Evidence, issues: LabelIssues, classes: list[str], samples: Iterable[int]) -> Iterator[Row]:
    """The rows of `labels.csv`, one for each of `samples`; cleanlab's column names where it has them."""
    agreement, predicted, why = neighbor_agreement(evidence), evidence.probs.argmax(1), review(evidence, issues)
    words, clean = given_words(evidence, classes), evidence.clean_prob
    for i in samples:
        yield {
            "file_name": str(evidence.names[i]),
            "given_label": words[evidence.given[i]],
            "predicted_label": classes[predicted[i]],
            "label_quality": issues.label_quality[i],
            "is_label_issue": bool(issues.is_label_issue[i]),
            **({} if clean is None else {"clean_prob": clean[i]}),
            "suggested_label": classes[issues.suggested[i]],
            "suggested_confidence": issues.suggested_confidence[i],
            "neighbor_agreement": agreement[i],
            "review_reason": review_reason(evidence, issues, why, classes, i),
        }


def issue_lines(evidence: Evidence, issues: LabelIssues, classes: list[str], rows: Sequence[int]) -> list[str]:
    """Samples as text for a terminal: name, given → suggested, confidence."""
    changes = [f"{classes[evidence.given[i]]} → {classes[issues.suggested[i]]}" for i in rows]
    return [
        f"  {printable(str(evidence.names[i]))}  {change:<28} {issues.suggested_confidence[i]:.0%}"
        for i, change in zip(rows, changes, strict=True)
    ]


def label_noise(evidence: Evidence, issues: LabelIssues, classes: list[str]) -> Row:
    """What is known of the labels as a whole, for `label_noise.json`; shares in 0–1."""
    known = evidence.given >= 0
    counts = np.bincount(evidence.given[known], minlength=len(classes))
    flagged = np.bincount(evidence.given[issues.is_label_issue], minlength=len(classes))
    return {
        "labels": int(known.sum()),
        "flagged": int(issues.is_label_issue.sum()),
        "noise_rate": round(issues.noise_rate, 4),
        "noise_rate_interval": [round(end, 4) for end in issues.noise_rate_interval],
        "classes": classes,
        "flagged_by_class": (flagged / counts.clip(1)).round(4).tolist(),
        "noise_matrix": evidence.noise_matrix.round(4).tolist(),  # [true label][given label]
    }


def write_labels(run: RunDirectory) -> None:
    """Write `labels.csv`, `label_issues.csv` (the worst first) and `label_noise.json` from the run's evidence.

    A list of more than a million rows is Parquet, see `mixnn.runs.sample_lists`.
    """
    evidence, classes = run.read_evidence(), run.read_classes()
    issues, columns = judge(evidence), columns_of(evidence)
    worst = issues.ranking[: int(issues.is_label_issue.sum())].tolist()
    for path, samples in ((run.labels, range(len(evidence.given))), (run.label_issues, worst)):
        rows = partial(label_rows, evidence, issues, classes, samples)
        write_list(run, path, rows, columns, len(samples))
    run.write_json(run.label_noise, label_noise(evidence, issues, classes))


def summary_figures(run: RunDirectory) -> Row:
    """A run in four figures, 0–1: held-out accuracy of the last and of the best epoch; of the labels that
    `noise.npz` says were flipped, precision and recall of those flagged as label issues.
    """
    accuracy = [float(row["accuracy"]) for row in run.read_table(run.metrics)]
    issue, flipped = judge(run.read_evidence()).is_label_issue, run.read_arrays(run.noise)["flipped"]
    both = int((issue & flipped).sum())
    return {
        "last_accuracy": accuracy[-1],
        "best_accuracy": max(accuracy),
        "precision": both / max(1, int(issue.sum())),
        "recall": both / max(1, int(flipped.sum())),
    }
