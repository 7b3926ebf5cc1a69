"""Accuracy on the true labels of held-out samples: NoisyLabelClassifier beside plain classifiers and CleanLearning.

    PYTHONPATH=benchmarks python benchmarks/sklearn_estimator.py --data DIR --cache DIR --out FILE.json [--set choose]

Frozen features and labels are those of `real_errors`. 70 % of the samples have the labels of the cell, the others are
measured on. All see the first 128 principal components of standardized columns. `--set choose` is what settings were
chosen by, the other what is reported.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.classification import CleanLearning
from numpy.typing import NDArray
from real_errors.cells import Cell
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mixnn

CELLS = {
    "choose": [Cell("speech", f"symmetric-exclusive:{rate}", 0, None) for rate in ("0", "0.2", "0.4")],
    "report": [
        Cell("clothing", "symmetric-exclusive:0.2", 0, None),
        Cell("cifar10", "human:worse_label", 0, 4_000),
    ],
}
WIDTH = 128
GRID = {"C": [0.001, 0.01, 0.1, 1.0]}
Fit = Callable[[NDArray[np.float32], NDArray[np.int64]], Any]


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=100)


def rows(choose: bool) -> dict[str, Fit]:
    """Name of a row -> what fits it."""
    found: dict[str, Fit] = {
        "LogisticRegression": lambda x, y: logistic().fit(x, y),
        "CleanLearning(LogisticRegression)": lambda x, y: CleanLearning(logistic(), seed=0).fit(x, y),
        "NoisyLabelClassifier(LogisticRegression)": lambda x, y: ours(x, y, estimator=logistic()),
        "NoisyLabelClassifier": lambda x, y: ours(x, y),
    }
    if choose:
        for method in ("correct", "prune"):
            found[f"NoisyLabelClassifier, {method}"] = lambda x, y, m=method: ours(x, y, method=m)
            found[f"NoisyLabelClassifier(LogisticRegression), {method}"] = lambda x, y, m=method: ours(
                x, y, method=m, estimator=logistic()
            )
    else:
        found["LogisticRegression, C chosen on given labels"] = lambda x, y: GridSearchCV(logistic(), GRID, cv=3).fit(
            x, y
        )
    return found


def ours(x: NDArray[np.float32], y: NDArray[np.int64], **options: Any) -> Any:
    return mixnn.NoisyLabelClassifier(**options).fit(x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "cache", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--set", choices=CELLS, default="report")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*failed to converge.*")
    results: dict[str, list[float]] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for seed in range(options.seeds):
        for cell in CELLS[options.set]:
            people = cell.noise.startswith("human")  # published once: seeds draw the held-out samples alone
            case = cell.draw(0 if people else seed, options.data, options.cache)
            train, test = train_test_split(np.arange(len(case.given)), test_size=0.3, random_state=seed)
            scaler = make_pipeline(StandardScaler(), PCA(WIDTH, random_state=0)).fit(case.features[train])
            x, x_test = scaler.transform(case.features[train]), scaler.transform(case.features[test])
            for name, fit in rows(options.set == "choose").items():
                done = results.setdefault(f"{cell.name} | {name}", [])
                if len(done) <= seed:
                    done.append(float((fit(x, case.given[train]).predict(x_test) == case.truth[test]).mean()))
                    options.out.write_text(json.dumps(results, indent=1))
                    print(f"{seed} {cell.name} | {name}: {done[-1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
