"""Tables and a picture of the files that `run` writes, and which rules hold. From the root of the repository:

    export PYTHONPATH=benchmarks
    python -m real_errors.table --results benchmarks/results/real_errors --into benchmarks/RESULTS.md \
        --picture benchmarks/real_errors.png --short README.md
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from real_errors.results import Column, read, row_names
from real_errors.rules import CLEANLAB, OURS, SURE, best_rival, rules

START, END = "<!-- real_errors -->", "<!-- end -->"
SHORT = "<!-- real_errors short -->"
SHORT_COLUMNS = {  # the README's four: a kind of mistake each
    "cifar10 human:aggre_label": "CIFAR-10,<br>by people",
    "cifar100 human:noisy_label": "CIFAR-100,<br>by people",
    "cifar10 file:IDN_0.3": "CIFAR-10,<br>on hard images",
    "banking77 symmetric-exclusive:0.05": "Banking77 texts,<br>at random",
}
SHORT_ROWS = ("mixnn", "small loss", "cleanlab self-confidence", "cleanlab normalized margin", "SelfClean ratio")
SHORT_ROWS += ("kNN disagreement",)
HEADING = f"# Results\n\n## Real label mistakes on frozen features\n\n{START}\n{END}\n"


class Shown(NamedTuple):
    """A table: its heading, the words of a cell, how good these are, higher is better, and a first row."""

    title: str
    words: Callable[[Column, str], str]
    score: Callable[[Column, str], float | None]
    first: tuple[str, Callable[[Column], str]] | None = None


def tables() -> list[Shown]:
    return [
        Shown("Average precision of the wrong labels", lambda at, row: at.shown(row, "ap"), scored("ap")),
        Shown(
            "Right after all suggestions are taken, %",
            lambda at, row: at.shown(row, "right_after", 100, 2),
            scored("right_after"),
            ("as given", lambda at: "–" if at.wrong is None else f"{100 - 100 * at.wrong:.2f}"),
        ),
        Shown(
            "Told share of wrong labels (interval), %", rate_words, rate_score, ("truth", lambda at: percent(at.wrong))
        ),
        Shown("Calibration error of the quality, %", lambda at, row: at.shown(row, "ece", 100, 1), scored("ece", -1)),
        Shown("Of suggestions with a confidence of at least 0.9, % right", sure_words, enough_sure),
        Shown(
            "Worst class: share of the suggestions beyond three times what it should have and 5, points",
            lambda at, row: at.shown(row, "class_excess", 100, 1),
            scored("class_excess", -1),
        ),
        Shown("Listed, % (precision, recall)", list_words, lambda at, row: None),
        Shown("Seconds", lambda at, row: at.shown(row, "seconds", 1, 1), lambda at, row: None),
    ]


def scored(key: str, sign: float = 1.0) -> Callable[[Column, str], float | None]:
    def score(column: Column, row: str) -> float | None:
        value = column.mean(row, key)
        return None if value is None else sign * value

    return score


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"


def rate_words(column: Column, row: str) -> str:
    low, high = column.mean(row, "rate_low"), column.mean(row, "rate_high")
    interval = "" if low is None else f" ({percent(low)} to {percent(high)})"
    return percent(column.mean(row, "rate")) + interval


def rate_score(column: Column, row: str) -> float | None:
    off = column.values(row, "rate_error")
    return -sum(map(abs, off)) / len(off) if off else None


def sure_words(column: Column, row: str) -> str:
    share = sure_score(column, row)
    return "–" if share is None else f"{100 * share:.0f} of {sum(column.values(row, 'sure')):.0f}"


def sure_score(column: Column, row: str) -> float | None:
    right, sure = column.values(row, "sure_right"), sum(column.values(row, "sure"))
    return sum(right) / sure if right and sure else None


def enough_sure(column: Column, row: str) -> float | None:
    return sure_score(column, row) if sum(column.values(row, "sure")) >= SURE else None


def list_words(column: Column, row: str) -> str:
    precision, recall = column.mean(row, "precision"), column.mean(row, "recall")
    known = "" if precision is None else f" ({percent(precision, 0)}, {percent(recall, 0)})"
    return percent(column.mean(row, "flagged")) + known


def markdown(columns: Sequence[Column], ours: str) -> str:
    """All tables, and which rules hold."""
    parts = [origin(columns)]
    parts += [text for shown in tables() if (text := table(shown, columns))]
    lines = [str(rule) for rule in rules(columns, ours)]
    return "\n\n".join([*parts, f"**What is asked of {ours}**", "\n".join(lines)]) + "\n"


def table(shown: Shown, columns: Sequence[Column]) -> str:
    """Rivals by cells, the best of each cell bold; cells and rivals without a figure are left out."""
    names = row_names(columns)
    words = {(row, at.name): shown.words(at, row) for row in names for at in columns}
    columns = [at for at in columns if any(words[row, at.name] != "–" for row in names)]
    names = [row for row in names if any(words[row, at.name] != "–" for at in columns)]
    if not columns:
        return ""
    lines = [line(["", *(heading(at) for at in columns)]), "|---" * (1 + len(columns)) + "|"]
    if shown.first is not None:
        name, of = shown.first
        lines.append(line([f"*{name}*", *(of(at) for at in columns)]))
    best = {
        at.name: max((s for row in names if (s := shown.score(at, row)) is not None), default=None) for at in columns
    }
    for row in names:
        cells = [(words[row, at.name], shown.score(at, row), best[at.name]) for at in columns]
        lines.append(
            line([row, *(f"**{text}**" if score is not None and score == top else text for text, score, top in cells)])
        )
    return f"**{shown.title}**\n\n" + "\n".join(lines)


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(column: Column) -> str:
    data, _, noise = column.name.partition(" ")
    size = f"<br>{percent(column.wrong)}% wrong" if column.wrong is not None else ""
    return f"{data}<br>{noise.replace(' n=', '<br>n=').replace(' long', '<br>long')}{size}"


def origin(columns: Sequence[Column]) -> str:
    """Command, seeds, machine and revisions."""
    draws = [draw for column in columns for draw in column.draws]
    rows = [row for draw in draws for row in draw["rows"].values()]
    seeds = ", ".join(map(str, sorted({draw["seed"] for draw in draws})))
    machines = sorted(
        {f"{draw['environment']['processor']}, threads: {draw['environment']['threads']}" for draw in draws}
    )
    revisions = sorted({str(row["git_revision"])[:7] + ("" if row["git_clean"] else " with changes") for row in rows})
    command = f"python -m real_errors.run --data DIR --cache DIR --out DIR --set {draws[0]['set']}"
    return (
        f"`{command}`, seeds {seeds}; {'; '.join(machines)}; revision {', '.join(revisions)}. Means ± deviations over "
        "seeds, the best of each column bold."
    )


def short_table(columns: Sequence[Column]) -> str:
    """The README's table: average precision in six rows and four columns."""
    by_name = {column.name: column for column in columns}
    shown = [by_name[name] for name in SHORT_COLUMNS]
    heads = [f"{SHORT_COLUMNS[at.name]}, {percent(at.wrong, 0)} % wrong" for at in shown]
    lines = [line(["", *heads]), "|---" * (1 + len(shown)) + "|"]
    values = {(row, at.name): at.mean(row, "ap") or 0.0 for row in SHORT_ROWS for at in shown}
    best = {at.name: max(values[row, at.name] for row in SHORT_ROWS) for at in shown}
    for row in SHORT_ROWS:
        texts = [(f"{values[row, at.name]:.3f}", values[row, at.name] == best[at.name]) for at in shown]
        lines.append(line([row, *(f"**{text}**" if leads else text for text, leads in texts)]))
    return "\n".join(lines)


