"""Why one label is doubted, in words and numbers, from a finished run. Must not know: torch, the data set."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import given_words, is_outlier, percent, stored_label_issues
from mixnn.results.label_lists import shortened
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_records

TOP = 3  # classes of a row of probabilities
LONG, SHORT = 1000, 100  # characters of the text in question, and of its neighbors
CLOSE = 3  # names that an unknown one may have meant


def explain(run: RunDirectory, name: str) -> list[str]:
    """Lines for a terminal about the sample called `name`, and each other one of that name.

    Raises:
        InputError: no sample of the run is called so, or the run is not complete.
    """
    evidence, classes = run.read_evidence(), run.read_classes()
    noun, texts = read_records(run)
    rows = np.flatnonzero(evidence.names == name)
    if len(rows) == 0:  # a.jpg for cat/a.jpg, 7 or A12 for row 7 A12, where there is no other one
        ends = [np.char.endswith(evidence.names, f"{sign}{name}") for sign in "/ "]
        rows = np.flatnonzero(
            ends[0] | ((ends[1] | np.char.startswith(evidence.names, f"row {name} ")) if texts else False)
        )
        rows = rows if len(rows) == 1 else rows[:0]
    if len(rows) == 0:
        names = [str(known) for known in evidence.names]
        close = difflib.get_close_matches(name, names, CLOSE, 0.6) if len(names) <= 100_000 else []
        close = list(dict.fromkeys([*[known for known in names if name in known][:CLOSE], *close]))[:CLOSE]
        fix = f"did you mean {', '.join(close)}?" if close else f"labels.csv in {run.path} has all names"
        raise InputError(f"--explain {name}: the run has no such sample: {fix}")
    issues = stored_label_issues(evidence)
    told = partial(about, evidence, issues, classes, trained=run.trained, noun=noun, texts=texts)
    return [line for row in rows.tolist() for line in told(row)]


def about(
    evidence: Evidence,
    issues: LabelIssues,
    classes: list[str],
    row: int,
    *,
    trained: bool,
    noun: str = "image",
    texts: Sequence[str] = (),
) -> Iterator[str]:
    """One sample: its label, its neighbors, the classifier, the noise, and what follows from them.

    Args:
        noun: what a sample is called.
        texts: what each says, where it is no image.
    """
    given, suggested = int(evidence.given[row]), int(issues.suggested[row])
    words = given_words(evidence, classes)
    yield str(evidence.names[row])
    if texts:
        yield f"  {noun:<17} {shortened(texts[row], LONG)}"
    if given < 0:
        yield f"  given label       none ({words[given]!r}); suggested: {classes[suggested]}"
    else:
        state = "flagged as a label issue" if issues.is_label_issue[row] else "not flagged"
        state = "confirmed by a person" if issues.verified[row] else state
        yield f"  given label       {words[given]}: quality {issues.label_quality[row]:.3f}, {state}"
    yield from neighbor_lines(evidence, words, row, texts)
    who = "trained network" if trained else "classifier"
    unseen = "" if trained else " (has not seen this label)"
    yield f"  {who:<17} {largest(evidence.probs[row], classes)}{unseen}"
    if given >= 0 and suggested != given:
        prob = evidence.noise_matrix[suggested, given]
        yield f"  noise matrix      of all {classes[suggested]}, {percent(prob)} are labeled {classes[given]}"
    elif given >= 0:
        yield f"  noise matrix      of all {classes[given]}, {percent(evidence.noise_matrix[given, given])} keep it"
    yield f"  all together      {largest(evidence.label_posterior[row], classes)}"
    if evidence.outlier_score is not None:
        word = "an outlier" if is_outlier(evidence)[row] else "no outlier"
        yield f"  outlier score     {evidence.outlier_score[row]:.2f}, {word}"
    same = "near duplicate" if noun == "image" else f"same {noun}"
    for other in duplicates(evidence, row):
        label = words[evidence.given[other]]
        yield f"  {same:<17} {evidence.names[other]}, labeled {label}"


def neighbor_lines(evidence: Evidence, words: list[str], row: int, texts: Sequence[str] = ()) -> Iterator[str]:
    """How many of the nearest carry which label, then each by name, nearest first."""
    nearest = evidence.neighbors[row]
    labels, counts = np.unique(evidence.given[nearest], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    label_counts = ", ".join(f"{counts[i]} {words[labels[i]]}" for i in order)
    yield f"  {f'{len(nearest)} nearest':<17} {label_counts}"
    for k, other in enumerate(nearest.tolist()):
        far = "" if evidence.distances is None else f"  distance {evidence.distances[row, k]:.3f}"
        says = f"  {shortened(texts[other], SHORT)}" if texts else ""
        yield f"    {words[evidence.given[other]]:<20} {evidence.names[other]}{far}{says}"


def duplicates(evidence: Evidence, row: int) -> list[int]:
    """Rows of its near duplicates."""
    pairs = evidence.near_duplicates
    return [*pairs[pairs[:, 0] == row, 1].tolist(), *pairs[pairs[:, 1] == row, 0].tolist()]


def largest(probs: NDArray[np.floating], classes: list[str]) -> str:
    """The likeliest classes with their probabilities."""
    top = np.argsort(-probs, kind="stable")[:TOP]
    return ", ".join(f"{classes[label]} {percent(probs[label])}" for label in top)
