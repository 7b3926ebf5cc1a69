"""Accuracy against noise and against cost, as one picture. Must not know: how runs are made, torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from matplotlib import color_sequences
from matplotlib.figure import Figure

from benchmarks.suite.cells import Suite
from benchmarks.suite.results import Result, counts
from benchmarks.suite.table import cost, grouped, headings, last, present
from mixnn.utils.plotting import INK, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "osD^vPX<>hp*d8H"


def draw(suite: Suite, results: Mapping[str, Result], path: Path) -> None:
    """Left: last epoch of each row, column by column. Right: its mean over the columns against what it costs."""
    found = grouped([result for result in results.values() if counts(result)])
    rows, columns = present(suite, found)
    figure = Figure(figsize=(14, 6), dpi=110, facecolor="white", layout="constrained")
    figure.suptitle(f"{suite.name}: test accuracy of the last epoch, mean over seeds", color=INK, fontsize=14)
    by_noise, by_cost = figure.subplots(1, 2, width_ratios=(1.4, 1))
    colors = dict(zip(rows, cycle([*color_sequences["tab10"], *color_sequences["Dark2"]]), strict=False))
    for place, row in enumerate(rows):
        style = {"color": colors[row], "marker": MARKS[place % len(MARKS)], "label": row}
        present_columns = [column for column in columns if (row, column) in found]
        values = [100 * last(found[row, column]) for column in present_columns]
        by_noise.plot([columns.index(column) for column in present_columns], values, linewidth=1, alpha=0.9, **style)
        if len(present_columns) == len(columns) and (ratio := cost(row, found)) is not None:
            by_cost.plot([ratio], [mean(values)], linestyle="none", markersize=9, **style)
            by_cost.annotate(row, (ratio, mean(values)), (6, 4), textcoords="offset points", fontsize=9, color=INK)
    by_noise.set(xticks=range(len(columns)), ylabel="accuracy, %")
    by_noise.set_xticklabels(headings(suite, columns), rotation=15)
    by_noise.legend(fontsize=8, frameon=False, ncols=2)
    by_cost.set(xlabel="cost of training, in that of cross-entropy", ylabel="mean over the columns, %", xscale="log")
    ticks(by_cost, [ratio for row in rows if (ratio := cost(row, found)) is not None])
    for axes in (by_noise, by_cost):
        tidy(axes)
    save(figure, path)


def ticks(axes: Axes, costs: list[float]) -> None:
    """Plain numbers on the logarithmic scale of costs."""
    shown = [tick for tick in (0.5, 1, 1.5, 2, 3, 5, 7, 10, 15, 20) if tick <= 1.5 * max(costs, default=1)]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
