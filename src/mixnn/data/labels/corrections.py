"""What a person decided about labels: `corrections.csv`, read and checked. Must not know: torch, runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mixnn.data.readers.columns import Places, is_utf8
from mixnn.data.readers.table import read_content
from mixnn.data.words import in_spelling_of
from mixnn.errors import InputError

COLUMNS = ("file_name", "corrected_label", "decision")
DECISIONS = ("accept", "other", "keep", "drop")


class Correction(NamedTuple):
    """One decision.

    Attributes:
        decision: one of `DECISIONS`: the suggested label, another one, the given one, or none of them.
        label: what the sample is; None for one that is dropped.
    """

    decision: str
    label: str | None


Corrections = Mapping[str, Correction]  # by file name


def read_corrections(path: str, words: Collection[str] = ()) -> dict[str, Correction]:
    """The decisions of a `corrections.csv`, by file name.

    Further columns do no harm, nor does a decision that is there twice.

    Args:
        words: that a label may be; `1.0`, as a table program writes it, is the `1` among them.

    Raises:
        InputError: the file is missing or no such table, a decision is unknown or does not go with its label, or two
            of them are about one file.
    """
    content = read_content(path, "csv", lambda header: _places(header, path))
    if not content.names:
        raise InputError(f"{path} has no rows: decide about a label first, in the page of `mixnn report`")
    assert content.splits is not None  # the column of decisions stands in for it
    assert content.lines is not None
    found: dict[str, Correction] = {}
    labels = in_spelling_of(content.labels, words)
    for name, label, decision, line in zip(content.names, labels, content.splits, content.lines, strict=True):
        now = _correction(label, decision, f"{path}, line {line}")
        if found.setdefault(name, now) != now:
            both = " and ".join(f"{one.decision} {one.label or ''}".strip() for one in (found[name], now))
            raise InputError(f"{path}, line {line}: {name} is decided twice, {both}: keep one")
    return found


def check_corrections(
    corrections: Corrections, path: str, names: Collection[str], classes: Sequence[str], *, new_classes: bool = False
) -> None:
    """Raise InputError unless the decisions are about these samples and classes.

    Args:
        path: of the corrections, for messages.
        names: file names of the samples that may be decided about.
        classes: words that a label may be.
        new_classes: any word may be.
    """
    strange = corrections.keys() - set(names)
    if strange:
        first = next(name for name in corrections if name in strange)
        if not is_utf8(first):
            raise InputError(f"{path} has the file {first!r}, which the data has not, and is no UTF-8: save it as that")
        count = f"{len(strange):,} of {len(corrections):,} files"
        fix = "give the ones that were made for it"
        raise InputError(
            f"{path} has {count} that the data has not, first {first!r}: corrections of another data set; {fix}"
        )
    for name, correction in corrections.items():
        if correction.label is not None and not new_classes and correction.label not in classes:
            some = ", ".join(map(repr, classes[:20]))
            raise InputError(f"{path}: {name} is {correction.label!r}, which is no class: correct it; they are {some}")


def _places(header: Sequence[str], path: str) -> Places:
    missing = [name for name in COLUMNS if list(header).count(name) != 1]
    if missing:
        fix = f"put {','.join(COLUMNS)} into the first line, each once"
        raise InputError(f"{path} has no column {' or '.join(missing)}: {fix}")
    name, label, decision = map(list(header).index, COLUMNS)
    return Places(name, label, decision)


def _correction(label: str, decision: str, where: str) -> Correction:
    decision = decision.strip().lower()
    if decision not in DECISIONS:
        raise InputError(f"{where}: decision {decision!r} is unknown: use one of {', '.join(DECISIONS)}")
    if decision == "drop":
        if label:
            raise InputError(f"{where}: drop does not go with the label {label!r}: empty it, or write other")
        return Correction(decision, None)
    if not label and decision != "keep":  # what is kept may be an empty label that means "don't know"
        raise InputError(f"{where}: {decision} needs a label: fill in corrected_label, or write drop")
    if not is_utf8(label):
        raise InputError(f"{where}: label {label!r} is not UTF-8: save the file as UTF-8")
    return Correction(decision, label)
