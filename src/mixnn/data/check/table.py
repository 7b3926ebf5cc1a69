"""A check as text for a terminal, and as CSV. Must not know: how to open an image, torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.cells import cell_len

from mixnn.data.check.files import Contents
from mixnn.data.check.findings import KINDS, WRONG, Finding, label_counts, parts_of
from mixnn.data.dataset import Dataset
from mixnn.data.images.intensity import range_words, union
from mixnn.errors import InputError, printable
from mixnn.utils.csv_files import write_csv
from mixnn.utils.files import TEXT

COLUMNS = ("severity", "finding", *Finding._fields[1:-1])
SHOWN = 5  # findings of a kind


def summary_lines(findings: Sequence[Finding], max_lines: int = 6) -> list[str]:
    """A short line for each kind of finding, the worst first; `max_lines` at most."""
    lines = [
        f"{found[0].severity}: {kind}: {len(found):,}, {example(found)}" for kind, found in by_kind(findings).items()
    ]
    return (
        lines
        if len(lines) <= max_lines
        else [*lines[: max_lines - 1], f"… and {len(lines) - max_lines + 1} more kinds of findings"]
    )


def example(findings: Sequence[Finding]) -> str:
    """The first of them, in few words."""
    return ("such as " if len(findings) > 1 else "") + finding_text(findings[0])


def report_lines(dataset: Dataset, contents: Contents, findings: Sequence[Finding]) -> Iterator[str]:
    """Everything, for standard output."""
    yield from count_lines(dataset)
    yield ""
    noun = dataset.train.noun
    yield from size_lines(contents, len(dataset.unreadable), noun)
    for kind, found in by_kind(findings).items():
        severity, what = KINDS[kind]
        yield ""
        yield f"{severity}: {kind}: {len(found):,}  ({what.replace('image', noun)})"
        yield from (f"  {finding_text(finding)}" for finding in found[:SHOWN])
        if len(found) > SHOWN:
            yield f"  … and {len(found) - SHOWN:,} more"
    wrong = sum(finding.severity == WRONG for finding in findings)
    yield ""
    yield f"wrong: {wrong:,} in all" if wrong else "no file is damaged, double or odd; for wrong labels: `mixnn find`"


def by_kind(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """In the order of `KINDS`."""
    groups = {kind: [finding for finding in findings if finding.kind == kind] for kind in KINDS}
    return {kind: found for kind, found in groups.items() if found}


def count_lines(dataset: Dataset) -> list[str]:
    """Samples of each class and part."""
    parts = parts_of(dataset)
    counts = {name: label_counts(samples, dataset) for name, samples in parts.items()}
    unknown = {word: f"{word} (unlabeled)" for word in dataset.unlabeled}
    rows = [["class", *parts]]
    for word in [*dataset.classes, *dataset.unlabeled]:
        rows.append([unknown.get(word, word), *(f"{counts[name][word]:,}" for name in parts)])
    return aligned([*rows, ["(all)", *(f"{len(samples):,}" for samples in parts.values())]])


def size_lines(contents: Contents, none: int, noun: str = "image") -> Iterator[str]:
    """How many images can be read, how large they are, and of what modes."""
    total, bad = len(contents.sizes), len(contents.unreadable)
    yield f"{noun + 's':<8} {total - bad:,} can be read, {bad + none:,} cannot"
    sizes = contents.sizes[contents.sizes[:, 0] > 0]
    if len(sizes):
        yield f"sizes    {len(np.unique(sizes, axis=0)):,} different"
        for name, sides in {"short": sizes.min(1), "long": sizes.max(1)}.items():
            low, middle, high = (int(np.quantile(sides, q, method="lower")) for q in (0, 0.5, 1))
            yield f"         {name} side: smallest {low:,}, median {middle:,}, largest {high:,} px"
    if contents.spans:
        found = range_words(union(contents.spans).range)
        yield f"values   {len(contents.spans):,} of more than 8 bits; {found} becomes 0 to 255 (--data.intensity-range)"
    yield "modes    " + (", ".join(f"{mode} {count:,}" for mode, count in contents.modes.most_common()) or "none")


def finding_text(finding: Finding) -> str:
    """One finding in one line."""
    one = _named(finding.part, finding.file_name, finding.label)
    other = _named(finding.other_part, finding.other_file_name, finding.other_label)
    detail = f"({finding.detail})" if finding.detail else ""
    sign = "=" if finding.other_file_name and not finding.kind.startswith("near") else "~"
    return " ".join(filter(None, [one, f"{sign} {other}" if other else "", detail]))


def _named(part: str, file_name: str, label: str) -> str:
    within = "" if file_name.startswith(f"{part}/") else part
    return " ".join(filter(None, [within, file_name, f"'{label}'" if label else ""]))


def aligned(rows: list[list[str]]) -> list[str]:
    """Columns side by side, the first to the left; wide characters count as what they take."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip([first, *others], widths, strict=True)]
        lines.append("  ".join([first + gaps[0], *(gap + cell for gap, cell in zip(gaps[1:], others, strict=True))]))
    return lines


def check_free(path: Path) -> None:
    """Raises InputError where `path` is no CSV, or it or the picture beside it would replace something else."""
    picture = path.with_suffix(".png")
    if path.suffix.lower() != ".csv":
        raise InputError(f"--out {path}: give a file name that ends in .csv")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ours = path.exists() and path.read_bytes().startswith(",".join(COLUMNS).encode())
    except OSError as error:
        raise InputError(f"--out {path} cannot be written ({error.strerror}): choose another") from error
    for taken in (path, picture):
        if taken.exists() and not ours:
            raise InputError(f"--out {path}: {taken} already holds something else: choose another")


def write_findings(findings: Sequence[Finding], path: Path) -> None:
    """A row each, the columns `COLUMNS`; UTF-8, and bytes that are none as they are."""
    ordered = (finding for found in by_kind(findings).values() for finding in found)
    write_csv(path, COLUMNS, ((finding.severity, *map(_storable, finding[:-1])) for finding in ordered))


def _storable(text: str) -> str:
    """`text`, or with escapes where it has half a character, as JSON allows."""
    try:
        text.encode(**TEXT)
        return text
    except UnicodeEncodeError:
        return printable(text)
