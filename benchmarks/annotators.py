"""One label out of several annotators': who is right most often? From the root of the repository:

    export PYTHONPATH=benchmarks
    python benchmarks/annotators.py --data DIR --cache DIR --out benchmarks/results/annotators.json
    python benchmarks/annotators.py --cells asked --out benchmarks/results/annotators_asked.json
    python benchmarks/annotators.py --into benchmarks/RESULTS.md

CIFAR-10N has three labels of people for each photo, and the truth is known. Sparse annotators are simulated on the same
photos: fifty, each with a noise matrix of its own, three labels a photo, some 110 labels each; "some guess" has good
and bad ones, and five who always give one label. Features are those of `real_errors`. `asked` starts from two labels of
600 items, without features, and asks for 600 more: by `ask_next`, or by chance. A row that is there stays.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from real_errors import features as encoders

from mixnn import find_consensus
from mixnn.runs.environment import environment

CLASSES, ANNOTATORS, EACH = 10, 50, 3  # of the simulation; labels an item
SKILL = {"skilled": (4.0, 2.0), "some guess": (2.0, 2.0)}  # Beta distribution of an annotator's accuracy
SIZE, SPARSE = 2_000, 1_833  # photos of a draw
ASKED, BATCH, ASKED_ITEMS = 600, 100, 600
COMPARED = ("majority", "crowd-kit majority", "crowd-kit Dawid–Skene", "cleanlab", "mixnn, labels alone", "mixnn")
START, END = "<!-- annotators -->", "<!-- end -->"
RESULTS = [Path(__file__).parent / "results" / name for name in ("annotators.json", "annotators_asked.json")]
Labels = NDArray[np.int64]


class Case(NamedTuple):
    """V labels of N photos, the truth (N,) and features (N, D)."""

    item: Labels
    annotator: Labels
    label: Labels
    truth: Labels
    features: NDArray[np.float32]


def photo_features(data: Path, cache: Path, photos: int) -> NDArray[np.float32]:
    """(photos, 1280), of the first photos of CIFAR-10; made once."""
    import torch

    path = cache / f"cifar10-first-{photos}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        images = torch.from_numpy(encoders.cifar_images(data, "cifar10")[:photos]).permute(0, 3, 1, 2)
        np.save(path, encoders.encoded(iter(images.split(encoders.BATCH))).astype(np.float16))
    return np.load(path).astype(np.float32)


def people(data: Path, x: NDArray[np.float32], seed: int) -> Case:
    """CIFAR-10N's three random annotators, for a part of the photos."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:SIZE])
    with np.load(data / "cifar10" / "noise" / "human.npz") as human:
        label = np.stack([human[f"random_label{k}"][rows] for k in (1, 2, 3)], 1).astype(np.int64)
        truth = human["clean_label"][rows].astype(np.int64)
    return Case(np.repeat(np.arange(len(rows)), 3), np.tile([0, 1, 2], len(rows)), label.ravel(), truth, x[rows])


def noise_matrices(kind: str, random: np.random.Generator) -> NDArray[np.float64]:
    """(M, C, C): an accuracy for each annotator and class, and confusions of its own."""
    right = random.beta(*SKILL[kind], ANNOTATORS)[:, None] + random.normal(0, 0.08, (ANNOTATORS, CLASSES))
    matrices = random.dirichlet(np.full(CLASSES, 0.7), (ANNOTATORS, CLASSES))
    places = np.arange(CLASSES)
    matrices[:, places, places] = 0
    matrices *= ((1 - right.clip(0.02, 0.99)) / matrices.sum(2))[:, :, None]
    matrices[:, places, places] = right.clip(0.02, 0.99)
    if kind == "some guess":
        matrices[:5] = np.eye(CLASSES)[random.integers(CLASSES, size=5)][:, None]
    return matrices


def said(matrices: NDArray[np.float64], annotator: Labels, truth: Labels, random: np.random.Generator) -> Labels:
    below = matrices[annotator, truth].cumsum(1) < random.random(len(truth))[:, None]
    return below.sum(1).clip(0, CLASSES - 1)


def simulated(kind: str, data: Path, x: NDArray[np.float32], seed: int) -> Case:
    case, random = people(data, x, seed), np.random.default_rng([seed, 1])
    matrices, n = noise_matrices(kind, random), min(SPARSE, len(case.truth))
    item = np.repeat(np.arange(n), EACH)
    annotator = np.concatenate([random.permutation(ANNOTATORS)[:EACH] for _ in range(n)])
    label = said(matrices, annotator, case.truth[item], random)
    return Case(item, annotator, label, case.truth[:n], case.features[:n])


def majority(case: Case, seed: int) -> Labels:
    counts = np.zeros((len(case.truth), CLASSES))
    np.add.at(counts, (case.item, case.label), 1)
    return (counts + 0.5 * np.random.default_rng(seed).random(counts.shape)).argmax(1)  # ties are drawn


def crowd_kit(case: Case, name: str) -> Labels:
    import pandas
    from crowdkit import aggregation

    table = pandas.DataFrame({"task": case.item, "worker": case.annotator, "label": case.label})
    rule = aggregation.MajorityVote() if name.endswith("majority") else aggregation.DawidSkene(n_iter=100)
    return rule.fit_predict(table).reindex(range(len(case.truth))).to_numpy()  # its tasks come in another order


def cleanlab(case: Case, seed: int) -> Labels:
    """`get_label_quality_multiannotator`, with logistic regression on the majority's labels, in five folds."""
    import pandas
    from cleanlab.multiannotator import get_label_quality_multiannotator
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    probs = cross_val_predict(model, case.features, majority(case, seed), cv=5, method="predict_proba")
    wide = np.full((len(case.truth), int(case.annotator.max()) + 1), np.nan)
    wide[case.item, case.annotator] = case.label
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_label_quality_multiannotator(pandas.DataFrame(wide), probs, verbose=False)
    return found["label_quality"]["consensus_label"].to_numpy()


