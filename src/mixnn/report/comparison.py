"""Learning curves of several runs in one picture. Must not know: torch, training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from mixnn.report.overview import BAD, GOOD, INK, SOFT, tidy
from mixnn.run import RunDirectory, replacing


def draw_comparison(runs: Mapping[str, RunDirectory], path: Path) -> None:
    """Write held-out accuracy by epoch, and the losses against the given labels at the end, of each run to `path`."""
    figure = Figure(figsize=(12, 4.2), dpi=110, facecolor="white", layout="constrained")
    curves, losses = figure.subplots(1, 2)
    for (name, run), colour in zip(runs.items(), (BAD, GOOD, SOFT, INK), strict=False):
        rows = run.read_table(run.metrics)
        accuracy = [float(row["accuracy"]) for row in rows]
        curves.plot(
            [int(row["epoch"]) for row in rows], accuracy, color=colour, label=f"{name}, last {accuracy[-1]:.1%}"
        )
        losses.hist(run.read_evidence().loss, bins=60, range=(0, 1), density=True, color=colour, alpha=0.5, label=name)
    curves.set(xlabel="epoch", ylabel="accuracy", title=f"accuracy on {rows[-1]['heldout']}")
    losses.set(xlabel="loss against the given label, stretched to 0–1", title="losses after training")
    for axes in (curves, losses):
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
