"""`mixnn demo`: cross-entropy and MixNN on the same wrong labels, side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mixnn.commands.parsing import Parser
from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.issues import find_issues, suggested_labels, worst_first
from mixnn.run import Row, RunDirectory

METHODS = {"ce": "cross-entropy", "mixnn": "MixNN"}
SHOWN = 10  # real suspects


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn demo", description="Train on photos of clothes, 40 %% of them given a random label.")
    parser.add_argument("--out", default="mixnn-demo", help="directory to write both runs to")
    parser.add_argument("--epochs", type=int, default=40, help="of each run")
    parser.add_argument("--noise", default="symmetric:0.4", help="wrong labels to add to the training part")
    parser.add_argument("--limit", type=int | None, default=None, help="take the first so many training photos")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, hold-out and noise")
    given = parser.parse_words(words)

    from mixnn.training import train

    runs = {}
    for method, title in METHODS.items():
        options = TrainOptions(
            method=method,
            epochs=given.epochs,
            noise=given.noise,
            limit=given.limit,
            seed=given.seed,
            data=DataOptions(holdout=0.25),
        )
        print(f"{title}, {given.epochs} epochs", file=sys.stderr)
        # Resuming: a demo that was stopped goes on, one that is done is shown again.
        runs[method] = train(RunConfig("demo:", options), Path(given.out) / method, resume=True)
    if os.environ.get("RANK", "0") == "0":
        show(runs, RunDirectory(given.out))
    return 0


def show(runs: dict[str, RunDirectory], out: RunDirectory) -> None:
    """Print the comparison and the real suspects; save them as comparison.csv and .png beside the runs."""
    from mixnn.report.comparison import draw_comparison

    rows = [{"method": METHODS[name], **figures(run)} for name, run in runs.items()]
    out.write_table(out.path / "comparison.csv", rows)
    draw_comparison({METHODS[name]: run for name, run in runs.items()}, out.path / "comparison.png")
    print(f"\n{'':<14}{'accuracy on held-out photos':^28}{'wrong labels found':^24}")
    print(f"{'':<14}{'last epoch':>13}{'best epoch':>13}{'precision':>14}{'recall':>9}")
    for row in rows:
        cells = [f"{float(str(row[key])):.1%}" for key in ("last_accuracy", "best_accuracy", "precision", "recall")]
        print(f"{row['method']:<14}{cells[0]:>13}{cells[1]:>13}{cells[2]:>14}{cells[3]:>9}")
    show_real_suspects(runs["mixnn"])
    print(f"\nrun directories: {runs['ce'].path}, {runs['mixnn'].path} (labels.csv, overview.png, …)")
    print(f"side by side: {out.path / 'comparison.png'}, {out.path / 'comparison.csv'}")


def figures(run: RunDirectory) -> Row:
    """Accuracy of the last and of the best epoch; precision and recall of the flipped labels found, in 0–1."""
    accuracy = [float(row["accuracy"]) for row in run.read_table(run.metrics)]
    issues, flipped = find_issues(run.read_evidence()), run.read_arrays(run.noise)["flipped"]
    both = int((issues & flipped).sum())
    return {
        "last_accuracy": accuracy[-1],
        "best_accuracy": max(accuracy),
        "precision": both / max(1, int(issues.sum())),
        "recall": both / max(1, int(flipped.sum())),
    }


def show_real_suspects(run: RunDirectory) -> None:
    """Labels held to be wrong that nobody flipped: mistakes the photos came with, or ours."""
    evidence, classes = run.read_evidence(), run.read_classes()
    issues, flipped = find_issues(evidence), run.read_arrays(run.noise)["flipped"]
    suggested, confidence = suggested_labels(evidence)
    order = worst_first(evidence)
    real = order[(issues & ~flipped)[order]]
    print(f"\n{len(real)} suspects among the labels that were left as they came; the first {min(SHOWN, len(real))}:")
    for i in real[:SHOWN]:
        change = f"{classes[evidence.given[i]]} → {classes[suggested[i]]}"
        print(f"  {evidence.names[i]}  {change:<26}{confidence[i]:.0%}")
    if len(real):
        thumbnails = run.read_arrays(run.thumbnails)
        shown = np.isin(thumbnails["rows"], real).sum()
        print(f"  ({shown} of them among the {len(thumbnails['rows'])} pictures in {run.thumbnails})")
