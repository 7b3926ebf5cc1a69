"""What the run directory holds of every training sample, for all exports. Must not know: tools, torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mixnn.config import IN_MEMORY
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.read import read
from mixnn.data.readers import READERS, split_source
from mixnn.data.records.records import Records
from mixnn.errors import InputError
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_list, read_records


@dataclass(frozen=True)
class Findings:
    """N training samples.

    Attributes:
        rows: N rows of `labels.csv`, as text.
        classes: C names.
        evidence: arrays of N rows.
        issues: the label quality that the run has stored.
        others: (file name, label, split) of samples that the run did not judge: held out, unreadable, left out by
            --limit; only where the data is a folder or a table.
        noun: what a sample is: image, text or row.
        texts: what each says, to be looked at; none of images.
        columns, cells: of texts and rows, what the data itself has, by name; only where it was read again.
    """

    rows: list[dict[str, str]]
    classes: list[str]
    evidence: Evidence
    issues: LabelIssues
    others: list[tuple[str, str, str]]
    noun: str = "image"
    texts: Sequence[str] = ()
    columns: Sequence[str] = ()
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_findings(run: RunDirectory, *, source: str | None = None, with_others: bool = False) -> Findings:
    """What the run found out.

    Args:
        source: where the data is now; None is where the run found it.
        with_others: read the data again, for the samples that the run did not judge.

    Raises:
        InputError: the run is not complete, or the data cannot be read.
    """
    rows, evidence = read_list(run, run.labels), run.read_evidence()
    if [row.get("file_name") for row in rows] != evidence.names.tolist():
        raise InputError(f"{run.labels} and {run.evidence} are not of one run: {run.again}")
    noun, texts = read_records(run)
    found = Findings(rows, run.read_classes(), evidence, stored_label_issues(evidence), [], noun, texts)
    dataset = whole_data(run, source, noun) if with_others else None
    if dataset is None:
        return found
    parts, records = {"train": dataset.train, **dataset.others}, dataset.train.images
    if isinstance(records, Records):
        samples = [pair for part in parts.values() for pair in zip(part.names, cells_of(part), strict=True)]
        found = replace(found, columns=records.columns, cells=dict(samples))
    return replace(found, others=other_samples(dataset, parts, set(evidence.names.tolist())))


def whole_data(run: RunDirectory, source: str | None, noun: str) -> Dataset | None:
    """The data of the run, read again, whose `others` are all parts; None where that says nothing new."""
    config = run.read_config()
    source = config.source if source is None else source
    kept = source == IN_MEMORY or READERS[split_source(source)[0]].corrected not in ("folder", "table")
    if kept and (source == IN_MEMORY or noun == "image"):
        return None
    try:
        return read(source, replace(config.options.data, heldout="train"))
    except InputError as error:
        raise InputError(f"{error}; --source says where the data of the run is now") from error


def cells_of(part: Samples) -> list[tuple[str, ...]]:
    return part.images.cells if isinstance(part.images, Records) else []


def other_samples(dataset: Dataset, parts: Mapping[str, Samples], judged: set[str]) -> list[tuple[str, str, str]]:
    """(file name, label, split) of what is not `judged`, but for what a person has thrown out."""
    left_out = judged | {dataset.train.names[row] for row in dataset.dropped.tolist()}
    return [
        (name, label, split)
        for split, part in parts.items()
        for name, label in zip(part.names, dataset.label_words(part.labels), strict=True)
        if name not in left_out
    ]
