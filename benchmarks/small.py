"""Cross-entropy and MixNN at equal epochs on the first 10 000 CIFAR-10 training images, several seeds.

    python benchmarks/small.py cifar10:DIR --runs DIR --out FILE [--noise symmetric:0.5] [--seeds 0,1,2]

Each seed draws its own weights, order and noise. Runs already under --runs are taken up, not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.readers import read_source
from mixnn.issues import summary_figures
from mixnn.run import RunDirectory
from mixnn.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--noise", default="symmetric:0.5")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    dataset = read_source(given.source)
    cells = []
    for seed in map(int, given.seeds.split(",")):
        for method in ("ce", "mixnn"):
            options = TrainOptions(method=method, noise=given.noise, limit=given.limit, epochs=given.epochs, seed=seed)
            out = given.runs / f"{method}-{seed}"
            train(RunConfig(given.source, options), out, resume=True, dataset=dataset)
            run = RunDirectory(out)
            cells.append(
                {
                    "method": method,
                    "seed": seed,
                    **summary_figures(run),
                    "environment": json.loads(run.environment.read_text()),
                }
            )
            given.out.write_text(json.dumps({"cells": cells}, indent=2) + "\n")
    for method in ("ce", "mixnn"):
        for figure in ("last_accuracy", "best_accuracy", "precision", "recall"):
            values = [100 * cell[figure] for cell in cells if cell["method"] == method]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{method:<6} {figure:<14} {statistics.mean(values):6.2f} ± {spread:.2f}  {values}")


if __name__ == "__main__":
    main()
