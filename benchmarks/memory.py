"""Peak memory of `mixnn train` on a million image files, beside the same run on a few thousand.

    python benchmarks/memory.py IMAGES --folder DIR --out FILE [--files 1000000] [--method mixnn] [--store nowhere]

DIR, on the same disk as IMAGES, is filled with hard links to the images there; ten classes at random, one epoch, 32 px,
by default a network too small to matter. Memory is the proportional share (PSS) of the process and of all its children,
looked at twice a second: what is their own, what they share, and what is mapped from files.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mixnn.runs.environment import environment

PER_FOLDER = 10_000
FEW = 4_000
KINDS = ("Pss_Anon", "Pss_Shmem", "Pss_File")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--method", default="mixnn")
    parser.add_argument("--store", default="nowhere")
    parser.add_argument("--network", default="throughput:sparse", help="its features are 48 wide; those of cnn 192")
    given = parser.parse_args()
    peaks = {}
    for files in (FEW, given.files):
        table = make_links(given.images, given.folder, files)
        peaks[files] = train(table, given.folder / f"run-{files}", given)
        print(files, peaks[files], flush=True)
    result = {
        "files": given.files,
        "method": given.method,
        "store": given.store,
        "network": given.network,
        "peaks": peaks,
        "above_the_small_run_gb": (peaks[given.files]["Pss"] - peaks[FEW]["Pss"]) / 1e9,
        "environment": environment(0, "cpu", "auto"),
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=2))


def make_links(images: Path, folder: Path, files: int) -> Path:
    """A table of `files` names, each a hard link to one of `images`."""
    sources = sorted(images.iterdir())
    table = folder / f"{files}.csv"
    classes = random.Random(0)
    if not table.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "partial", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", "label"])
            for i in range(files):
                name = f"images-{files}/{i // PER_FOLDER:04d}/a-photo-of-something-{i:09d}.jpg"
                if i % PER_FOLDER == 0:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(sources[i % len(sources)], folder / name)
                writer.writerow([name, f"class {classes.randrange(10)}"])
        (folder / "partial").rename(table)
    return table


def train(table: Path, out: Path, given: argparse.Namespace) -> dict[str, float]:
    """Run it; the peak of each kind of memory in bytes, and the seconds."""
    shutil.rmtree(out, ignore_errors=True)
    words = ["--network", given.network, "--epochs", "1", "--method", given.method, "--data.store", given.store]
    if given.method == "mixnn":
        words += ["--mixnn.warmup", "0", "--mixnn.mixup-until", "0", "--mixnn.correct-from", "0"]
    words += ["--data.image-size", "32", "--data.holdout", "0", "--data.cache-dir", str(out.parent / "cache")]
    command = [sys.executable, "-m", "mixnn", "train", str(table), "--out", str(out), *words]
    began, peak = time.monotonic(), dict.fromkeys(("Pss", *KINDS), 0.0)
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    while process.poll() is None:
        now = memory(process.pid)
        peak = {kind: max(peak[kind], now[kind]) for kind in peak}
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return peak | {"seconds": time.monotonic() - began}


def memory(pid: int) -> dict[str, float]:
    """Bytes by kind, of a process and all below it."""
    total = dict.fromkeys(("Pss", *KINDS), 0.0)
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        for line in lines:
            kind, _, rest = line.partition(":")
            if kind in total:
                total[kind] += 1024 * int(rest.split()[0])
    return total


def family(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        try:
            todo += map(int, Path(f"/proc/{found[-1]}/task/{found[-1]}/children").read_text().split())
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
