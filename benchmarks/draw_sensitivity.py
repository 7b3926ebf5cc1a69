"""The picture and tables of `docs/studies/2026-11-sensitivity.md`, against K and against α, from result files alone.

python -m benchmarks.suite run sensitivity --results benchmarks/results --data cifar10:DIR --data cifar10n:FILE
python -m benchmarks.draw_sensitivity benchmarks/results --out docs/studies/2026-11-sensitivity.png > tables.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure

from benchmarks.suite.results import Result, counts, read_results
from benchmarks.suite.suites import SENSITIVITY
from benchmarks.suite.table import Found, grouped

FIGURES: dict[str, Callable[[Result], float]] = {
    "test accuracy, last epoch, %": lambda result: 100 * result["accuracy"]["last"],
    "soft targets that are right, %": lambda result: 100 * result["labels"]["right_targets"],
}


DEFAULTS = {"K": "K=1", "alpha": "alpha=0.95"}  # what the row "default" is


def rows_of(option: str) -> list[str]:
    """The rows about one option, the default's in its place."""
    rows = {DEFAULTS[option]: "default"} | {row: row for row in SENSITIVITY.rows if row.startswith(f"{option}=")}
    return [rows[row] for row in sorted(rows, key=lambda row: float(row.partition("=")[2]))]


def value_of(row: str, option: str) -> str:
    return (DEFAULTS[option] if row == "default" else row).partition("=")[2]


def table(found: Found, option: str) -> str:
    """Markdown: last epoch (best epoch) / right soft targets in %, mean ± deviation of seeds; * for a single one."""
    columns = [column.name for column in SENSITIVITY.columns]
    lines = [f"| {option} | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for row in rows_of(option):
        name = value_of(row, option) + (" (default)" if row == "default" else "")
        lines.append(f"| {name} | " + " | ".join(cell(found.get((row, column), [])) for column in columns) + " |")
    return "\n".join(lines)


def cell(results: list[Result]) -> str:
    if not results:
        return "–"
    last = [100 * result["accuracy"]["last"] for result in results]
    best = mean(100 * result["accuracy"]["best"] for result in results)
    right = mean(100 * result["labels"]["right_targets"] for result in results)
    spread = f" ± {stdev(last):.1f}" if len(last) > 1 else "*"
    return f"{mean(last):.1f}{spread} ({best:.1f}) / {right:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = grouped([result for result in read_results(given.results, SENSITIVITY).values() if counts(result)])
    figure = Figure(figsize=(13, 9), dpi=90, facecolor="white", layout="constrained")
    for line, (title, figure_of) in zip(figure.subplots(2, 2), FIGURES.items(), strict=True):
        for axis, option in zip(line, ("K", "alpha"), strict=True):
            rows = rows_of(option)
            for column in SENSITIVITY.columns:
                there = [(place, row) for place, row in enumerate(rows) if (row, column.name) in found]
                values = [[figure_of(result) for result in found[row, column.name]] for _, row in there]
                spread = [stdev(one) if len(one) > 1 else 0.0 for one in values]
                places = [place for place, _ in there]
                axis.errorbar(places, [mean(one) for one in values], spread, marker="o", capsize=3, label=column.name)
            axis.set_xticks(range(len(rows)), [value_of(row, option) for row in rows])
            axis.set(xlabel={"K": "K, neighbors", "alpha": "α of the correction"}[option], ylabel=title)
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False)
    figure.savefig(given.out)
    print(table(found, "K"), table(found, "alpha"), sep="\n\n")


if __name__ == "__main__":
    main()
