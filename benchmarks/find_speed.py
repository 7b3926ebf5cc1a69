"""`mixnn find` against what a user of cleanlab runs on the same features: seconds and average precision.

Both read embeddings from a file and end with a list of label issues and near duplicates. cleanlab: scikit-learn's
logistic regression in five folds on standardized features (lbfgs, C 0.01), then Datalab with features and probabilities
(label, near_duplicate, outlier issues). The embeddings are drawn: ten classes of six parts each, a tenth of the labels
redrawn, a hundred rows twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from mixnn.runs.environment import environment

CLASSES, PARTS, TWICE = 10, 6, 100
CLEANLAB = """
import sys, warnings
import numpy as np
from cleanlab import Datalab
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
data = np.load(sys.argv[1])
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
probs = cross_val_predict(model, data["x"], data["y"], cv=5, method="predict_proba", n_jobs=2)
lab = Datalab({"y": data["y"]}, label_name="y", verbosity=0)
lab.find_issues(features=data["x"], pred_probs=probs, issue_types={"label": {}, "near_duplicate": {}, "outlier": {}})
np.save(sys.argv[2], lab.get_issues("label")["label_score"].to_numpy())
"""


def draw(path: Path, samples: int, width: int) -> np.ndarray:
    """Write the embeddings; which labels are wrong, bool (N,)."""
    random = np.random.default_rng(0)
    truth, part = random.integers(0, CLASSES, samples), random.integers(0, PARTS, samples)
    truth[-TWICE:], part[-TWICE:] = truth[:TWICE], part[:TWICE]
    center, offset = random.normal(size=(CLASSES, 64)), random.normal(size=(CLASSES, PARTS, 64))
    z = center[truth] * 0.45 + offset[truth, part] * 0.5 + random.normal(size=(samples, 64))
    z[-TWICE:] = z[:TWICE]
    x = np.maximum(z @ (random.normal(size=(64, width)) / 8), 0).astype(np.float32)
    given = np.where(random.random(samples) < 0.1, random.integers(0, CLASSES, samples), truth)
    np.savez(path, x=x, y=given)
    return given != truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    rows: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "ap": []} for name in ("mixnn find", "cleanlab")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = draw(folder / "data.npz", given.samples, given.width)
        for turn in range(given.rounds):
            run, scores = folder / f"run{turn}", folder / "scores.npy"
            commands = {
                "mixnn find": [sys.executable, "-m", "mixnn", "find", str(folder / "data.npz"), "--out", str(run)],
                "cleanlab": [sys.executable, "-c", CLEANLAB, str(folder / "data.npz"), str(scores)],
            }
            for row, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                rows[row]["seconds"].append(round(time.perf_counter() - start, 1))
                if row == "cleanlab":
                    quality = np.load(scores)
                else:
                    with np.load(run / "label_quality.npz") as stored, np.load(folder / "data.npz") as data:
                        quality = stored["label_posterior"][np.arange(len(wrong)), data["y"]]
                rows[row]["ap"].append(round(float(average_precision_score(wrong, -quality)), 4))
                print(row, rows[row], flush=True)
    ratio = np.median(rows["cleanlab"]["seconds"]) / np.median(rows["mixnn find"]["seconds"])
    print(f"cleanlab takes {ratio:.1f} times as long")
    about = environment(0, "cpu", "auto") | {"command": " ".join(["find_speed.py", *sys.argv[1:]])}
    about |= {"samples": given.samples, "width": given.width, "ratio": round(float(ratio), 2), "rows": rows}
    given.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
