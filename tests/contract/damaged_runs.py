"""Damage to each file of a run, for each command that reads it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contract.command import SMALL, succeed, write_folder
from contract.spoil import halve, turn_bytes

FAST = [*SMALL, "--epochs", "2", "--mixnn.warmup", "0", "--mixnn.mixup-until", "0", "--noise", "symmetric:0.2"]


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def write_npz(**arrays: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})

    return write


def change_npz(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Each array of an .npz, or the one of an .npy, changed."""

    def spoil(path: Path) -> None:
        if path.suffix == ".npy":
            np.save(path, change(np.load(path)))
            return
        with np.load(path) as content:
            arrays = {name: change(array) for name, array in content.items()}
        write_npz(**arrays)(path)

    return spoil


def write(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text) and None


ANY: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "halved": halve,
    "turned": turn_bytes,
    "junk": lambda path: path.write_bytes(np.random.RandomState(0).bytes(999)),
    "text": write("hello\n"),
    "folder": as_folder,
}
JSON = {name: write(name) for name in ("5", "null", "[]", "{}", "[1, 2]", '{"a": 1}', "NaN", "[" * 5000)}
ARRAYS = {
    "shorter": change_npz(lambda array: array[:-1] if array.ndim else array),
    "flat": change_npz(np.ravel),
    "words": change_npz(lambda array: np.full(array.shape, "word")),
    "objects": write_npz(a=np.array([print], dtype=object)),
    "others": write_npz(a=np.zeros(3)),
    "not-a-number": change_npz(lambda array: array * np.nan if array.dtype.kind == "f" else array),
    "far": change_npz(lambda array: array + 9999 if array.dtype.kind == "i" else array),
}
YAML = {name: write(name + "\n") for name in ("5", "null", "a: 1", "source: 5", "data: 5", "{source: a, data: null}")}
YAML |= {"command: find": write("command: find\n"), "seed: []": write("source: a\nseed: []\nmethod: {}\nnoise: 5\n")}
CSV = {
    "header": lambda path: path.write_text(path.read_text().splitlines()[0] + "\n"),
    "columns": write("a,b\n1,2\n"),
    "short-row": lambda path: path.write_text(path.read_text() + "1,2\n"),
    "no-numbers": lambda path: path.write_text(
        "\n".join(
            [*path.read_text().splitlines()[:1], ",".join(["x"] * path.read_text().splitlines()[0].count(",")) + ",x"]
        )
    ),
    "quote": lambda path: path.write_text(path.read_text() + '"'),
}

REPORT = "report @run --out @new.html"
EXPORT = "export @run --to cleanlab --out @new"
STUDIO = "export @run --to label-studio --out @new"
APPLY = "apply @run @corrections.csv --out @new"
EVALUATE = "evaluate @run @photos --device cpu --data.workers 0"
PREDICT = "predict @run @photos/red/01.png --device cpu"
RESUME = f"train @photos --out @run --resume {' '.join(FAST)}"
EXPLAIN = "find --out @run --explain red/01.png"
# file -> damage besides that to any file, and who reads it
READ = {
    "config.yaml": (YAML, [REPORT, EXPORT, APPLY, PREDICT, RESUME]),
    "environment.json": (JSON, [RESUME]),
    "metrics.csv": (CSV, [REPORT, RESUME]),
    "labels.csv": (CSV, [EXPORT, STUDIO]),
    "classes.json": (JSON, [REPORT, STUDIO, APPLY, EVALUATE, PREDICT, EXPLAIN]),
    "evidence.npz": (ARRAYS, [REPORT, EXPORT, STUDIO, APPLY, EXPLAIN]),
    "label_quality.npz": (ARRAYS, [REPORT, EXPORT, APPLY, EXPLAIN]),
    "soft_targets.npy": (ARRAYS, [REPORT, EXPORT]),
    "thumbnails.npz": (ARRAYS, [REPORT]),
    "losses.npz": (ARRAYS, [REPORT, RESUME]),
    "model.safetensors": ({}, [EVALUATE, PREDICT]),
    "checkpoints/last.pt": ({}, [RESUME]),
    "noise.npz": (ARRAYS, [RESUME]),
    "unreadable.csv": (CSV, [RESUME]),
}


class Damage(NamedTuple):
    """One file of a run is spoilt, and one command reads it."""

    name: str
    file: str
    spoil: Callable[[Path], object] | None  # None: another run's file
    words: list[str]


# What a command takes all the same: it does not need the file, or the damage cannot be seen.
FINE = {
    "export config.yaml": "*",
    "report config.yaml": "halved another",
    "predict config.yaml": "halved a: 1 source: 5 data: 5 {source: a, data: null} seed: [] another",
    "report metrics.csv": "another",
    "classes.json": "another",
    "evidence.npz": "not-a-number",
    "label_quality.npz": "far",
    "soft_targets.npy": "missing turned far another",
    "report thumbnails.npz": "missing shorter flat not-a-number far another",
    "report losses.npz": "missing shorter not-a-number far another",
    "model.safetensors": "turned another",
    "train config.yaml": "another",
    "train checkpoints/last.pt": "missing",
}
# --resume writes these anew, to the last byte: with each of these damages.
ANEW = ("environment.json", "metrics.csv", "losses.npz", "noise.npz", "unreadable.csv")
RESUMED = ("junk", "another", "5", "columns", "words")


def all_damage() -> Iterator[Damage]:
    for file, (more, commands) in READ.items():
        for name, spoil in {**ANY, **more, "another": None}.items():
            for command in commands:
                if command != RESUME or name in RESUMED or file in ("config.yaml", "checkpoints/last.pt"):
                    yield Damage(f"{command.split()[0]} {file} {name[:22]}", file, spoil, command.split())


def is_fine(damage: Damage) -> bool:
    command, file, name = damage.name.split(" ", 2)
    fine = FINE.get(f"{command} {file}", FINE.get(file, ""))
    return fine == "*" or name in fine


def write_runs(root: Path) -> None:
    """A run, one of other data, and decisions about the first."""
    for name, count in {"": 11, "other_": 14}.items():
        photos = write_folder(root / f"{name}photos", per_class=count)
        if name:
            (photos / "red").rename(photos / "rose")
        (photos / "blue/03.png").write_bytes(b"")
        succeed("train", photos, "--out", root / f"{name}run", *FAST)
    (root / "corrections.csv").write_text("file_name,corrected_label,decision\ngreen/01.png,blue,other\n")
