"""`mixnn find` on a million drawn embeddings: seconds, and the peak of memory.

python benchmarks/find_large.py --out FILE [--samples 1000000] [--width 128] [--classes 100]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mixnn.runs.environment import environment


def draw(path: Path, samples: int, width: int, classes: int) -> np.ndarray:
    """Write the embeddings, a tenth of whose labels are redrawn; which labels are wrong, bool (N,)."""
    random = np.random.default_rng(0)
    truth = np.arange(samples) % classes
    x = random.normal(size=(samples, width)).astype(np.float32)
    x += 0.5 * random.normal(size=(classes, width)).astype(np.float32)[truth]
    given = np.where(random.random(samples) < 0.1, random.integers(0, classes, samples), truth)
    np.savez(path, x=x, y=given)
    return given != truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--classes", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = draw(folder / "data.npz", given.samples, given.width, given.classes)
        start = time.perf_counter()
        command = [sys.executable, "-m", "mixnn", "find", str(folder / "data.npz"), "--out", str(folder / "run")]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        noise = json.loads((folder / "run" / "label_noise.json").read_text())
    about = environment(0, "cpu", "auto") | {"command": " ".join(["find_large.py", *sys.argv[1:]])}
    about |= {"samples": given.samples, "width": given.width, "classes": given.classes, "seconds": round(seconds, 1)}
    about |= {"peak_gb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9, 2)}
    about |= {"wrong": round(float(wrong.mean()), 4), "told": noise["noise_rate"], "flagged": noise["flagged"]}
    given.out.write_text(json.dumps(about, indent=1) + "\n")
    print(about)


if __name__ == "__main__":
    main()
