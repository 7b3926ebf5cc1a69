"""What every sample was labeled, and is from now on. Must not know: file formats, the command line, torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mixnn.data.dataset import Dataset
from mixnn.data.labels.corrections import Corrections, check_corrections
from mixnn.errors import InputError
from mixnn.results.issues import given_words
from mixnn.runs.directory import Evidence

ORIGINAL = "original_label"  # column with the label of before


@dataclass(frozen=True)
class Changes:
    """Labels by file name, of training samples; one that is in neither table has the label that the data gives it.

    Attributes:
        before: where the run was given another label than the data's own.
        after: labels from now on; None for samples that are left out.
    """

    before: dict[str, str]
    after: dict[str, str | None]

    def of(self, names: Sequence[str], current: Sequence[str]) -> tuple[list[str], list[str | None]]:
        """Labels before and from now on, of samples that the data labels `current`; None where one is left out."""
        samples = list(zip(names, current, strict=True))
        return [self.before.get(*sample) for sample in samples], [self.after.get(*sample) for sample in samples]


def check_reviewed(
    corrections: Corrections, path: str, evidence: Evidence, classes: list[str], *, new_classes: bool
) -> None:
    """Raise InputError unless these decisions are about the samples of this run.

    Args:
        path: of the corrections, for messages.
        classes: of the run.
        new_classes: a label may be none of them.
    """
    words = given_words(evidence, classes)
    check_corrections(corrections, path, evidence.names.tolist(), words, new_classes=new_classes)
    given = labels_by_name(evidence.names.tolist(), [words[label] for label in evidence.given.tolist()])
    for name, (decision, label) in corrections.items():
        if decision == "keep" and label not in given[name]:
            was = " or ".join(map(repr, sorted(given[name])))
            raise InputError(
                f"{path} keeps {name} as {label!r}, but the run was given {was}: corrections of another run"
            )


def find_changes(
    evidence: Evidence,
    classes: list[str],
    dataset: Dataset,
    earlier: Corrections,
    corrections: Corrections,
    *,
    in_data: bool,
    noise: bool,
) -> Changes:
    """What decisions make of the labels that the run was given.

    Args:
        evidence, classes: of the run.
        dataset: what the run read, with the labels of before any decision or noise.
        earlier: decisions that the run itself was given.
        corrections: those of now, which count more.
        in_data: the labels of `dataset` are the data's own, not those of a file beside it.
        noise: wrong labels were added for the run.

    Raises:
        InputError: it is not the data of the run, or not any more.
    """
    names, words = dataset.train.names, dataset.label_words(dataset.train.labels)
    run_words = given_words(evidence, classes)
    given = [run_words[label] for label in evidence.given.tolist()]
    in_the_data = labels_by_name(names, words)
    for name, labels in labels_by_name(evidence.names.tolist(), given).items():
        if name not in in_the_data:
            raise InputError(f"the data has no {name!r}, which the run was trained on: give the run's data as --source")
        if not (noise or name in earlier or labels <= in_the_data[name]):
            now, then = (" or ".join(map(repr, sorted(some))) for some in (in_the_data[name], labels))
            raise InputError(
                f"the data says {now} of {name}, but the run was given {then}: give the run's data as --source"
            )
    before = {} if in_data and not noise else dict(zip(names, words, strict=True))
    if noise:
        before |= {name: word for name, word in zip(evidence.names.tolist(), given, strict=True) if name not in earlier}
    after: dict[str, str | None] = dict(before)
    after |= {name: correction.label for name, correction in (dict(earlier) | dict(corrections)).items()}
    return Changes(before, after | {names[row]: None for row in dataset.dropped.tolist()})


def labels_by_name(names: Sequence[str], words: Sequence[str]) -> dict[str, set[str]]:
    """Data may have a file twice, and then with two labels."""
    found: dict[str, set[str]] = {}
    for name, word in zip(names, words, strict=True):
        found.setdefault(name, set()).add(word)
    return found
