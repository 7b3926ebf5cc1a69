"""Average precision of outliers and near duplicates beside cleanlab's Datalab, on the same features.

    export PYTHONPATH=benchmarks
    python -m outliers.run --data DIR --cache DIR --out benchmarks/results/outliers.json
    python -m outliers.run --out benchmarks/results/outliers.json --into docs/studies/2026-12-outliers.md

Rows that are in the file are not made again. The second command makes the tables. Data as for `real_errors`, and
`test_near_duplicates_cifair.csv` in each CIFAR's folder. Settings were chosen by cells of the set "choose" alone.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from outliers.data import ODD, Cifar, cifar, clothing

import mixnn
from mixnn.runs.environment import environment

Bools = NDArray[np.bool_]


class Cell(NamedTuple):
    """Samples of which some are odd; the labels of these are drawn, and so wrong."""

    name: str
    used: str  # "choose" or "report"
    seed: int
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    odd: Bools


def mixed(name: str, used: str, home: Cifar, other: Cifar, test: bool, rate: float, seed: int) -> Cell:
    """Images of one set with so many of the other one among them."""
    rng = np.random.default_rng(seed)
    base, pool = (np.flatnonzero(part.drawn & (part.test == test)) for part in (home, other))
    chosen = rng.choice(pool, round(rate * len(base) / (1 - rate)), replace=False)
    labels = np.concatenate([home.labels[base], rng.integers(0, home.labels.max() + 1, len(chosen))])
    features = np.concatenate([home.features[base], other.features[chosen]])
    return Cell(name, used, seed, features, labels, np.arange(len(labels)) >= len(base))


def outlier_cells(data: Path, cache: Path, sets: dict[str, Cifar]) -> Iterator[Cell]:
    """In the order of the table."""
    ten, hundred = sets["cifar10"], sets["cifar100"]
    for rate in (0.01, 0.05):
        for seed in range(3):
            words = f"CIFAR-100 among CIFAR-10, {rate:.0%}"
            yield mixed(f"{words} (test part)", "choose", ten, hundred, True, rate, seed)
            yield mixed(f"{words} (training part)", "report", ten, hundred, False, rate, seed)
    for seed in range(3):
        yield mixed("CIFAR-10 among CIFAR-100, 5%", "report", hundred, ten, False, 0.05, seed)
    _, features, words = clothing(data, cache)
    odd = np.isin(words, ODD)
    classes = sorted({word for word, out in zip(words, odd, strict=True) if not out})
    places = np.array([0 if out else classes.index(word) for word, out in zip(words, odd, strict=True)])
    for seed in range(3):
        drawn = np.random.default_rng(seed).integers(0, len(classes), len(places))
        name = f"clothing: {', '.join(ODD)}"
        yield Cell(name, "report", seed, features, np.where(odd, drawn, places), odd)


def outlier_row(cell: Cell) -> dict[str, Any]:
    """Average precision of all, and what is flagged."""
    without, given = mixnn.find_outliers(cell.features), mixnn.find_outliers(cell.features, cell.labels)
    lab = datalab(cell.features, "outlier")
    score, flag = lab["outlier_score"].to_numpy(), lab["is_outlier_issue"].to_numpy()
    return {
        "cell": cell.name,
        "set": cell.used,
        "seed": cell.seed,
        "samples": len(cell.odd),
        "odd": int(cell.odd.sum()),
        "mixnn": average_precision(cell.odd, given.score),
        "mixnn without labels": average_precision(cell.odd, without.score),
        "Datalab": average_precision(cell.odd, -score),
        "flagged": [flagged(cell.odd, given.is_outlier), flagged(cell.odd, flag)],
        "flagged_without_odd": int(
            mixnn.find_outliers(cell.features[~cell.odd], cell.labels[~cell.odd]).is_outlier.sum()
        ),
    }


def duplicate_rows(name: str, part: Cifar) -> Iterator[dict[str, Any]]:
    """Near duplicates by features, by pixels and by both; samples of pairs that are only very similar do not count."""
    truth = {tuple(sorted(pair[:2])): pair[2] for pair in part.pairs.tolist()}
    same, similar = (np.zeros(len(part.test), bool) for _ in range(2))
    for one, other, judged in part.pairs.tolist():
        (same if judged <= 1 else similar)[[one, other]] = True
    counted = same | ~similar
    known = sum(judged <= 1 for judged in truth.values())
    kinds = {"features and pixels": (part.features, part.images), "features": (part.features, None)}
    for kind, (features, images) in (kinds | {"pixels": (None, part.images)}).items():
        found = mixnn.find_near_duplicates(features, images)
        across = [tuple(pair) for pair in found.pairs.tolist() if part.test[pair[0]] != part.test[pair[1]]]
        yield {
            "data": name,
            "rule": f"mixnn, {kind}",
            "ap": average_precision(same[counted], found.score[counted]),
            **judgments(across, truth, known),
        }
    lab = datalab(part.features, "near_duplicate")
    sets = lab["near_duplicate_sets"]
    across = sorted(
        {(min(i, j), max(i, j)) for i, rows in enumerate(sets) for j in rows.tolist() if part.test[i] != part.test[j]}
    )
    ranked = average_precision(same[counted], -lab["near_duplicate_score"].to_numpy()[counted])
    yield {"data": name, "rule": "Datalab, features", "ap": ranked, **judgments(across, truth, known)}


def judgments(pairs: list[tuple[int, ...]], truth: dict[tuple[int, ...], int], known: int) -> dict[str, int]:
    """What people said of pairs between the parts; "unknown" pairs are not in the list of ciFAIR."""
    judged = [truth.get(pair, -1) for pair in pairs]
    counts = {"near duplicates": sum(0 <= j <= 1 for j in judged), "very similar": judged.count(2)}
    return {"pairs": len(pairs), **counts, "unknown": judged.count(-1), "known": known}


def datalab(features: NDArray[np.float32], issue: str) -> Any:
    """cleanlab's table of one kind of issue, as it comes."""
    from cleanlab import Datalab

    with contextlib.redirect_stdout(io.StringIO()):
        lab = Datalab({"row": list(range(len(features)))})
        lab.find_issues(features=features, issue_types={issue: {}})
    return lab.get_issues(issue)


