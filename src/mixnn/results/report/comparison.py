"""Learning curves of several runs in one picture. Must not know: torch, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mixnn.results.issues import stored_label_issues
from mixnn.results.report.overview import Images, draw_issues, new_page
from mixnn.runs.directory import RunDirectory
from mixnn.utils.plotting import BAD, GOOD, INK, SOFT, save, tidy


def draw_comparison(
    runs: Mapping[str, RunDirectory], path: Path, title: str, below: str, issues: Sequence[int], images: Images
) -> None:
    """Write held-out accuracy by epoch and the final losses of each run to `path`, and label issues of the last run."""
    figure, charts, pictures = new_page(title, below)
    curves, losses = figure.add_subplot(charts[0]), figure.add_subplot(charts[1])
    for (name, run), color in zip(runs.items(), (BAD, GOOD, SOFT, INK), strict=False):
        rows, evidence = run.read_table(run.metrics), run.read_evidence()
        accuracy = [float(row["accuracy"]) for row in rows]
        label = f"{name}, last {accuracy[-1]:.1%}"
        curves.plot([int(row["epoch"]) for row in rows], accuracy, color=color, label=label)
        assert evidence.loss is not None  # of a training
        losses.hist(
            evidence.loss[~np.isnan(evidence.loss)],
            bins=60,
            range=(0, 1),
            density=True,
            color=color,
            alpha=0.5,
            label=name,
        )
    curves.set(xlabel="epoch", ylabel="accuracy", title=f"accuracy on {rows[-1]['heldout']}")
    losses.set(xlabel="loss against the given label, in 0–1", title="losses after training")
    for axes in (curves, losses):
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    draw_issues(figure, pictures, evidence, stored_label_issues(evidence), run.read_classes(), issues, images)
    save(figure, path)