def of_case(name: str, case: Case, seed: int) -> dict[str, float]:
    """Share of items whose consensus is right; of mixnn also the mean of the quality it tells."""
    if name.startswith("mixnn"):
        x = None if "alone" in name else case.features
        found = find_consensus(case.label, x, items=case.item, annotators=case.annotator, seed=seed)
        return {
            "accuracy": float((found.consensus_label == case.truth).mean()),
            "told": float(found.consensus_quality.mean()),
        }
    rules: dict[str, Callable[[], Labels]] = {
        "majority": lambda: majority(case, seed),
        "cleanlab": lambda: cleanlab(case, seed),
    }
    predicted = rules[name]() if name in rules else crowd_kit(case, name)
    return {"accuracy": float((predicted == case.truth).mean())}


def asked(how: str, kind: str, seed: int) -> dict[str, float]:
    """Accuracy after every batch of labels that were asked for, by mixnn from labels alone."""
    random = np.random.default_rng([seed, 2])
    matrices, truth = noise_matrices(kind, random), random.integers(0, CLASSES, ASKED_ITEMS)
    item = np.repeat(np.arange(ASKED_ITEMS), 2)
    annotator = np.concatenate([random.permutation(ANNOTATORS)[:2] for _ in range(ASKED_ITEMS)])
    label = said(matrices, annotator, truth[item], random)
    figures = {}
    for more in range(0, ASKED + 1, BATCH):
        found = find_consensus(label, items=item, annotators=annotator, seed=seed)
        figures[str(more)] = float((found.consensus_label == truth).mean())
        if how == "ask_next":
            wanted = found.ask_next(BATCH)
            new_item = np.array([request.item for request in wanted])
            new_annotator = np.array([request.annotator for request in wanted])
        else:
            new_item = random.permutation(ASKED_ITEMS)[:BATCH]
            new_annotator = random.integers(ANNOTATORS, size=BATCH)
            if how == "ask_next's items":
                new_item = np.array([request.item for request in found.ask_next(BATCH)])
        item, annotator = np.r_[item, new_item], np.r_[annotator, new_annotator]
        label = np.r_[label, said(matrices, new_annotator, truth[new_item], random)]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--photos", type=int, default=2_500, help="the first so many of CIFAR-10")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cells", nargs="+", default=["people", *SKILL], help="and asked")
    parser.add_argument("--again", nargs="+", default=[], help="rows to make anew")
    parser.add_argument("--out", type=Path, default=RESULTS[0])
    parser.add_argument("--into", type=Path, help=f"Markdown file with {START} and {END}")
    given = parser.parse_args()
    if given.into is not None:
        text = given.into.read_text(encoding="utf-8")
        before, _, rest = text.partition(START)
        table = tables(RESULTS)
        given.into.write_text(f"{before}{START}\n\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        return
    out: Path = given.out
    results: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    rows, now = results.setdefault("rows", {}), environment(given.seeds[0], "cpu", "float32")

    def keep(cell: str, name: str, seed: int, make: Callable[[], dict[str, float]]) -> None:
        of_name = rows.setdefault(cell, {}).setdefault(name, {})
        if str(seed) in of_name and name not in given.again:
            return
        of_name[str(seed)] = {key: round(value, 4) for key, value in make().items()}
        print(cell, name, seed, of_name[str(seed)], flush=True)
        results["photos"] = given.photos
        if now not in results.setdefault("environments", []):
            results["environments"].append(now)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")

    for seed in given.seeds:
        for cell in (cell for cell in given.cells if cell != "asked"):
            x = photo_features(given.data, given.cache, given.photos)
            case = people(given.data, x, seed) if cell == "people" else simulated(cell, given.data, x, seed)
            for name in COMPARED:
                keep(cell, name, seed, partial(of_case, name, case, seed))
    for seed in given.seeds if "asked" in given.cells else []:
        for kind in SKILL:
            for how in ("by chance", "ask_next's items", "ask_next"):
                keep(f"asked, {kind}", how, seed, partial(asked, how, kind, seed))


def tables(files: Sequence[Path]) -> str:
    """Markdown: accuracy of the consensus in %, mean ± deviation of the seeds; then by how many labels were asked."""
    rows = {cell: row for file in files for cell, row in json.loads(file.read_text())["rows"].items()}
    cells = [cell for cell in rows if not cell.startswith("asked")]
    heads = {
        "people": "CIFAR-10N,<br>three people",
        "skilled": "simulated,<br>skilled",
        "some guess": "simulated,<br>some guess",
    }
    lines = ["| | " + " | ".join(heads[cell] for cell in cells) + " |", "|---" * (1 + len(cells)) + "|"]
    for name in COMPARED:
        found = [[100 * one["accuracy"] for one in rows[cell].get(name, {}).values()] for cell in cells]
        lines.append(f"| {name} | " + " | ".join(spread(values) for values in found) + " |")
    for cell in (cell for cell in rows if cell.startswith("asked")):
        names = list(rows[cell])
        steps = list(next(iter(rows[cell][names[0]].values())))
        lines += ["", f"| labels {cell} | " + " | ".join(steps) + " |", "|---" * (1 + len(steps)) + "|"]
        for name in names:
            values = [[100 * one[step] for one in rows[cell][name].values()] for step in steps]
            lines.append(f"| {name} | " + " | ".join(spread(one) for one in values) + " |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    return "–" if not values else f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
