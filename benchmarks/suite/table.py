"""Markdown tables made of result files alone. Must not know: how runs are made, torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev

from benchmarks.suite.cells import Suite
from benchmarks.suite.results import Result, counts
from mixnn.errors import InputError
from mixnn.utils.files import atomic_write

BASELINE = "ce"  # the row that costs are told in


Found = Mapping[tuple[str, str], list[Result]]  # by (row, column)


def render(suite: Suite, results: Mapping[str, Result]) -> str:
    """The accuracy table, what was found of the labels, and what stands behind the figures."""
    valid = [result for result in results.values() if counts(result)]
    if not valid:
        return f"No result of `{suite.name}` counts yet.\n"
    parts = [
        "\n".join(accuracy_table(suite, grouped(valid))),
        "\n".join(label_table(suite, grouped([result for result in valid if result["labels"]]))),
        "\n".join(trust_table(suite, grouped([result for result in valid if "calibration_error" in result]))),
        "\n".join(provenance(suite, valid, len(results) - len(valid))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def present(suite: Suite, found: Found) -> tuple[list[str], list[str]]:
    """Rows and columns that have results, in the suite's order."""
    rows = [row for row in suite.rows if any(key[0] == row for key in found)]
    return rows, [column.name for column in suite.columns if any(key[1] == column.name for key in found)]


def accuracy_table(suite: Suite, found: Found) -> Iterator[str]:
    """Last epoch, mean ± deviation over seeds, and in brackets the best epoch; the highest last epoch is bold."""
    rows, columns = present(suite, found)
    held_out = suite.common.get("data", {}).get("heldout") == "train"
    judged = "accuracy on held-out training images" if held_out else "test accuracy"
    yield from head([f"{judged}, %: last epoch (best)", *headings(suite, columns), "cost"])
    most = {column: max(len(found.get((row, column), [])) for row in rows) for column in columns}
    asked = Counter((cell.row, cell.column.name) for cell in suite.cells())  # rows may differ in their seeds
    seeds = {key: min(count, most.get(key[1], 0)) for key, count in asked.items()}
    best = {
        column: max(
            last(found[row, column]) for row in rows if 0 < len(found.get((row, column), [])) == seeds[row, column]
        )
        for column in columns
    }
    for row in rows:
        texts = [
            accuracy_text(found.get((row, column), []), seeds.get((row, column), 0), best[column]) for column in columns
        ]
        ratio = cost(row, found)
        yield line([row, *texts, "–" if ratio is None else f"{ratio:.1f}"])


def accuracy_text(results: Sequence[Result], seeds: int, best: float) -> str:
    """A cell of the table; `seeds`: how many others have, where it has fewer it says so, and does not lead."""
    if not results:
        return "–"
    values = [100 * result["accuracy"]["last"] for result in results]
    text = f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
    few = "" if len(values) == seeds else f", {len(values)} of {seeds} seeds"
    text = f"**{text}**" if not few and last(results) == best else text
    return f"{text} ({mean(100 * result['accuracy']['best'] for result in results):.1f}{few})"


def cost(row: str, found: Found) -> float | None:
    """Time of all epochs without evaluation, in that of cross-entropy on the same column, seed and machine: the median.

    None where cross-entropy was not run beside it. Runs that were interrupted do not count.
    """
    ratios = []
    for (other, column), results in found.items():
        plain = {key: seconds for key, seconds in map(timed, found.get((BASELINE, column), [])) if seconds is not None}
        if other == row:
            ratios += [
                seconds / plain[key] for key, seconds in map(timed, results) if key in plain and seconds is not None
            ]
    return median(ratios) if ratios else None


def timed(result: Result) -> tuple[tuple[int, str], float | None]:
    """(seed, machine), and the seconds; None where the run was interrupted."""
    whole = "resumed" not in result["environment"]
    return (result["seed"], machine(result)), training_seconds(result) if whole else None


def training_seconds(result: Result) -> float:
    seconds = result["seconds"]
    return float(seconds["epochs"] - seconds["evaluate"])


