"""What is wrong with a data set, before anything is trained on it. Must not know: torch, file formats."""

from __future__ import annotations

from mixnn.data.check.files import Contents, Progress, read_contents
from mixnn.data.check.findings import Finding, class_findings, parts_of, path_keys, repeat_findings, unreadable_findings
from mixnn.data.dataset import Dataset


def check(dataset: Dataset, *, workers: int, progress: Progress) -> tuple[Contents, list[Finding]]:
    """Look at every image of every part.

    Args:
        dataset: as `read_source` gives it.
        workers: processes; below 2, this one alone.
        progress: told how many images are done, of how many.

    Raises:
        LocalError: the system ended a process.
    """
    images = [samples.images for samples in parts_of(dataset).values()]
    contents = read_contents(images, path_keys(dataset), workers=workers, progress=progress)
    return contents, [
        *class_findings(dataset),
        *repeat_findings(dataset, contents.keys),
        *unreadable_findings(dataset, contents.unreadable),
        *(Finding("unreadable", part, name, detail=reason) for part, name, reason in dataset.unreadable),
    ]