def put_into(path: Path, text: str, start: str = START) -> None:
    """Replace what stands between the two marks of a Markdown file; make the file where it is missing."""
    content = path.read_text(encoding="utf-8") if path.exists() else HEADING
    pattern = f"{re.escape(start)}.*?{re.escape(END)}"
    changed, places = re.subn(pattern, lambda _: f"{start}\n\n{text}\n{END}", content, count=1, flags=re.DOTALL)
    if not places:
        raise SystemExit(f"{path} has no {start} with {END} behind it: put both where the tables go")
    path.write_text(changed, encoding="utf-8")


def draw(columns: Sequence[Column], ours: str, path: Path) -> None:
    """Average precision of ours, of cleanlab and of the best other rival, a line for each cell."""
    shown = [at for at in columns if at.mean(CLEANLAB, "ap") is not None][::-1]
    figure = Figure(figsize=(12, 1.6 + 0.34 * len(shown)), dpi=100, facecolor="white", layout="constrained")
    axis = figure.subplots()
    others = [best_rival(at, ours, without=[CLEANLAB, "Datalab"]) for at in shown]  # which rank alike
    series = (
        ("best other rival", [other and other[1] for other in others], "#7d7d7d", "D", 100),
        (CLEANLAB, [at.mean(CLEANLAB, "ap") for at in shown], "#e07b00", "s", 65),
        (ours, [at.mean(ours, "ap") for at in shown], "#0b5cad", "o", 95),
    )
    for place in range(len(shown)):
        known = [value for _, values, *_ in series if (value := values[place]) is not None]
        axis.plot([min(known), max(known)], [place, place], color="#d5d5d5", linewidth=3, zorder=1)
    for name, values, color, marker, size in series:
        points = [(value, place) for place, value in enumerate(values) if value is not None]
        x, y = [value for value, _ in points], [place for _, place in points]
        axis.scatter(x, y, s=size, color=color, marker=marker, label=name, zorder=2, edgecolors="white", alpha=0.85)
    names = [f"{at.name}  ({percent(at.wrong)}% wrong)" for at in shown]
    axis.set_yticks(range(len(shown)), names, fontsize=11)
    axis.set_ylim(-0.7, len(shown) - 0.3)
    axis.set_xlabel("average precision of the wrong labels", fontsize=12)
    axis.grid(axis="x", color="#eeeeee")
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.legend(
        *(part[::-1] for part in axis.get_legend_handles_labels()),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=12,
    )
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="the --out of real_errors.run")
    parser.add_argument("--set", choices=["report", "choose"], default="report")
    parser.add_argument("--ours", default=OURS[0], help="the row that is judged by the rules")
    parser.add_argument("--into", type=Path, help=f"Markdown file with {START} and {END}; the screen where not given")
    parser.add_argument("--short", type=Path, help=f"Markdown file with {SHORT} and {END}, for the short table")
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    columns = read(args.results, args.set)
    if not columns:
        raise SystemExit(f"{args.results} holds no results of the cells to {args.set}")
    text = markdown(columns, args.ours)
    if args.into:
        put_into(args.into, text)
    else:
        print(text)
    if args.short:
        put_into(args.short, short_table(columns), SHORT)
    if args.picture:
        draw(columns, args.ours, args.picture)


if __name__ == "__main__":
    main()
