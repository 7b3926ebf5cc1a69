"""Who finds the wrong labels? One robust run against cross-validation, and against what else a single run can say.

    pip install -e '.[bench,cleanlab]'
    python -m benchmarks.detection run cifar10:DIR --human FILE --out benchmarks/results/detection [--seeds 0 1 2]
    python -m benchmarks.detection run clothing:DIR --noise symmetric:0.2 --out benchmarks/results/detection
    python -m benchmarks.detection table benchmarks/results/detection --picture docs/studies/2026-11-detection.png

Every way uses the same network, epochs, schedule, augmentation and noise draw. One file for each kind of noise and
seed; those that are there are not made again. Rows:

    ours (METHOD)   one run of METHOD, judged as `labels.csv` is
    cleanlab        `get_label_quality_scores` of out-of-sample probabilities, and the list of `find_label_issues`:
                    cross-entropy in five folds
    small loss      the loss of one run of cross-entropy
    kNN             share of the ten nearest neighbors that carry the label, in that run's features
    FINE            one run of FINE, its alignment with the main direction of its class
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch.nn.functional import normalize

from benchmarks.suite.suites import SMALL
from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.data.load import Loaded, load
from mixnn.data.read import read
from mixnn.errors import InputError
from mixnn.evidence.forward_pass import eval_pass
from mixnn.methods.base import Method
from mixnn.methods.fine import FINE, alignment, principal_components
from mixnn.results.issues import neighbor_agreement, stored_label_issues
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer, with_defaults
from mixnn.training.evidence import collect_evidence, judge_labels
from mixnn.training.loop import fit

CIFAR = ("symmetric:0.2", "symmetric:0.5", "asymmetric:0.4", "human:aggre_label", "human:worse_label")
FOLDS = 5


class Found(NamedTuple):
    """How good every label is held to be, higher is better (N,), what should stand in its place (N,), which may be the
    label itself, what if it is known to be wrong (N,), and which are held to be wrong (N,), if this is said.
    """

    quality: NDArray[np.floating]
    suggested: NDArray[np.int64]
    other: NDArray[np.int64]
    listed: NDArray[np.bool_] | None = None

    @classmethod
    def by(
        cls,
        quality: NDArray[np.floating],
        predicted: NDArray[np.floating],
        labels: NDArray[np.int64],
        listed: NDArray[np.bool_] | None = None,
    ) -> Found:
        """Suggestions are what is believed most, (N, C)."""
        others = predicted.copy()
        others[np.arange(len(labels)), labels] = -np.inf
        return cls(quality, predicted.argmax(1), others.argmax(1), listed)


def run(given: argparse.Namespace) -> None:
    noises = given.noise or CIFAR
    if given.human is None and any(noise.startswith("human:") for noise in noises):
        raise InputError("human labels need --human FILE, CIFAR-10N's label file; or leave them away with --noise")
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        for noise in noises:
            path = given.out / f"{given.source.partition(':')[0]}-{noise.replace(':', '-')}_{seed}.json"
            if path.exists():
                continue
            print(path.stem, flush=True)
            result = compare(given, noise, seed, path.stem)
            path.write_text(json.dumps(result, indent=1) + "\n")


def compare(given: argparse.Namespace, noise: str, seed: int, cell_name: str) -> dict[str, Any]:
    """All rows for one draw of the noise."""
    kind, _, name = noise.partition(":")
    options = TrainOptions(
        **SMALL | {"limit": given.limit, "epochs": given.epochs},
        noise=f"file:{given.human}:{name}" if kind == "human" else noise,
        seed=seed,
        data=DataOptions(root=given.root),
    )
    loaded = load(read(given.source, options.data), options.for_reading(), torch.device("cpu"))
    assert loaded.dataset.original is not None
    true, labels = loaded.dataset.original, loaded.train.labels.numpy()
    rows = {}
    for row, found, seconds, evidence in opinions(loaded, options, given.ours):
        if given.keep and evidence:
            folder = given.keep / f"{cell_name}_{row}"
            folder.mkdir(parents=True, exist_ok=True)
            RunDirectory(folder).write_evidence(evidence)
            np.save(folder / "true.npy", true)
        rows[row] = figures(found, labels, true) | {"seconds": round(seconds, 1)}
        print(f"  {row:<14}", " ".join(f"{key} {value:.3f}" for key, value in rows[row].items()), flush=True)
    about: dict[str, Any] = environment(seed, "cpu", "auto")
    about["threads"] = torch.get_num_threads()
    about["command"] = f"detection.py run {given.source.partition(':')[0]}:DIR --epochs {given.epochs}"
    return {
        "source": given.source.partition(":")[0],
        "noise": noise,
        "seed": seed,
        "epochs": given.epochs,
        "samples": len(labels),
        "wrong": float((labels != true).mean()),
        "noise_hash": (loaded.noise_record or {}).get("labels_sha256"),
        "rows": rows,
        "environment": about,
    }


def opinions(
    loaded: Loaded, options: TrainOptions, ours: Sequence[str]
) -> Iterator[tuple[str, Found, float, Evidence | None]]:
    """Each row with the seconds that its training took, and the evidence that it was judged by as `labels.csv` is."""
    labels = loaded.train.labels
    given = labels.numpy()
    plain, of_plain = trained(loaded, options, "ce")
    seen = evidence_of(plain, loaded)
    yield "small loss", Found.by(-seen.loss, seen.probs, given), of_plain, None
    yield "kNN", Found.by(neighbor_agreement(seen), votes(seen), given), of_plain, None
    yield "ours (ce)", stored_findings(seen), of_plain, seen
    for name in ours:
        method, seconds = trained(loaded, options, name)
        seen = evidence_of(method, loaded)
        yield f"ours ({name})", stored_findings(seen), seconds, seen
    method, seconds = trained(loaded, options, "fine")
    features, probs, _ = eval_pass([method.network], loaded.train)
    z = normalize(features)
    assert isinstance(method, FINE)
    score = alignment(z, labels, principal_components(z[method.clean], labels[method.clean], probs.shape[1]))
    yield "FINE", Found.by(score.numpy(), probs.log().numpy(), given), seconds, None
    unseen, seconds = out_of_sample(loaded, options)
    listed = find_label_issues(given, unseen)
    yield "cleanlab", Found.by(get_label_quality_scores(given, unseen), unseen, given, listed), seconds, None


def trained(loaded: Loaded, options: TrainOptions, method: str) -> tuple[Method, float]:
    """One run from scratch, and its seconds; what looks at held-out images is no part of it."""
    options = replace(options, method=method)
    config = with_defaults(RunConfig("", options))
    started = time.perf_counter()
    made = build_method(config.for_method(), loaded.train, len(loaded.dataset.classes), torch.device("cpu"))
    optimizer, scheduler = build_optimizer(made, options.for_optimizer())
    fit(made, loaded.train, optimizer, scheduler, epochs=options.epochs, seed=options.seed)
    return made, time.perf_counter() - started


def out_of_sample(loaded: Loaded, options: TrainOptions) -> tuple[NDArray[np.float64], float]:
    """Probabilities (N, C) by networks that have not seen the sample, by cross-entropy in folds."""
    labels = loaded.train.labels
    probs, total = np.zeros((len(labels), len(loaded.dataset.classes))), 0.0
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=options.seed)
    for _, held_out in folds.split(labels, labels):
        train = copy(loaded.train)
        train.labels = labels.index_fill(0, torch.from_numpy(held_out), -1)  # no batch is drawn from these
        train.labeled = train.labels.ge(0).nonzero()[:, 0]
        method, seconds = trained(loaded._replace(train=train), options, "ce")
        probs[held_out] = eval_pass([method.network], loaded.train).probs.double().numpy()[held_out]
        total += seconds
    return probs / probs.sum(1, keepdims=True), total


def evidence_of(method: Method, loaded: Loaded) -> Evidence:
    names = [str(i) for i in range(len(loaded.train))]
    return judge_labels(collect_evidence(method, loaded.train), loaded.train, method.num_classes, names).evidence


def stored_findings(evidence: Evidence) -> Found:
    issues = stored_label_issues(evidence)
    other = np.where(issues.suggested == evidence.given, issues.second, issues.suggested)
    return Found(issues.quality, issues.suggested, other, issues.issue)


def votes(evidence: Evidence) -> NDArray[np.float32]:
    """How many of the ten nearest neighbors carry each label, (N, C)."""
    votes = np.zeros_like(evidence.probs)
    for column in evidence.neighbors.T:
        votes[np.arange(len(votes)), evidence.given[column]] += 1
    return votes


def figures(found: Found, labels: NDArray[np.int64], true: NDArray[np.int64]) -> dict[str, float]:
    """How well the wrong labels come first, 0–1, and what the suggestions are worth.

    precision: of as many labels as are wrong, the worst. suggestion: of the wrong labels, how many are suggested
    rightly; other: the same where a label is known to be wrong, so that keeping it is no answer. right: after taking
    the suggestion for just as many labels as are wrong. Of a row's own list of wrong labels: share of all labels,
    precision, recall, and labels that are right after taking all of its suggestions.
    """
    wrong = labels != true
    worst = np.argsort(found.quality, kind="stable")[: int(wrong.sum())]
    cleaned = labels.copy()
    cleaned[worst] = found.suggested[worst]
    own: dict[str, float] = {}
    if found.listed is not None:
        both = float((found.listed & wrong).sum())
        taken = np.where(found.listed, found.suggested, labels)
        own = {
            "listed": float(found.listed.mean()),
            "list_precision": both / max(1, int(found.listed.sum())),
            "list_recall": both / max(1, int(wrong.sum())),
            "list_right": float((taken == true).mean()),
        }
    return own | {
        "auc": float(roc_auc_score(wrong, -found.quality)),
        "ap": float(average_precision_score(wrong, -found.quality)),
        "precision": float(wrong[worst].mean()),
        "suggestion": float((found.suggested == true)[wrong].mean()),
        "other": float((found.other == true)[wrong].mean()),
        "right": float((cleaned == true).mean()),
    }


def table(given: argparse.Namespace) -> None:
    """Markdown of all files: mean ± deviation over seeds; and the picture."""
    results = [json.loads(path.read_text()) for path in sorted(given.results.glob("*.json"))]
    if not results:
        raise InputError(f"{given.results} holds no results (*.json): give the --out of `detection.py run`")
    columns = list(dict.fromkeys((result["source"], result["noise"]) for result in results))
    rows = list(dict.fromkeys(row for result in results for row in result["rows"]))

    def there(column: tuple[str, str], row: str, key: str) -> list[float]:
        of_column = [result["rows"] for result in results if (result["source"], result["noise"]) == column]
        return [found[row][key] for found in of_column if key in found.get(row, {})]

    lists = ("listed", "list_precision", "list_recall", "list_right")
    for key in ("ap", "auc", "precision", "suggestion", "other", "right", *lists, "seconds"):
        print(f"\n**{key}**\n")
        print("| | " + " | ".join(" ".join(column) for column in columns) + " |")
        print("|---" * (1 + len(columns)) + "|")
        for row in rows:
            print(f"| {row} | " + " | ".join(cell(there(column, row, key), key) for column in columns) + " |")
    if given.picture:
        draw({row: {column: there(column, row, "ap") for column in columns} for row in rows}, given.picture)


def cell(values: list[float], key: str) -> str:
    digits = 0 if key == "seconds" else 3
    if not values:
        return "–"
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def draw(found: Mapping[str, Mapping[tuple[str, str], list[float]]], path: Path) -> None:
    """Average precision of each row, a group of bars for each kind of noise."""
    figure = Figure(figsize=(12, 4.5), dpi=100, facecolor="white", layout="constrained")
    axis = figure.subplots()
    columns = list(next(iter(found.values())))
    for place, (row, values) in enumerate(found.items()):
        heights = [mean(values[column]) if values[column] else 0.0 for column in columns]
        at = np.arange(len(columns)) + (place - len(found) / 2) * 0.8 / len(found)
        axis.bar(at, heights, 0.75 / len(found), label=row, color=f"C{place}", alpha=1 if "ours" in row else 0.6)
    axis.set_xticks(range(len(columns)), ["\n".join(column) for column in columns])
    axis.set(ylabel="average precision of wrong labels", ylim=(0, 1))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    running = parts.add_parser("run", help="do what is missing")
    running.add_argument("source")
    running.add_argument("--human", type=Path, help="CIFAR-10N's labels")
    running.add_argument("--root", help="where a table's images are")
    running.add_argument("--noise", nargs="+", help=f"{', '.join(CIFAR)} where not given; human:LABEL of --human")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--keep", type=Path, help="folder for the evidence that ours were judged by, to judge anew")
    running.add_argument("--epochs", type=int, default=20)
    running.add_argument("--ours", nargs="+", default=["posterior"], help="methods, a run each")
    running.add_argument("--limit", type=int, default=10_000)
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.set_defaults(do=run)
    showing = parts.add_parser("table", help="Markdown and a picture of what is there")
    showing.add_argument("results", type=Path)
    showing.add_argument("--picture", type=Path)
    showing.set_defaults(do=table)
    given = parser.parse_args()
    try:
        given.do(given)
    except InputError as error:
        raise SystemExit(f"detection.py: {error}") from error


if __name__ == "__main__":
    main()
