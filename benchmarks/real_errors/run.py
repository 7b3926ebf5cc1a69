"""Run rivals on cells: one JSON file for each cell and seed. From the root of the repository:

    export PYTHONPATH=benchmarks
    python -m real_errors.run --data DIR --cache DIR --out benchmarks/results/real_errors --set report

A row that is in its file is not made again, unless `--again` names it. A draw that equals one of another seed is left
out. Files are written after every row, so that a run that is broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from real_errors.cells import CHOOSE, REPORT, Case, Cell
from real_errors.rivals import RIVALS, Evidence, Labels, judge
from real_errors.scores import Figures, figures, suspects

from mixnn.runs.environment import environment

SETS = {"report": REPORT, "choose": CHOOSE}
LOOKED_AT = ("clothing as is", "banking77 as is")  # cells of which the first suspects are kept
SHOWN = ("ap", "flagged", "precision", "recall", "right_before", "right_after", "ece", "rate", "rate_low", "rate_high")
PACKAGES = ("scikit-learn", "cleanlab")  # beside those that `environment` names


def chosen(cells: Sequence[Cell], only: Sequence[str] | None) -> list[Cell]:
    """Cells by parts of their names. A part that is a whole name means this cell alone."""
    if not only:
        return list(cells)
    whole = {cell.name for cell in cells}.intersection(only)
    parts = [part for part in only if part not in whole]
    return [cell for cell in cells if cell.name in whole or any(part in cell.name for part in parts)]


def run_cell(cell: Cell, seed: int, args: argparse.Namespace) -> None:
    """Make the rows that are missing of one draw, or again those that are asked for again."""
    path: Path = args.out / f"{file_name(cell)}_seed{seed}.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if args.again:
        wanted = args.again if result else []
    else:
        wanted = [name for name in args.rivals if name not in result.get("rows", {})]
    if not wanted:
        return
    case = cell.draw(seed, args.data, args.cache)
    described = about(cell, seed, case, args)
    if result and result["given_sha256"] != described["given_sha256"]:
        raise SystemExit(f"{path} is of other labels: remove it, or name another --out")
    if twin := same_draw(path, described["given_sha256"]):
        print(f"{path.stem}: the same labels as {twin}", flush=True)
        return
    print(path.stem, flush=True)
    rows = result.setdefault("rows", {})
    result = described | result
    seen = Evidence(case.features, case.given, len(case.classes))
    for name in wanted:
        try:
            row = row_of(name, seen, cell, case)
        except ImportError as error:
            print(f"  {name:<27}left out: {error}", flush=True)
            continue
        row = {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
        rows[name] = row | {key: described["environment"][key] for key in ("git_revision", "git_clean")}
        print(f"  {name:<27}{shown(row)}", flush=True)
        result["rows"] = {one: rows[one] for one in RIVALS if one in rows}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")


def row_of(name: str, seen: Evidence, cell: Cell, case: Case) -> Figures:
    """All figures of one rival."""
    found, seconds = judge(name, seen)
    row = figures(found, case.given, case.truth, case.classes) | {"seconds": round(seconds, 2)}
    return row | ({"suspects": suspects(found, case.given, case.classes)} if cell.name in LOOKED_AT else {})


def about(cell: Cell, seed: int, case: Case, args: argparse.Namespace) -> dict[str, Any]:
    """What has to stand beside the rows of a draw."""
    known = environment(seed, "cpu", "float32")
    known |= {"threads": torch.get_num_threads()}
    packages = known["packages"]
    assert isinstance(packages, dict)
    known["packages"] = packages | {name: metadata.version(name) for name in PACKAGES}
    known.pop("command")  # it has paths of this machine
    return {
        "cell": cell.name,
        "set": args.set,
        "seed": seed,
        "samples": len(case.given),
        "classes": len(case.classes),
        "width": case.features.shape[1],
        "wrong": None if case.truth is None else float((case.given != case.truth).mean()),
        "wrong_count": None if case.truth is None else int((case.given != case.truth).sum()),
        "given_sha256": sha256(case.given),
        "command": command(cell, seed, args),
        "environment": known,
    }


def command(cell: Cell, seed: int, args: argparse.Namespace) -> str:
    """The one that makes this file alone, without paths of this machine."""
    fixed = "python -m real_errors.run --data DIR --cache DIR --out benchmarks/results/real_errors"
    chosen = [] if args.rivals == list(RIVALS) else ["--rivals", *args.rivals]
    return f"{fixed} {shlex.join(['--set', args.set, '--only', cell.name, '--seeds', str(seed), *chosen])}"


def same_draw(path: Path, digest: str) -> str | None:
    """A file of an earlier seed of the same cell that has the same labels."""
    cell, _, seed = path.stem.rpartition("_seed")
    for other in sorted(path.parent.glob(f"{cell}_seed*.json")):
        if (
            int(other.stem.rpartition("_seed")[2]) < int(seed)
            and json.loads(other.read_text())["given_sha256"] == digest
        ):
            return other.stem
    return None


def sha256(labels: Labels) -> str:
    """Of the labels in order, each as a little-endian integer of eight bytes."""
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def file_name(cell: Cell) -> str:
    return re.sub(r"[^\w.]+", "-", cell.name)


def shown(row: Figures) -> str:
    """A row of the screen."""
    words = [f"{key} {row[key]:.3f}" for key in SHOWN if row.get(key) is not None]
    if row.get("sure_right") is not None:
        words.append(f"sure {row['sure_right']}/{row['sure']}")
    return " ".join([*words, f"{row['seconds']:.1f} s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cache", type=Path, required=True, help="folder of their features, made where missing")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--set", choices=list(SETS), required=True, help="cells to report, or to choose settings by")
    parser.add_argument("--only", nargs="+", metavar="SUBSTRING", help="cells with this in their name")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rivals", nargs="+", choices=list(RIVALS), default=list(RIVALS), metavar="NAME")
    parser.add_argument(
        "--again", nargs="+", choices=list(RIVALS), default=[], metavar="NAME", help="rows to make anew"
    )
    args = parser.parse_args()
    for cell in chosen(SETS[args.set], args.only):
        for seed in args.seeds:
            run_cell(cell, seed, args)


if __name__ == "__main__":
    main()
