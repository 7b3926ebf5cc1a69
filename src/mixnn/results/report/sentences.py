"""A run in sentences, and in a table of its classes, as HTML. Must not know: torch, training, scripts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import LOW_NOISE, conflicting_duplicates, noise_rate_words
from mixnn.results.report.columns import name_html
from mixnn.results.report.content import pairs
from mixnn.runs.directory import Evidence, RunDirectory

DOUBT = (
    0.1  # of the labels: where fewer are flagged than LITTLE, and no more in doubt than this, there is hardly any noise
)
NAMED = 3  # confusions in the summary


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def facts(evidence: Evidence, issues: LabelIssues, metrics: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """The figures that stand largest: (figure, what it is)."""
    labeled, flagged = int((evidence.given >= 0).sum()), int(issues.is_label_issue.sum())
    yield percent(flagged / max(1, labeled)), "of the labels are flagged as label issues"
    yield f"{flagged:,}", f"suspects among {labeled:,} labels"
    accuracies = accuracy(metrics)
    if accuracies:
        yield percent(accuracies[-1]), f"accuracy on {name_html(metrics[-1]['heldout'])}, last epoch"


def accuracy(metrics: list[dict[str, str]]) -> list[float]:
    return [float(row["accuracy"]) for row in metrics if row.get("accuracy")]


def sentences(
    evidence: Evidence, issues: LabelIssues, classes: list[str], metrics: list[dict[str, str]]
) -> Iterator[str]:
    """What came out, in words."""
    labeled, flagged = int((evidence.given >= 0).sum()), int(issues.is_label_issue.sum())
    lead = ""
    if is_low_noise(issues, labeled):
        lead = "<strong>There seems to be almost no noise here.</strong> "
    elif flagged < LOW_NOISE * labeled:
        better = "train longer, or use better features"
        lead = f"<strong>The evidence does not suffice to tell wrong labels: {better}.</strong> "
    yield (
        f"{lead}{flagged:,} of {labeled:,} labels ({percent(flagged / max(1, labeled))}) are flagged as label "
        f"issues; {noise_rate_words(issues)}."
    )
    confused = [
        f"{name_html(classes[given])} that should be {name_html(classes[suggested])} ({count:,})"
        for given, suggested, count in pairs(evidence, issues)[:NAMED]
    ]
    if confused:
        yield f"Confused most: {'; '.join(confused)}."
    accuracies = accuracy(metrics)
    if accuracies:
        best = max(accuracies)
        what = name_html(metrics[-1]["heldout"])
        yield (
            f"On the part <em>{what}</em> the model is right for {percent(accuracies[-1])} after the last epoch; its "
            f"best was epoch {accuracies.index(best) + 1} with {percent(best)}. Where labels of that part are wrong, a "
            "right prediction counts as a mistake."
        )
    twice = int((conflicting_duplicates(evidence) >= 0).sum())
    if twice:
        yield f"{twice:,} labels are at odds with that of another sample which shows the same picture."
    unlabeled = int((evidence.given < 0).sum())
    if unlabeled:
        yield f"{unlabeled:,} samples have no label; each has a suggestion."


def is_low_noise(issues: LabelIssues, labeled: int) -> bool:
    """Whether the labels can be taken as they are."""
    return int(issues.is_label_issue.sum()) < LOW_NOISE * labeled and issues.noise_rate < DOUBT


def next_steps(run: RunDirectory, config: Mapping[str, Any], low_noise: bool) -> Iterator[tuple[str, list[str]]]:
    """What to do now: a sentence, and the words of the command for it, if there is one."""
    first_step = "Look at the suspects below: a key decides on each, and what is decided is kept in this browser."
    if low_noise:
        use = "The model can be used as it is" if run.trained else "The labels can be used as they are"
        first_step = f"{use}. The few suspects below are worth a look all the same."
    yield f"{first_step} Then download <code>corrections.csv</code>.", []
    yield "Write the data set with the corrections; the original stays as it is:", apply_words(run)
    reviewed = ["--data.corrections", "corrections.csv", "--out", f"{run.path}-reviewed"]
    if run.trained:
        yield (
            "Or train again, with the labels you looked at as verified:",
            ["mixnn", "train", "--config", str(run.config), *reviewed],
        )
    else:
        yield (
            "Or look again, with the labels you looked at as verified:",
            ["mixnn", "find", "--config", str(run.config), *reviewed],
        )


def apply_words(run: RunDirectory) -> list[str]:
    """The command that takes the corrections."""
    return ["mixnn", "apply", str(run.path), "corrections.csv", "--out", "CLEAN"]


def command_html(words: list[str]) -> str:
    """A command to copy; no line ends within a word."""
    return f"<pre><code>{' '.join(f'<span>{name_html(shlex.quote(word))}</span>' for word in words)}</code></pre>"


def class_rows(evidence: Evidence, issues: LabelIssues, classes: list[str]) -> Iterator[tuple[str, int, int, str, str]]:
    """Of each class: name as HTML, labels, of these flagged as issues, where these belong as HTML, and how many of the
    held-out samples with that label the network is right for.
    """
    known = evidence.given >= 0
    counts = np.bincount(evidence.given[known], minlength=len(classes))
    wrong = np.bincount(evidence.given[known & issues.is_label_issue], minlength=len(classes))
    largest: dict[int, str] = {}
    for given, suggested, count in pairs(evidence, issues):
        largest.setdefault(given, f"{name_html(classes[suggested])} ({count:,})")
    for label, name in enumerate(classes):
        right = heldout_words(evidence, label)
        yield name_html(name), int(counts[label]), int(wrong[label]), largest.get(label, ""), right


def heldout_words(evidence: Evidence, label: int) -> str:
    """Share of the held-out samples of a label that the network takes for that class, and of how many."""
    if evidence.heldout is None or (held := int(evidence.heldout[label].sum())) == 0:
        return "–"
    return f"{percent(evidence.heldout[label, label] / held)} of {held:,}"