Figures = dict[str, Callable[[Result], float | None]]
LABEL_FIGURES: Figures = {
    "right after correction": lambda labels: labels["right_targets"],
    "ROC AUC of the list": lambda labels: labels.get("list_roc_auc"),
    "its average precision": lambda labels: labels.get("list_average_precision"),
}
# Of results made before the list was scored: what the mixture of the losses alone says, which is no list.
MIXTURE_FIGURES: Figures = {
    "right after correction": lambda labels: labels["right_targets"],
    "ROC AUC of the loss mixture": lambda labels: labels.get("roc_auc"),
    "its average precision": lambda labels: labels.get("average_precision"),
}


def label_table(suite: Suite, found: Found) -> Iterator[str]:
    """Share of right labels after correction / ROC AUC / average precision of the list of suspects, means."""
    rows, columns = present(suite, found)
    if not columns:
        return
    results = [result["labels"] for several in found.values() for result in several if result["labels"]]
    scored = any("list_roc_auc" in labels for labels in results)
    figures = LABEL_FIGURES if scored else MIXTURE_FIGURES
    yield from head([f"labels, %: {' / '.join(figures)}", *headings(suite, columns)])
    given = [
        mean(result["labels"]["right_given"] for key in found if key[1] == column for result in found[key])
        for column in columns
    ]
    yield line(["*right as given*", *(f"{100 * share:.1f}" for share in given)])
    for row in rows:
        yield line([row, *(label_text(found.get((row, column), []), figures) for column in columns)])


def label_text(results: Sequence[Result], figures: Figures) -> str:
    if not results:
        return "–"
    texts = []
    for figure in figures.values():
        values = [value for result in results if (value := figure(result["labels"])) is not None]
        texts.append(f"{100 * mean(values):.1f}" if values else "–")
    return " / ".join(texts)


def trust_table(suite: Suite, found: Found) -> Iterator[str]:
    """Calibration error, and the right labels flagged as issues: of all classes, and of the worst; means over seeds.

    Results made before these figures were kept are not in it.
    """
    rows, columns = present(suite, found)
    if not columns:
        return
    title = "calibration error, % / right labels flagged as issues, %: mean of classes (worst class)"
    yield from head([title, *headings(suite, columns)])
    for row in rows:
        yield line([row, *(trust_text(found.get((row, column), [])) for column in columns)])


def trust_text(results: Sequence[Result]) -> str:
    if not results:
        return "–"
    errors = [result["calibration_error"] for result in results if result["calibration_error"] is not None]
    text = f"{100 * mean(errors):.1f}" if errors else "–"
    flagged = [
        [share for share in result["labels"]["right_flagged"] if share is not None]
        for result in results
        if result["labels"]
    ]
    if not flagged:
        return f"{text} / –"
    return f"{text} / {100 * mean(map(mean, flagged)):.1f} ({100 * mean(map(max, flagged)):.1f})"


def provenance(suite: Suite, results: Sequence[Result], uncounted: int) -> Iterator[str]:
    """Which machines, revisions and seeds; what is missing."""
    cells = sum(1 for _ in suite.cells())
    seeds = len({result["seed"] for result in results})
    machines = sorted({machine(result) for result in results})
    made_by = [
        part for result in results for part in [result["environment"], *result["environment"].get("resumed", [])]
    ]
    revisions = sorted({str(part["git_revision"])[:7] for part in made_by})
    yield suite.about
    yield f"{len(results)} of {cells} cells, {seeds} of {len(suite.seeds)} seeds; mean ± deviation over seeds, each"
    yield "with its own draw of noise where noise is drawn. Cost: training time in that of"
    yield f"`{BASELINE}` on the same column, seed and machine, the median. ROC AUC and average precision: of wrong"
    yield "labels by the clean probability of a mixture fitted to the final losses, or by the list; the heading says."
    yield f"Machine: {'; '.join(machines)}. Revision: {', '.join(revisions)}."
    if uncounted:
        yield f"{uncounted} more results do not count: they were made with uncommitted code."


def machine(result: Result) -> str:
    environment = result["environment"]
    device = environment["device"]
    name = environment["processor"] if device == "cpu" else device
    cores = environment["cores"]
    threads = environment.get("threads", cores)  # results of before do not say
    used = "" if threads == cores else f", {threads} thread{'s' * (threads > 1)}"
    return f"{name}, {cores} cores{used}, {environment['precision']}"


def grouped(results: Sequence[Result]) -> Found:
    """Results by row and column."""
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
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--into {path} cannot be read ({error}): name a Markdown file") from error
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
    with atomic_write(path) as temporary:
        temporary.write_text(changed, encoding="utf-8")
