"""Markdown tables made of result files alone. Must not know: how runs are made, torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev

from mixnn.bench.cells import Suite
from mixnn.bench.results import Result, counts
from mixnn.errors import InputError
from mixnn.run import written

BASELINE = "ce"  # the row that costs are told in


def render(suite: Suite, results: Mapping[str, Result]) -> str:
    """The accuracy table, what was found of the labels, and what stands behind the figures."""
    valid = [result for result in results.values() if counts(result)]
    if not valid:
        return f"No result of `{suite.name}` counts yet.\n"
    parts = [
        "\n".join(accuracy_table(suite, valid)),
        "\n".join(label_table(suite, valid)),
        "\n".join(provenance(suite, valid, len(results) - len(valid))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def accuracy_table(suite: Suite, results: Sequence[Result]) -> Iterator[str]:
    """Last epoch, mean ± deviation over seeds, and in brackets the best epoch; the highest last epoch is bold."""
    found = grouped(results)
    columns = [column.name for column in suite.columns if any(key[1] == column.name for key in found)]
    rows = [row for row in suite.rows if any(key[0] == row for key in found)]
    leaders = {
        column: max((row for row in rows if (row, column) in found), key=lambda row: last(found[row, column]))
        for column in columns
    }
    yield from head(["test accuracy, %: last epoch (best)", *headings(suite, columns), "cost"])
    for row in rows:
        texts = [accuracy_text(found.get((row, column), []), leaders[column] == row) for column in columns]
        yield line([row, *texts, cost_text(row, found)])


def accuracy_text(results: Sequence[Result], leads: bool) -> str:
    if not results:
        return "–"
    values = [100 * result["accuracy"]["last"] for result in results]
    text = f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
    best = mean(100 * result["accuracy"]["best"] for result in results)
    return f"{f'**{text}**' if leads else text} ({best:.1f})"


def cost_text(row: str, found: Mapping[tuple[str, str], list[Result]]) -> str:
    """Seconds of all epochs, evaluation left out, in those of cross-entropy on the same column and seed; the median."""
    ratio = cost(row, found)
    return "–" if ratio is None else f"{ratio:.1f}"


def cost(row: str, found: Mapping[tuple[str, str], list[Result]]) -> float | None:
    """See `cost_text`; None where cross-entropy was not run beside it."""
    ratios = []
    for (other, column), results in found.items():
        plain = {result["seed"]: training_seconds(result) for result in found.get((BASELINE, column), [])}
        if other == row:
            ratios += [
                training_seconds(result) / plain[result["seed"]] for result in results if result["seed"] in plain
            ]
    return median(ratios) if ratios else None


def training_seconds(result: Result) -> float:
    seconds = result["seconds"]
    return float(seconds["epochs"] - seconds["evaluate"])


LABEL_FIGURES: dict[str, Callable[[Result], float | None]] = {
    "right after correction": lambda labels: labels["right_targets"],
    "ROC AUC": lambda labels: labels["roc_auc"],
    "average precision": lambda labels: labels["average_precision"],
}


def label_table(suite: Suite, results: Sequence[Result]) -> Iterator[str]:
    """Share of right labels after correction / ROC AUC / average precision of the clean probability, means."""
    found = grouped([result for result in results if result["labels"]])
    columns = [column.name for column in suite.columns if any(key[1] == column.name for key in found)]
    if not columns:
        return
    yield from head([f"labels, %: {' / '.join(LABEL_FIGURES)}", *headings(suite, columns)])
    given = {
        column: mean(result["labels"]["right_given"] for key in found if key[1] == column for result in found[key])
        for column in columns
    }
    yield line(["*right as given*", *(f"{100 * given[column]:.1f}" for column in columns)])
    for row in suite.rows:
        if any(key[0] == row for key in found):
            yield line([row, *(label_text(found.get((row, column), [])) for column in columns)])


def label_text(results: Sequence[Result]) -> str:
    texts = []
    for figure in LABEL_FIGURES.values():
        values = [value for result in results if (value := figure(result["labels"])) is not None]
        texts.append(f"{100 * mean(values):.1f}" if values else "–")
    return " / ".join(texts)


def provenance(suite: Suite, results: Sequence[Result], uncounted: int) -> Iterator[str]:
    """Which machines, revisions and seeds; what is missing."""
    cells = sum(1 for _ in suite.cells())
    seeds = len({result["seed"] for result in results})
    machines = sorted({machine(result) for result in results})
    revisions = sorted({str(result["environment"]["git_revision"])[:7] for result in results})
    yield f"{suite.about} {len(results)} of {cells} cells, {seeds} of {len(suite.seeds)} seeds; mean ± deviation over"
    yield "seeds, each with its own draw of noise where noise is drawn. Cost: training time in that of"
    yield f"`{BASELINE}` on the same column and seed. Machine: {'; '.join(machines)}. Revision: {', '.join(revisions)}."
    if uncounted:
        yield f"{uncounted} more results do not count: they were made with uncommitted code."


def machine(result: Result) -> str:
    environment = result["environment"]
    device = environment["device"]
    name = environment["processor"] if device == "cpu" else device
    return f"{name}, {environment['cores']} cores, {environment['precision']}"


def grouped(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """By (row, column)."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result["row"], result["column"]), []).append(result)
    return found


def last(results: Sequence[Result]) -> float:
    return mean(float(result["accuracy"]["last"]) for result in results)


def headings(suite: Suite, names: Sequence[str]) -> list[str]:
    """Names of columns, without that of the data where the suite has one data set only."""
    data = {column.data for column in suite.columns}
    return [name.removeprefix(f"{next(iter(data))} ") if len(data) == 1 else name for name in names]


def head(cells: Sequence[str]) -> list[str]:
    return [line(cells), "|" + "---|" * len(cells)]


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def put_into(path: Path, suite: Suite, text: str) -> None:
    """Replace what stands between the marks `<!-- bench NAME -->` and `<!-- end -->` of a Markdown file.

    Raises:
        InputError: the file or the marks are missing.
    """
    start = f"<!-- bench {suite.name} -->"
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"--into {path} cannot be read ({error.strerror}): name a Markdown file") from error
    changed, places = re.subn(
        f"{re.escape(start)}.*?<!-- end -->",
        lambda _: f"{start}\n{text}<!-- end -->",
        content,
        count=1,
        flags=re.DOTALL,
    )
    if not places:
        raise InputError(
            f"--into {path} has no line {start} with <!-- end --> behind it: put both where the table goes"
        )
    with written(path) as temporary:
        temporary.write_text(changed, encoding="utf-8")
