"""`mixnn find` on very many drawn embeddings in a mapped file: seconds, and the peak of memory that is not the file.

python benchmarks/find_large.py --out FILE [--samples 1000000] [--width 128] [--classes 100] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mixnn.runs.environment import environment

CHUNK = 100_000  # samples that are drawn at a time


def draw(folder: Path, samples: int, width: int, classes: int) -> float:
    """Write `x.npy` and `y.npy`, a tenth of whose labels are redrawn; the share of labels that are wrong."""
    random, wrong = np.random.default_rng(0), 0
    centers = 0.5 * random.normal(size=(classes, width)).astype(np.float32)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (samples, width))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.int64, (samples,))
    for start in range(0, samples, CHUNK):
        truth = np.arange(start, min(samples, start + CHUNK)) % classes
        x[start : start + CHUNK] = random.standard_normal((len(truth), width), np.float32) + centers[truth]
        given = np.where(random.random(len(truth)) < 0.1, random.integers(0, classes, len(truth)), truth)
        y[start : start + CHUNK] = given
        wrong += int((given != truth).sum())
    return wrong / samples


def memory_gb(process: int) -> float:
    """What a process holds of its own, without pages of files that are mapped (Linux); 0 when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e9 if found else 0.0


def cpu_seconds(process: int) -> float:
    """Of all its threads; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None, help="where to draw the samples to, for a time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        wrong = draw(folder, given.samples, given.width, given.classes)
        start, memory, cpu = time.perf_counter(), 0.0, 0.0
        command = [sys.executable, "-m", "mixnn", "find", f"npz:{folder}", "--device", "cpu"]
        with subprocess.Popen([*command, "--out", str(folder / "run")]) as process:
            while process.poll() is None:
                memory, cpu = max(memory, memory_gb(process.pid)), max(cpu, cpu_seconds(process.pid))
                time.sleep(0.05)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(process.returncode)
        noise = json.loads((folder / "run" / "label_noise.json").read_text())
    about = environment(0, "cpu", "auto") | {"command": " ".join(["find_large.py", *sys.argv[1:]])}
    about |= {"samples": given.samples, "width": given.width, "classes": given.classes, "seconds": round(seconds, 1)}
    about |= {"cpu_seconds": round(cpu, 1), "memory_gb": round(memory, 2)}
    about |= {"wrong": round(wrong, 4), "told": noise["noise_rate"], "flagged": noise["flagged"]}
    given.out.write_text(json.dumps(about, indent=1) + "\n")
    print(about)


if __name__ == "__main__":
    main()
