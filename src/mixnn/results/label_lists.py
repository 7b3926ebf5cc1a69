"""From the stored label quality of a run to the list of its labels. Must not know: torch, training, the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from mixnn.label_quality.duplicates import set_numbers
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.data_issues import write_data_issues
from mixnn.results.issues import (
    given_words,
    is_outlier,
    neighbor_agreement,
    review,
    review_reason,
    stored_label_issues,
)
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_records, write_list
from mixnn.utils.files import Row

COLUMNS = {  # of labels.csv; `loss_mixture_clean_prob` after training by a method that uses it
    "file_name": str,
    "given_label": str,
    "predicted_label": str,
    "label_quality": float,
    "is_label_issue": bool,
    "loss_mixture_clean_prob": float,
    "suggested_label": str,
    "suggested_confidence": float,
    "neighbor_agreement": float,
    "outlier_score": float,
    "is_outlier": bool,
    "near_duplicate_set": str,
    "review_reason": str,
    "text": str,  # of texts, or of a row
}
TEXT_LENGTH, IN_LINE = 300, 60  # characters of a text in a list, and on the screen


def columns_of(evidence: Evidence, texts: Sequence[str] = ()) -> Mapping[str, type]:
    """The columns of `labels.csv` that the run has something for."""
    has = {"loss_mixture_clean_prob": evidence.loss_mixture_clean_prob is not None, "text": bool(texts)}
    return {name: kind for name, kind in COLUMNS.items() if has.get(name, True)}


def label_rows(
    evidence: Evidence, issues: LabelIssues, classes: list[str], samples: Iterable[int], texts: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of `labels.csv`, one for each of `samples`; cleanlab's column names where it has them.

    Args:
        texts: what each sample says, where it is no image.
    """
    agreement, predicted, why = neighbor_agreement(evidence), evidence.probs.argmax(1), review(evidence, issues)
    words, clean_prob = given_words(evidence, classes), evidence.loss_mixture_clean_prob
    odd, duplicate = is_outlier(evidence), set_numbers(len(evidence.given), evidence.near_duplicates)
    for i in samples:
        yield {
            "file_name": str(evidence.names[i]),
            "given_label": words[evidence.given[i]],
            "predicted_label": classes[predicted[i]],
            "label_quality": issues.label_quality[i],
            "is_label_issue": bool(issues.is_label_issue[i]),
            **({} if clean_prob is None else {"loss_mixture_clean_prob": clean_prob[i]}),
            "suggested_label": classes[issues.suggested[i]],
            "suggested_confidence": issues.suggested_confidence[i],
            "neighbor_agreement": agreement[i],
            "outlier_score": np.nan if evidence.outlier_score is None else evidence.outlier_score[i],
            "is_outlier": bool(odd[i]),
            "near_duplicate_set": "" if duplicate[i] < 0 else str(duplicate[i]),
            "review_reason": review_reason(evidence, issues, why, classes, i),
            **({"text": shortened(texts[i])} if texts else {}),
        }


def shortened(text: str, length: int = TEXT_LENGTH) -> str:
    """A text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 2]} …"


def issue_lines(
    evidence: Evidence, issues: LabelIssues, classes: list[str], rows: Sequence[int], texts: Sequence[str] = ()
) -> list[str]:
    """Samples as text for a terminal: name, given → suggested, confidence, and what they say."""
    changes = [f"{classes[evidence.given[i]]} → {classes[issues.suggested[i]]}" for i in rows]
    return [
        f"  {evidence.names[i]}  {change:<28} {issues.suggested_confidence[i]:.0%}"
        + (f"  {shortened(texts[i], IN_LINE)}" if texts else "")
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
        "contradicted": round(issues.contradicted, 4),
        "classes": classes,
        "flagged_by_class": (flagged / counts.clip(1)).round(4).tolist(),
        "noise_matrix": evidence.noise_matrix.round(4).tolist(),  # [true label][given label]
    }


def write_labels(run: RunDirectory) -> None:
    """Write `labels.csv`, `label_issues.csv` (the worst first), the lists of `mixnn.results.data_issues`, and
    `label_noise.json` from the run's evidence.

    A list of more than a million rows is Parquet, see `mixnn.runs.sample_lists`.
    """
    evidence, classes, texts = run.read_evidence(), run.read_classes(), read_records(run)[1]
    issues, columns = stored_label_issues(evidence), columns_of(evidence, texts)
    worst = issues.ranking[: int(issues.is_label_issue.sum())].tolist()
    for path, samples in ((run.labels, range(len(evidence.given))), (run.label_issues, worst)):
        rows = partial(label_rows, evidence, issues, classes, samples, texts)
        write_list(run, path, rows, columns, len(samples))
    write_data_issues(run, evidence, issues, classes)
    run.write_json(run.label_noise, label_noise(evidence, issues, classes))


def summary_figures(run: RunDirectory) -> Row:
    """A run in four figures, 0–1: held-out accuracy of the last and of the best epoch; of the labels that
    `noise.npz` says were flipped, precision and recall of those flagged as label issues.
    """
    accuracy = [float(row["accuracy"]) for row in run.read_table(run.metrics)]
    issue, flipped = stored_label_issues(run.read_evidence()).is_label_issue, run.read_arrays(run.noise)["flipped"]
    both = int((issue & flipped).sum())
    return {
        "last_accuracy": accuracy[-1],
        "best_accuracy": max(accuracy),
        "precision": both / max(1, int(issue.sum())),
        "recall": both / max(1, int(flipped.sum())),
    }
