"""One picture of a check: samples of each class, images with two labels. Must not know: torch, file formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from mixnn.data.check.findings import Finding, label_counts, parts_of
from mixnn.data.dataset import Dataset
from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.images.intensity import Range, as_uint8
from mixnn.data.records.records import Records
from mixnn.errors import printable
from mixnn.utils.plotting import BAD, GOOD, INK, SOFT, save, shortened, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES, SIZE = 8, 128  # images with two labels, and their pixels
NAMED = 60  # classes, beyond which their names would run into each other


def draw_findings(dataset: Dataset, findings: Sequence[Finding], path: Path, intensity: Range | None = None) -> None:
    """Write the picture to `path`; `intensity` is black and white of pixels of more than 8 bits."""
    conflicts = [finding for finding in findings if finding.kind == "conflicting labels"]
    shown = list(islice(_with_images(dataset, conflicts, intensity), PICTURES))
    figure = Figure(figsize=(14, 7 if shown else 4.5), dpi=110, facecolor="white", layout="constrained")
    if not shown:
        draw_counts(figure.add_subplot(), dataset)
    else:
        grid = GridSpec(2, 1, figure, height_ratios=[3, 2])
        above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        draw_counts(above.add_subplot(), dataset)
        below.suptitle(f"{len(conflicts):,} times the same image under another label", color=INK, fontsize=12)
        for place, (finding, image) in enumerate(shown, 1):
            axes = below.add_subplot(1, PICTURES, place)
            axes.axis("off")
            axes.imshow(image)
            title = "\n".join(shortened(printable(label)) for label in (finding.label, finding.other_label))
            axes.set_title(title, fontsize=8, color=INK, parse_math=False)
    save(figure, path)


def draw_counts(axes: Axes, dataset: Dataset) -> None:
    """Samples of each label, the parts above each other, the most frequent label first."""
    parts = parts_of(dataset)
    words = [*dataset.classes, *dataset.unlabeled]
    by_part = [label_counts(samples, dataset) for samples in parts.values()]
    counts = np.array([[count[word] for word in words] for count in by_part])  # (parts, words)
    order = np.argsort(-counts.sum(0), kind="stable")
    counts, below = counts[:, order], np.zeros(len(words))
    colors = [GOOD, BAD, SOFT, INK]
    for i, (name, part_counts) in enumerate(zip(parts, counts, strict=True)):
        label = f"{printable(name)}: {part_counts.sum():,}"
        axes.bar(range(len(words)), part_counts, bottom=below, width=0.8, color=colors[i % len(colors)], label=label)
        below += part_counts
    if len(words) <= NAMED:
        names = [shortened(printable(words[i])) for i in order]
        axes.set_xticks(range(len(words)), names, rotation=90, parse_math=False)
    axes.set_ylabel("samples")
    axes.set_title(f"{len(words):,} labels, the most frequent first", color=INK)
    axes.margins(x=0.01)
    axes.legend(fontsize=8, frameon=False, ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 1))
    tidy(axes)


def _with_images(
    dataset: Dataset, findings: Iterable[Finding], intensity: Range | None
) -> Iterable[tuple[Finding, NDArray[Any]]]:
    """Those whose image can be shown, with uint8 (H, W, 3)."""
    parts = parts_of(dataset)
    for finding in findings:
        images = parts[finding.part].images
        if isinstance(images, Records):
            continue
        if not isinstance(images, np.ndarray):
            try:
                yield finding, decode(images.source(finding.row), SIZE, intensity)
            except BadImage:  # told among the unreadable
                continue
        elif images.ndim == 4:
            yield finding, as_uint8(images[finding.row][None], intensity)[0]
