"""What a command says of the labels of a run when it is done. Must not know: torch, how the run was made."""

from __future__ import annotations

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.data_issues import near_duplicate_sets
from mixnn.results.issues import conflicting_duplicates, is_outlier, noise_rate_words
from mixnn.results.label_lists import issue_lines
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_records

SHOWN = 5  # issues on the screen


def label_lines(run: RunDirectory, evidence: Evidence, issues: LabelIssues) -> list[str]:
    """What is known of the labels, with the likeliest wrong ones, and what was set aside."""
    flagged, samples = int(issues.is_label_issue.sum()), int((evidence.given >= 0).sum())
    lines = [
        f"label issues: {flagged:,} of {samples:,} labels flagged; {noise_rate_words(issues)}"
        f"{', the likeliest:' if flagged else ''}"
    ]
    noun, texts = read_records(run)
    lines += issue_lines(evidence, issues, run.read_classes(), issues.ranking[: min(SHOWN, flagged)].tolist(), texts)
    twice = int((conflicting_duplicates(evidence) >= 0).sum())
    if twice:
        what = "near duplicates" if noun == "image" else f"the same {noun}"
        lines.append(f"{what} under two labels: {twice:,} samples (review_reason in labels.csv)")
    if odd := int(is_outlier(evidence).sum()):
        lines.append(f"outliers: {odd:,} sample{'s' if odd > 1 else ''} unlike the others (outliers.csv)")
    if sets := near_duplicate_sets(evidence):
        times = f"{sum(map(len, sets)):,} samples in {len(sets):,} set{'s' if len(sets) > 1 else ''}"
        lines.append(f"near duplicates: {times} (near_duplicates.csv)")
    unlabeled = int((evidence.given < 0).sum())
    if unlabeled:
        lines.append(f"without a label: {unlabeled:,}, each with a suggestion in labels.csv")
    if run.unreadable.exists():
        bad = len(run.read_table(run.unreadable))
        what = "cannot be read" if noun == "image" else "is empty" if bad == 1 else "are empty"
        lines.append(f"set aside: {bad:,} {noun}{'s' if bad > 1 else ''} that {what} (unreadable.csv)")
    return lines
