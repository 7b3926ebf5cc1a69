"""What is made of a run's evidence: lists, thumbnails, overview, report. Must not know: how it was collected."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mixnn.data.load import Loaded
from mixnn.results.issues import stored_label_issues
from mixnn.results.label_lists import write_labels
from mixnn.results.report.overview import draw_overview
from mixnn.results.report.page import write_report
from mixnn.results.report.pictures import encoded_pictures
from mixnn.results.report.selection import cards, pictured
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import showing

THUMBNAILS = 100  # label issues whose pictures go into the run directory as they are


class Steps:
    """Steps that each write a file; one that fails does not stop the next.

    Args:
        shown: say on the screen which one is under way.

    Attributes:
        failed: what could not be written, in words.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self.shown = shown
        self.failed: list[str] = []

    @contextmanager
    def writing(self, file: Path, *, fatal: bool = False) -> Iterator[None]:
        """What stands inside writes `file`; `fatal`: an error in it is raised all the same."""
        try:
            with showing(f"writing {file.name} …") if self.shown else nullcontext():
                yield
        except Exception as error:  # whatever it is, the long part is behind us
            if fatal:
                raise
            self.failed.append(f"{file.name} ({type(error).__name__}: {error})")


def write_results(run: RunDirectory, loaded: Loaded, steps: Steps) -> None:
    """Everything that is made from the files of the run."""
    with steps.writing(run.labels):
        write_labels(run)
    with steps.writing(run.thumbnails):
        write_thumbnails(run, loaded)
    with steps.writing(run.overview):
        draw_overview(run)
    gc.collect()  # figures and pages refer to themselves, and would keep what they show beside what is read next
    with steps.writing(run.report):
        write_report(run, run.report)
    gc.collect()


def write_thumbnails(run: RunDirectory, loaded: Loaded) -> None:
    """Pictures of the likeliest wrong labels, and small ones of all that a report shows; embeddings have none."""
    if loaded.image_size is None:
        return
    evidence = run.read_evidence()
    issues = stored_label_issues(evidence)
    top, small = issues.ranking[:THUMBNAILS], pictured(evidence, cards(evidence, issues))
    large = np.stack(list(pictures(loaded, top)))
    run.write_arrays(run.thumbnails, {"rows": top, "images": large, **encoded_pictures(small, pictures(loaded, small))})


def pictures(loaded: Loaded, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The training images `rows` as uint8 (H, W, 3), one after the other."""
    for images in loaded.train.inputs(torch.from_numpy(rows)):
        yield from images.permute(0, 2, 3, 1).cpu().numpy().copy()  # the next ones take the memory of these
