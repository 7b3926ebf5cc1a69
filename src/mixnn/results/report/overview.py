"""One picture of a run: curves, loss histogram, label issues. Must not know: torch, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import noise_rate_words, stored_label_issues
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.utils.files import read_yaml
from mixnn.utils.plotting import BAD, GOOD, INK, SOFT, save, shortened, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Images = Mapping[int, Any]  # row of the training set -> uint8 (H, W, 3)
SHOWN, ACROSS = 16, 8
NAMED, WRITTEN = 30, 12  # classes whose names, or figures, have room beside the noise matrix


def draw_overview(run: RunDirectory) -> None:
    """Write `overview.png` from the files of the run directory."""
    evidence, classes, config = run.read_evidence(), run.read_classes(), read_yaml(run.config)
    thumbnails = run.read_arrays(run.thumbnails) if run.thumbnails.exists() else {}
    issues = stored_label_issues(evidence)
    flagged = int(issues.is_label_issue.sum())
    added = f", noise {config['noise']} added" if config["noise"] else ""
    how = f"{config['method']}, {config['epochs']} epochs" if run.trained else "label issues"
    figure, charts, pictures = new_page(
        f"{how}, data {config['source']}{added}, seed {config['seed']}",
        f"{flagged:,} of {len(evidence.given):,} labels are flagged as issues; the likeliest, given → suggested",
    )
    if run.trained:
        draw_curves(figure.add_subplot(charts[0]), run.read_table(run.metrics))
        draw_losses(figure.add_subplot(charts[1]), evidence)
    else:
        draw_quality(figure.add_subplot(charts[0]), issues)
        draw_noise_matrix(figure.add_subplot(charts[1]), evidence.noise_matrix, classes)
    images = dict(zip(thumbnails["rows"].tolist(), thumbnails["images"], strict=True)) if thumbnails else {}
    draw_issues(figure, pictures, evidence, issues, classes, issues.ranking[:flagged].tolist(), images)
    save(figure, run.overview)


def new_page(title: str, below: str) -> tuple[Figure, GridSpec, GridSpec]:
    """A page with two charts above and pictures below, both headed."""
    figure = Figure(figsize=(14, 9.4), dpi=110, facecolor="white")
    figure.suptitle(title, color=INK, y=0.96, fontsize=14, parse_math=False)
    figure.text(0.5, 0.465, below, ha="center", color=INK, fontsize=12, parse_math=False)
    charts = GridSpec(1, 2, figure, top=0.88, bottom=0.55, wspace=0.25)
    pictures = GridSpec(SHOWN // ACROSS, ACROSS, figure, top=0.41, bottom=0.02, hspace=0.4, wspace=0.1)
    return figure, charts, pictures


def draw_curves(axes: Axes, rows: list[dict[str, str]]) -> None:
    """Held-out accuracy, share of labels taken as clean, and training loss, by epoch."""
    epochs = [int(row["epoch"]) for row in rows]
    for column, label, color in [
        ("accuracy", f"accuracy ({rows[0].get('heldout', '')})", GOOD),
        ("clean_fraction", "share of labels taken as clean", SOFT),
        ("right_targets", "share of right labels after correction", "#8250df"),
    ]:
        values = [float(row[column]) if row.get(column) else np.nan for row in rows]
        if not np.isnan(values).all():
            axes.plot(epochs, values, color=color, label=f"{label}, last {values[-1]:.3f}")
    axes.set(xlabel="epoch", ylim=(0, 1), title="learning curves")
    loss = axes.twinx()
    loss.plot(epochs, [float(row["train_loss"]) for row in rows], color=BAD, ls=":")
    low, high = loss.get_ylim()
    loss.set_ylim(low - 0.35 * (high - low), high)  # room for the legend
    loss.set_ylabel("training loss (dotted)", color=BAD)
    if axes.get_legend_handles_labels()[0]:
        loss.legend(*axes.get_legend_handles_labels(), loc="lower right", fontsize=8)
    tidy(axes)
    tidy(loss)


def draw_losses(axes: Axes, evidence: Evidence) -> None:
    """Histogram of the losses against the given labels, and the mixture fitted to it."""
    assert evidence.loss is not None  # of a training
    assert evidence.mixture is not None
    losses = evidence.loss[~np.isnan(evidence.loss)]
    axes.hist(losses, bins=60, range=(0, 1), density=True, color="#cbd2d9")
    means, variances, weights = evidence.mixture
    x = np.linspace(0, 1, 400)
    for k, (label, color) in enumerate([("clean", GOOD), ("noisy", BAD)]):
        if np.isfinite(means[k]):
            density = np.exp(-((x - means[k]) ** 2) / (2 * variances[k])) / np.sqrt(2 * np.pi * variances[k])
            axes.plot(x, weights[k] * density, color=color, label=f"{label}: {weights[k]:.0%}")
    axes.set(xlabel="loss against the given label, in 0–1", ylabel="density", title="losses and their mixture")
    axes.set_ylim(0, 1.05 * np.histogram(losses, 60, (0, 1), density=True)[0].max())
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    tidy(axes)


def draw_quality(axes: Axes, issues: LabelIssues) -> None:
    """Histogram of label quality; the flagged labels in another color."""
    known = ~np.isnan(issues.label_quality)
    flagged = issues.is_label_issue
    qualities = [issues.label_quality[known & ~flagged], issues.label_quality[flagged]]
    names = [f"not flagged: {len(qualities[0]):,}", f"flagged as label issues: {len(qualities[1]):,}"]
    axes.hist(qualities, bins=40, range=(0, 1), stacked=True, color=[GOOD, BAD], label=names)
    axes.set(xlabel="label quality, in 0–1", ylabel="labels", title=noise_rate_words(issues), yscale="symlog")
    axes.legend(fontsize=8, frameon=False, loc="upper center")
    tidy(axes)


def draw_noise_matrix(axes: Axes, matrix: NDArray[np.floating], classes: Sequence[str]) -> None:
    """How each class is labeled, off its diagonal; in figures where there is room."""
    off = matrix * (1 - np.eye(len(matrix)))
    axes.imshow(off, cmap="Reds", vmin=0, vmax=max(0.3, 1.6 * float(off.max())), aspect="auto")
    axes.set(ylabel="true label", title="noise matrix, %: which labels (columns) a class is given")
    if len(classes) <= NAMED:
        names = [shortened(name, 12) for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
    if len(classes) <= WRITTEN:
        for (true, given), prob in np.ndenumerate(matrix):
            axes.text(given, true, f"{100 * prob:.0f}", ha="center", va="center", fontsize=8, color=INK)
    tidy(axes)


def draw_issues(
    figure: Figure,
    grid: GridSpec,
    evidence: Evidence,
    issues: LabelIssues,
    classes: list[str],
    rows: Sequence[int],
    images: Images,
) -> None:
    """The samples `rows`, as many as fit: thumbnail, given → suggested."""
    for place, row in enumerate(rows[:SHOWN]):
        axes = figure.add_subplot(grid[place // ACROSS, place % ACROSS])
        axes.axis("off")
        if row in images:
            axes.imshow(images[row])
        else:
            name = shortened(str(evidence.names[row]), 24)
            axes.text(0.5, 0.8, name, ha="center", fontsize=8, color=SOFT, parse_math=False)
        given = shortened(classes[evidence.given[row]])
        title = f"{given} →\n{shortened(classes[issues.suggested[row]])} {issues.suggested_confidence[row]:.0%}"
        axes.set_title(title, fontsize=8, color=INK, parse_math=False)
