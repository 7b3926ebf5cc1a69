"""What a person gets of the labels of several annotators: tables and a picture. Must not know: torch, the screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mixnn.label_quality.consensus import Consensus
from mixnn.results.issues import percent
from mixnn.results.report.overview import draw_noise_matrix
from mixnn.utils.csv_files import write_csv
from mixnn.utils.files import as_text
from mixnn.utils.plotting import GOOD, INK, save, tidy

REQUESTS = 100  # labels to ask for, in the list
FILES = ("consensus.csv", "annotators.csv", "annotations.csv", "ask_next.csv", "consensus.png")
FEW = 20  # labels of an annotator, with fewer of which an accuracy says little
SHOWN = 3


def write_consensus(found: Consensus, out: Path) -> None:
    """Write `FILES` into a folder."""
    names = [np.asarray(list(part), dtype=object) for part in (found.items, found.annotators, found.classes)]
    votes = found.votes
    places = map(np.take, names, (votes.item, votes.annotator, votes.label))
    requests = found.ask_next(min(REQUESTS, len(found)))
    tables: dict[str, Mapping[str, Any]] = {
        "consensus.csv": found.item_columns(),
        "annotators.csv": found.annotator_columns(),
        "annotations.csv": dict(zip(("item", "annotator", "label"), places, strict=True))
        | {"label_quality": found.annotation_quality},
        "ask_next.csv": {
            name: [getattr(one, name) for one in requests] for name in ("item", "annotator", "information")
        },
    }
    for name, columns in tables.items():
        rows = zip(*columns.values(), strict=True)
        write_csv(out / name, list(columns), ([as_text("" if cell is None else cell) for cell in row] for row in rows))
    draw_consensus(found, out / "consensus.png")


def consensus_lines(found: Consensus) -> list[str]:
    """What came out, for the screen."""
    unlabeled, several = int((found.num_labels == 0).sum()), int((found.num_labels > 1).sum())
    overruled = int(((found.by_votes >= 0) & (found.consensus != found.by_votes)).sum())
    lines = [
        f"{len(found):,} items, annotators: {len(found.annotators):,}, {int(found.num_labels.sum()):,} labels, "
        f"{len(found.classes):,} classes; items with several labels: {several:,}",
        f"consensus: about {percent(float(found.consensus_quality.mean()))} of the items are expected to be right",
    ]
    if overruled:
        lines.append(f"features speak against the labels of {overruled:,} items (votes_label in consensus.csv)")
    if unlabeled:
        lines.append(f"without a label: {unlabeled:,} items, each with a suggestion")
    enough = np.flatnonzero(found.annotator_labels >= FEW)
    if len(enough) > 1:
        worst = enough[np.argsort(found.annotator_accuracy[enough], kind="stable")][:SHOWN]
        told = [f"{found.annotators[i]} {percent(found.annotator_accuracy[i])}" for i in worst.tolist()]
        lines.append(f"least accurate annotators (of {FEW} labels or more): {', '.join(told)}")
    first = found.ask_next(SHOWN)
    lines.append("ask next: " + ", ".join(f"{one.annotator or 'somebody new'} about {one.item}" for one in first))
    return lines


def draw_consensus(found: Consensus, path: Path) -> None:
    """How good annotators are, how sure the consensus is, and how a typical annotator labels."""
    figure = Figure(figsize=(16, 5), dpi=110, facecolor="white")
    left, middle, right = figure.subplots(1, 3)
    left.scatter(found.annotator_labels, found.annotator_accuracy, color=GOOD, alpha=0.7)
    left.set(xlabel="labels of an annotator", ylabel="accuracy", ylim=(0, 1.02), title="annotators", xscale="symlog")
    middle.hist(found.consensus_quality, bins=40, range=(0, 1), color=GOOD)
    middle.set(xlabel="P(consensus is right)", ylabel="items", yscale="symlog", title="quality of the consensus")
    draw_noise_matrix(right, found.model.typical.matrix, [str(name) for name in found.classes])
    right.set_title("a typical annotator, %", color=INK)
    tidy(left)
    tidy(middle)
    figure.tight_layout()
    save(figure, path)
