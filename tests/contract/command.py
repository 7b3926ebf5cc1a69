"""The command line from a test: a small image folder, calls inside this process, and real processes."""

import contextlib
import csv
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from mixnn.cli import main as mixnn

torch.set_num_threads(1)  # the images here are too small to share out
ROOT = Path(__file__).resolve().parents[2]
# As many threads as this process has, so that both compute the same to the last bit.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}

COLORS = {"blue": (0, 0, 1), "green": (0, 1, 0), "red": (1, 0, 0)}
SIZE, PER_CLASS = 16, 20
# No processes that decode, which cost more to start than these few images.
SMALL = f"--data.image-size {SIZE} --data.workers 0 --batch-size 16 --precision float32 --device cpu".split()
SMALL += ["--network", "cnn"]
# Epochs enough to correct labels; the tables change in the second one.
SHORT = ["--epochs", "4", "--mixnn.warmup", "1", "--mixnn.mixup-until", "0", "--mixnn.correct-from", "1"]


def write_folder(root: Path, *, per_class: int = PER_CLASS) -> Path:
    """Noise that is brighter in the channel of its class, as root/class/00.png …; two wrong labels in each class."""
    random = np.random.RandomState(0)
    names = list(COLORS)
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            shown = names[(label + 1) % len(names)] if i < 2 and per_class > 4 else name
            pixels = random.randint(0, 150, (SIZE, SIZE, 3)) + 100 * np.array(COLORS[shown])
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i:02d}.png")
    return root


def write_cifar10(root: Path) -> Path:
    """The archive's six batches, with twenty images of noise in each."""
    random = np.random.RandomState(0)
    root.mkdir()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in names]}))
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = random.randint(0, 256, (20, 3072)).astype(np.uint8)
        (root / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": [i % 10 for i in range(20)]}, protocol=2))
    return root


class Result(NamedTuple):
    code: object
    out: str
    err: str


def call(*words: object, main: Callable[[list[str]], int] = mixnn.main) -> Result:
    """`mixnn`, or another program, with these words, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: object = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    return Result(code, out.getvalue(), err.getvalue())


def succeed(*words: object, main: Callable[[list[str]], int] = mixnn.main) -> Result:
    result = call(*words, main=main)
    assert result.code == 0, result.err
    return result


def start(
    *words: object, module: str = "mixnn", launcher: tuple[str, ...] = (), folder: Path | None = None
) -> subprocess.Popen[str]:
    """`python -m mixnn`, or another module, with these words, in a process of its own, started in `folder`."""
    command = [sys.executable, *launcher, "-m", module, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT, cwd=folder)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures(run: Path) -> list[dict[str, str]]:
    """metrics.csv without the columns that measure time."""
    timed = ("seconds_", "images_per_second")
    return [{k: v for k, v in row.items() if not k.startswith(timed)} for row in read_csv(run / "metrics.csv")]


def assert_same_outcome(run: Path, other: Path) -> None:
    """Two runs with the same figures, labels, targets and weights, to the last bit."""
    assert figures(run) == figures(other)
    for name in ("labels.csv", "soft_targets.npy", "model.safetensors", "classes.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    histories = [np.load(each / "losses.npz") for each in (run, other) if (each / "losses.npz").exists()]
    if histories:  # of a method that has full passes
        assert all(np.array_equal(part, histories[-1][name], equal_nan=True) for name, part in histories[0].items())
        assert len(histories) == 2
