#!/usr/bin/env python3
"""Does the default end behind plain cross-entropy anywhere? Both train for as many epochs.

    benchmarks/no_harm.py --data DATA --features FEATURES --out DEST [--cells NAME …] [--seeds 0 1]
    benchmarks/no_harm.py --out DEST --table

DATA and FEATURES are folders as `benchmarks/real_errors` has them. A cell is measured once: DEST/CELL-METHOD-SEED.json.
The table goes to the screen, as Markdown: last-epoch accuracy of each method, and the difference. It is by true labels
where labels are drawn or noise is added, else by the labels as they are.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
from real_errors.cells import true_labels
from real_errors.features import clothing_rows, features_of

EPOCHS = 40
WORDS = ["--limit", "10000", "--network", "mini"]  # of the CIFAR cells
VEHICLES = (0, 1, 8, 9)  # of CIFAR-10's classes
CLASSES, PARTS, SAMPLES = 10, 6, 2_000  # of the embeddings that are drawn


def drawn_embeddings(data: Path, features: Path, into: Path) -> list[str]:
    """Embeddings that a network can learn by heart: ten classes of six parts each, half of the labels redrawn."""
    rng = np.random.default_rng(1)
    truth, part = rng.integers(0, CLASSES, SAMPLES), rng.integers(0, PARTS, SAMPLES)
    center, offset = rng.normal(size=(CLASSES, 64)), rng.normal(size=(CLASSES, PARTS, 64))
    z = center[truth] * 0.55 + offset[truth, part] * 0.8 + rng.normal(size=(SAMPLES, 64)) * 0.9
    x = np.maximum(z @ (rng.normal(size=(64, 1280)) / 8), 0) + 0.05 * rng.normal(size=(SAMPLES, 1280))
    given = np.where(rng.random(SAMPLES) < 0.5, rng.integers(0, CLASSES, SAMPLES), truth)
    return [write_split(into, x.astype(np.float32), given, truth, 0.25), "--network", "mlp"]


def write_split(into: Path, x: np.ndarray, given: np.ndarray, truth: np.ndarray, share: float) -> str:
    """Training samples with their given labels and test samples with true ones: the file's name."""
    test = np.random.default_rng(0).random(len(x)) < share
    path = into / "data.npz"
    np.savez(path, train_x=x[~test], train_y=given[~test], test_x=x[test], test_y=truth[test])
    return str(path)


def speech(data: Path, features: Path, into: Path) -> list[str]:
    labels, _ = true_labels("speech", data)
    return [write_split(into, features_of("speech", data, features), labels, labels, 0.3), "--network", "mlp"]


def clothing(network: str) -> Callable[[Path, Path, Path], list[str]]:
    def make(data: Path, features: Path, into: Path) -> list[str]:
        path = into / "labels.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "label"), *clothing_rows(data)])
        photos = str(data / "clothing/images")
        return [str(path), "--data.root", photos, "--data.holdout", "0.3", "--network", network]

    return make


def tinted(data: Path, features: Path, into: Path) -> list[str]:
    """Where color tells classes apart: CIFAR-10's animals and vehicles, each in four tints."""
    from mixnn.data.readers import read_source

    source = read_source(f"cifar10:{data / 'cifar10'}")
    tints = np.array([[1, 1, 1], [1.1, 1, 0.9], [0.9, 1, 1.1], [0.95, 1.1, 0.95]], np.float32)
    parts = {}
    for name, part, size in (("train", source.train, 6_000), ("test", source.heldout, 5_000)):
        images, labels = np.asarray(part.images)[:size].astype(np.float32), np.asarray(part.labels)[:size]
        tint = np.random.default_rng(size).integers(0, len(tints), size)
        parts[f"{name}_x"] = (images * tints[tint][:, None, None]).clip(0, 255).astype(np.uint8)
        parts[f"{name}_y"] = np.isin(labels, VEHICLES) * len(tints) + tint
    np.savez(into / "data.npz", **parts)
    return [str(into / "data.npz"), "--network", "mini"]


def cifar(name: str, noise: str | None = None) -> Callable[[Path, Path, Path], list[str]]:
    def make(data: Path, features: Path, into: Path) -> list[str]:
        words = [] if noise is None else ["--noise", noise.format(data=data)]
        return [f"{name}:{data / name}", *WORDS, *words]

    return make


CELLS: dict[str, Callable[[Path, Path, Path], list[str]]] = {
    "embeddings": drawn_embeddings,
    "speech": speech,
    "clothing mini": clothing("mini"),
    "clothing cnn": clothing("cnn"),
    "clothing auto": clothing("auto"),
    "tinted": tinted,
    "cifar10 clean": cifar("cifar10"),
    "cifar100 clean": cifar("cifar100"),
    "cifar10 symmetric 0.5": cifar("cifar10", "symmetric:0.5"),
    "cifar10 asymmetric 0.4": cifar("cifar10", "asymmetric:0.4"),
    "cifar10 human worse": cifar("cifar10", "file:{data}/cifar10/noise/human.npz:worse_label"),
}


def measure(cell: str, method: str, seed: int, args: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        words = CELLS[cell](args.data, args.features, Path(folder))
        run = Path(folder, "run")
        command = ["train", *words, "--method", method, "--epochs", str(args.epochs), "--seed", str(seed)]
        subprocess.run([sys.executable, "-m", "mixnn", *command, "--out", run], check=True, stdout=subprocess.DEVNULL)
        with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        about = json.loads((run / "environment.json").read_text())
        about["command"] = ["mixnn", *(word.replace(str(args.data), "DATA").replace(folder, "DIR") for word in command)]
    accuracy = [float(row["accuracy"]) for row in rows]
    seconds = sum(float(row["seconds_train"]) for row in rows)
    return {"cell": cell, "method": method, "accuracy": accuracy, "seconds_train": seconds} | about


def table(results: list[dict]) -> str:
    """Last-epoch accuracy of each method, mean over seeds; and the worst difference of any seed."""
    lines = ["| cell | seeds | ce | posterior | difference | worst seed |", "|---|---|---|---|---|---|"]
    last = {(r["cell"], r["method"], r["seed"]): 100 * r["accuracy"][-1] for r in results}
    for cell in CELLS:
        seeds = sorted(
            {s for c, m, s in last if c == cell and m == "ce"}
            & {s for c, m, s in last if (c, m) == (cell, "posterior")}
        )
        if not seeds:
            continue
        ce, ours = ([last[cell, method, seed] for seed in seeds] for method in ("ce", "posterior"))
        gaps = [b - a for a, b in zip(ce, ours, strict=True)]
        lines.append(
            f"| {cell} | {len(seeds)} | {mean(ce):.1f} | {mean(ours):.1f} | {mean(gaps):+.1f} | {min(gaps):+.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--features", type=Path, default=Path("features"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--methods", nargs="+", default=["posterior", "ce"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in [] if args.table else args.seeds:
        for cell in args.cells:
            for method in args.methods:
                path = args.out / f"{cell.replace(' ', '-')}-{method}-{seed}.json"
                if not path.exists():
                    found = measure(cell, method, seed, args)
                    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                    print(f"{path.stem}: {found['accuracy'][-1]:.4f} in {found['seconds_train']:.0f} s", flush=True)
    print(table([json.loads(path.read_text()) for path in sorted(args.out.glob("*.json"))]))


if __name__ == "__main__":
    main()