def average_precision(truth: Bools, score: NDArray[np.floating]) -> float:
    right = truth[np.argsort(-score, kind="stable")]
    return round(float((np.cumsum(right) / np.arange(1, len(right) + 1) * right).sum() / right.sum()), 4)


def flagged(truth: Bools, flags: Bools) -> dict[str, int]:
    return {"flagged": int(flags.sum()), "right": int((flags & truth).sum())}


def tables(result: dict[str, Any]) -> str:
    """Both as Markdown."""
    rivals = ("mixnn", "mixnn without labels", "Datalab")
    heads = ["", "draws", *rivals, "flagged by mixnn: right/all", "by Datalab", "by mixnn without the odd ones"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for used, title in (("report", "reported"), ("choose", "settings were chosen by")):
        lines.append(f"| *{title}* |" + " |" * (len(heads) - 1))
        for cell in dict.fromkeys(row["cell"] for row in result["outliers"] if row["set"] == used):
            rows = [row for row in result["outliers"] if row["cell"] == cell]
            means = [np.mean([row[rival] for row in rows]) for rival in rivals]
            best = max(means)
            shown = [f"**{mean:.3f}**" if mean == best else f"{mean:.3f}" for mean in means]
            ends = [
                ", ".join(f"{row['flagged'][i]['right']}/{row['flagged'][i]['flagged']}" for row in rows)
                for i in (0, 1)
            ]
            clean = ", ".join(str(row["flagged_without_odd"]) for row in rows)
            lines.append(f"| {cell.replace('%', ' %')} | {len(rows)} | {' | '.join([*shown, *ends, clean])} |")
    heads = ["data", "rule", "average precision", "pairs found", "near duplicates", "very similar", "unknown"]
    lines += ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in result["near_duplicates"]:
        counts = [row["pairs"], f"{row['near duplicates']} of {row['known']}", row["very similar"], row["unknown"]]
        lines.append(f"| {row['data']} | {row['rule']} | {row['ap']:.3f} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--cache", type=Path, help="folder of their features, made where missing")
    parser.add_argument("--out", type=Path, required=True, help="the file of results")
    parser.add_argument("--into", type=Path, help="page to write the tables into")
    given = parser.parse_args()
    if given.data is not None:
        known = environment(0, "cpu", "float32")
        known["command"] = "python -m outliers.run --data DIR --cache DIR --out benchmarks/results/outliers.json"
        sets = {name: cifar(name, given.data, given.cache) for name in ("cifar10", "cifar100")}
        made = {"git_revision": known["git_revision"]}
        result: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
        result = {"near_duplicates": [], "outliers": []} | result | {"environment": known}
        done = {(row["cell"], row["seed"]) for row in result["outliers"]}
        for name, title in (("cifar10", "CIFAR-10 (chosen by)"), ("cifar100", "CIFAR-100 (reported)")):
            if any(row["data"] == title for row in result["near_duplicates"]):
                continue
            for row in duplicate_rows(title, sets[name]):
                print(row, flush=True)
                result["near_duplicates"].append(row | made)
                given.out.write_text(json.dumps(result, indent=1) + "\n")
        for cell in outlier_cells(given.data, given.cache, sets):
            if (cell.name, cell.seed) in done:
                continue
            result["outliers"].append(outlier_row(cell) | made)
            print(result["outliers"][-1], flush=True)
            given.out.write_text(json.dumps(result, indent=1) + "\n")
    if given.into is not None:
        page, made = given.into.read_text(), tables(json.loads(given.out.read_text()))
        given.into.write_text(re.sub(r"(<!-- outliers -->\n).*?(\n<!-- end -->)", rf"\1\n{made}\n\2", page, flags=re.S))


if __name__ == "__main__":
    main()
