"""What is made of a run's evidence: lists, thumbnails, overview, report. Must not know: how it was collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from mixnn.data.load import Loaded
from mixnn.results.issues import judge
from mixnn.results.label_lists import write_labels
from mixnn.results.report.overview import draw_overview
from mixnn.results.report.page import write_report
from mixnn.results.report.pictures import packed
from mixnn.results.report.selection import cards, pictured
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import showing

THUMBNAILS = 100  # suspects whose pictures go into the run directory as they are
Step = tuple[str, Callable[[], object]]  # the file it writes, and how


def result_steps(run: RunDirectory, loaded: Loaded) -> list[Step]:
    """Everything that is made from the files of the run."""
    return [
        (run.labels.name, lambda: write_labels(run)),
        (run.thumbnails.name, lambda: write_thumbnails(run, loaded)),
        (run.overview.name, lambda: draw_overview(run)),
        (run.report.name, lambda: write_report(run, run.report)),
    ]


def write_steps(steps: Sequence[Step], *, shown: bool = True, fatal: Sequence[str] = ()) -> list[str]:
    """Take one step after the other; one that fails does not stop the next. What failed, in words.

    Args:
        shown: say on the screen which one is under way.
        fatal: files whose error is raised all the same.
    """
    failed = []
    for name, write in steps:
        try:
            with showing(f"writing {name} …") if shown else nullcontext():
                write()
        except Exception as error:  # whatever it is, the long part is behind us
            if name in fatal:
                raise
            failed.append(f"{name} ({type(error).__name__}: {error})")
    return failed


def write_thumbnails(run: RunDirectory, loaded: Loaded) -> None:
    """Pictures of the likeliest wrong labels, and small ones of all that a report shows; embeddings have none."""
    if loaded.image_size is None:
        return
    evidence = run.read_evidence()
    issues = judge(evidence)
    top, small = issues.ranking[:THUMBNAILS], pictured(evidence, cards(evidence, issues))
    large = np.stack(list(pictures(loaded, top)))
    run.write_arrays(run.thumbnails, {"rows": top, "images": large, **packed(small, pictures(loaded, small))})


def pictures(loaded: Loaded, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The training images `rows` as uint8 (H, W, 3), one after the other."""
    for images in loaded.train.inputs(torch.from_numpy(rows)):
        yield from images.permute(0, 2, 3, 1).cpu().numpy().copy()  # the next ones take the memory of these
