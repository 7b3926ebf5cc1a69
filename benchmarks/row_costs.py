"""Training time of every row of the suite `full`, in that of cross-entropy: whole runs in small, one after the other.

    python benchmarks/row_costs.py cifar10:DIR [--limit 2000] [--network fast] [--only ce,ssr] [--out FILE]

Each row trains for the suite's epochs on the first --limit images with 80 % symmetric noise; what counts is processor
time without evaluation, of this process and all its threads. `full-seconds` reads the ratios from
benchmarks/results/row_costs.json, which is written here unless --out says otherwise. Use a machine that does nothing
else: methods differ in how they use its caches.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.suite.cells import merged
from benchmarks.suite.full import COSTS_FILE, EPOCHS, FULL
from mixnn.config import RunConfig
from mixnn.data.load import load
from mixnn.data.read import read
from mixnn.errors import InputError
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer, with_defaults
from mixnn.training.loop import fit
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import keep_freed_memory


def seconds_of(row: str, source: str, limit: int, network: str) -> float:
    """Processor seconds of a run of this row."""
    settings = merged(FULL.common, FULL.rows[row], {"limit": limit, "network": network, "noise": "symmetric:0.8"})
    config = with_defaults(RunConfig.from_dict(settings | {"source": source}))
    options = replace(config.options, data=replace(config.options.data, holdout=0.0))
    device = pick_device("auto")
    dataset = read(source, options.data)
    data = load(replace(dataset, heldout=None), options.for_reading(), device).train
    method = build_method(config.for_method(), data, len(dataset.classes), device)
    steps = build_optimizer(method, options.for_optimizer())
    began = time.process_time()
    fit(method, data, *steps, epochs=options.epochs, seed=options.seed)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--network", default="fast")
    parser.add_argument("--only", help="rows, with commas between; all where not given")
    parser.add_argument("--out", type=Path, default=COSTS_FILE)
    given = parser.parse_args()
    rows = list(FULL.rows) if given.only is None else ["ce", *(name for name in given.only.split(",") if name != "ce")]
    if unknown := set(rows) - set(FULL.rows):
        raise InputError(f"--only {given.only}: no row is {unknown.pop()!r}: use some of {', '.join(FULL.rows)}")
    keep_freed_memory()
    seconds: dict[str, float] = {}
    for row in ["ce", *(name for name in rows if name != "ce")]:
        seconds[row] = seconds_of(row, given.source, given.limit, given.network)
        print(f"{row:<20} {seconds[row]:8.1f} s  {seconds[row] / seconds['ce']:.2f}", flush=True)
    result = {
        "what": f"{EPOCHS} epochs of {given.network}, {given.limit} images, symmetric:0.8, processor seconds",
        "ratio": {row: round(value / seconds["ce"], 2) for row, value in seconds.items()},
        "seconds": seconds,
        "environment": environment(0, "cpu", "float32") | {"command": ["row_costs.py", "cifar10:DIR"]},
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"row_costs.py: {error}")
