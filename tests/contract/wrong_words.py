"""Wrong words for every command: each place where a file, a folder, a number or a choice goes, with each wrong value.

In the words, @NAME stands for a path below the folder that `write_things` fills, and % for the wrong value.
"""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contract.command import SMALL, succeed, write_folder

FAST = "--epochs 1 --mixnn.warmup 0 --mixnn.mixup-until 0"
TRAIN = f"train @photos --out @new {' '.join(SMALL)} {FAST}"
FIND = "find @data.npz --out @new --device cpu"
CORRUPT = "corrupt @photos --noise symmetric:0.2 --out @new/labels.csv"
EVALUATE = "evaluate @run @photos --device cpu --data.workers 0"
EMBED = "embed @photos --out @new/features.npz --device cpu"
APPLY = "apply @run @corrections.csv --out @new"
EXPORT = "export @run --to numpy --out @new"


class Wrong(NamedTuple):
    """One call.

    Attributes:
        words: of the command line.
        named: what the message has to hold, one of these: the option, or the value.
    """

    name: str
    words: list[str]
    named: list[str]


# A place for a file -> the ending that a file has there. What comes later on a command line counts.
FILES = {
    "train %": "csv",
    "train npz:%": "npz",
    "find %": "npz",
    "find parquet:%": "parquet",
    "check %": "csv",
    "corrupt %": "npz",
    f"{TRAIN} --data.labels %": "npy",
    f"{FIND} --data.labels %": "csv",
    f"{CORRUPT} --data.labels %:labels": "npz",
    f"{EVALUATE} --data.labels %": "pt",
    f"{TRAIN} --data.corrections %": "csv",
    f"{FIND} --data.corrections %": "csv",
    f"{TRAIN} --noise file:%": "json",
    f"{CORRUPT} --noise matrix:%": "csv",
    f"{CORRUPT} --noise matrix:% --seed 1": "npy",
    f"{FIND} --features %": "npy",
    f"{FIND} --features % --seed 1": "npz",
    f"{TRAIN} --weights %": "pt",
    f"{TRAIN} --weights % --seed 1": "safetensors",
    f"{TRAIN} --config %": "yaml",
    f"{FIND} --config %": "yaml",
    f"{EMBED} --encoder %": "onnx",
    "consensus % --out @new": "csv",
    "apply @run % --out @new": "csv",
    "predict @run % --device cpu": "png",
}
ENDINGS = {"train": f"--out @new {' '.join(SMALL)} {FAST}", "find": "--out @new --device cpu", "check": "--workers 0"}
ENDINGS |= {"corrupt": "--noise symmetric:0.2 --out @new/labels.csv"}
CONTENTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "junk": lambda path: path.write_bytes(np.random.RandomState(0).bytes(999)),
    "text": lambda path: path.write_text("hello, world\n"),
    "pickle": lambda path: path.write_bytes(pickle.dumps(print)),
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path),
    "null": lambda path: path.write_bytes(bytes(999)),
}
NAMES = {
    "missing": "missing",
    "nul": "a\0b",
    "long": "x" * 5000,
    "escape": "\x1b[31mred\r",
    "surrogate": "\udcff",
    "nowhere": "",
}
# A place for a run.
RUNS = [
    "report %",
    "evaluate % @photos",
    "predict % @photos/red/01.png",
    "apply % @corrections.csv --out @new",
    "export % --to numpy --out @new",
    "find --explain red/01.png --out %",
    "train --resume --out %",
]
NOT_RUNS = ["missing", "empty.csv", "nothing", "photos", "a\0b", "x" * 5000, "\x1b[31mred\r", "", "loop.csv"]
# A place to write to.
OUTS = [
    TRAIN,
    FIND,
    CORRUPT,
    APPLY,
    EXPORT,
    "report @run",
    "check @photos --workers 0",
    "demo --epochs 1 --limit 60",
]
NO_PLACES = ["a\0b", "x" * 5000 + ".csv", "junk.csv/in/it.csv", "loop.csv/it.csv", "/proc/nowhere.csv", ""]
# A place for a number.
NUMBERS = [
    f"{TRAIN} --epochs",
    f"{TRAIN} --data.image-size",
    f"{TRAIN} --posterior.repeats",
    f"{TRAIN} --lr",
    f"{TRAIN} --data.holdout",
    f"{TRAIN} --noise symmetric:0.1 --imbalance",
    f"{FIND} --seed",
    f"{FIND} --limit",
    f"{CORRUPT} --seed",
    "check @photos --workers",
    f"{EVALUATE} --data.workers",
    "demo --out @new --limit 60 --epochs",
    "demo --out @new --limit",
]
NO_NUMBERS = ["", "many", "-1", "1e999", "nan", "[1]", "{a: 1}", "٣x", "0.5.5"]
CHOICES = {
    f"{TRAIN} --network": ["", "cnn2", "os:system", "\x1b[31m", "timm:", "a:b:c", "."],
    f"{TRAIN} --method": ["", "cnn", "os:system", ":", "mixnn.", "--help-me", "\x1b[31m"],
    f"{TRAIN} --noise": ["", ":", "symmetric:", "symmetric:2", "file:", "matrix:", "file::", "\x1b[31m:1"],
    f"{TRAIN} --device": ["", "gpu", "cuda:99", "cpu:-1", "\x1b[31m", "meta"],
    f"{TRAIN} --preset": ["", "papers", "../paper", "\x1b[31m"],
    f"{TRAIN} --data.heldout": ["", "validation", "\x1b[31m"],
    f"{FIND} --data.unlabeled": ["nosuch", ",,", "\x1b[31m"],
    f"{TRAIN} --milestones": ["1,2", "[1, x]", "{}", "[[1]]", "null"],
    f"{TRAIN} --data": ["5", "null", "[1]", "photos", "{image_size: {a: 1}}"],
    f"{TRAIN} --mixnn": ["5", "[1]", "x"],
    f"{EXPORT} --to": ["", "excel", "NUMPY", "\x1b[31m"],
    f"{APPLY} --mode": ["", "move", "COPY"],
    "report @run --map": ["", "tsne", "PCA"],
}
# Settings whose content is of the wrong kind: the message names the key, or the file.
SETTINGS = {
    "data: 5": "data",
    "momentum: null": "momentum",  # lr may be null: the network says it
    "mixnn: 5": "mixnn",
    "data: [1, 2]": "data",
    "data: {image_size: [1]}": "image",
    "data: {nosuch: 1}": "nosuch",
    "method: 5": "method",
    "method: [posterior]": "method",
    "method: {a: 1}": "method",
    "preset: 5": "preset",
    "preset: [paper]": "preset",
    "source: [a, b]": "source",
    "source: {a: 1}": "source",
    "epochs: {a: 1}": "epochs",
    "epochs: true": "epochs",
    "1: 2": "configuration",
    "null: 2": "configuration",
    "? [a, b]\n: 1": "yaml",
    "epochs: !!python/object/apply:os.getcwd []": "python",
    "epochs: *nosuch": "nosuch",
    "lr: .nan": "lr",
    "seed: 0x1_0000_0000_0000": "seed",
    "method: !!binary aGVsbG8=": "method",
    "epochs: 2026-01-01": "epochs",
    "config: other.yaml": "config",
    "--- 1\n--- 2": "yaml",
    "\ufeffepochs: x": "epochs",
    "epochs: 1\n\x07": "yaml",
    "a: " + "[" * 5000: "yaml",
    "a: " + "9" * 5000: "a",
}


def write_things(root: Path) -> None:
    """Good data, two finished runs, and every wrong file."""
    photos = write_folder(root / "photos", per_class=11)
    x = np.random.RandomState(0).normal(size=(60, 4)) + 4 * np.eye(3, 4)[np.arange(60) % 3]
    np.savez(root / "data.npz", x=x.astype(np.float32), y=np.arange(60) % 3)
    succeed("train", photos, "--out", root / "run", *SMALL, *FAST.split())
    (root / "corrections.csv").write_text("file_name,corrected_label,decision\nred/01.png,blue,other\n")
    (root / "nothing").mkdir()
    for ending in {*FILES.values()}:
        for name, write in CONTENTS.items():
            write(root / f"{name}.{ending}")
    for place, text in enumerate(SETTINGS):
        (root / f"settings_{place}.yaml").write_text(text, encoding="utf-8", errors="surrogateescape")


def all_wrong() -> list[Wrong]:
    """Every call; values take turns where a place has many, so that each is somewhere."""
    return [*wrong_files(), *wrong_runs(), *wrong_outs(), *wrong_values(), *wrong_settings()]


def at(root: Path, word: str) -> str:
    before, mark, name = word.partition("@")
    return f"{before}{root / name}" if mark else word


def wrong_files() -> Iterator[Wrong]:
    for turn, (place, ending) in enumerate(FILES.items()):
        command, *_ = place.split()
        text = f"{place} {ENDINGS[command]}" if command in ENDINGS and "--" not in place else place
        values = {name: f"@{name}.{ending}" for name in CONTENTS}
        values |= {name: f"@{value}.{ending}" if value else "" for name, value in NAMES.items()}
        for name, value in list(values.items())[turn % 2 :: 2]:
            words = [word.replace("%", value) for word in text.split()]
            option = next((word for word in place.split()[-4:] if word.startswith("--") and word != "--seed"), "DATA")
            yield Wrong(f"{title(place)}-{name}", words, [value, option])


def wrong_runs() -> Iterator[Wrong]:
    for place in RUNS:
        for name in NOT_RUNS:
            value = f"@{name}" if name else ""
            words = [word.replace("%", value) for word in place.split()]
            yield Wrong(f"{title(place)}-{label(name)}", words, [value, "--out"] if "--out %" in place else [value])


def wrong_outs() -> Iterator[Wrong]:
    for place in OUTS:
        for name in NO_PLACES:
            value = name if not name or name.startswith("/") else f"@{name}"
            yield Wrong(f"{title(place)}---out-{label(name)}", [*place.split(), "--out", value], ["--out", value])


def wrong_values() -> Iterator[Wrong]:
    numbers = {place: NO_NUMBERS[turn % 3 :: 3] for turn, place in enumerate(NUMBERS)}
    for place, values in (numbers | CHOICES).items():
        *_, option = place.split()
        for value in values:
            words = [*place.split()[:-1], f"{option}={value}"] if option.startswith("--") else [*place.split(), value]
            yield Wrong(f"{title(place)}-{label(value)}", words, [option, value])


def wrong_settings() -> Iterator[Wrong]:
    for command in (TRAIN, FIND):
        for place, (text, named) in enumerate(SETTINGS.items()):
            words = [*command.split(), "--config", f"@settings_{place}.yaml"]
            yield Wrong(f"{command.split()[0]}---config-{label(text)}", words, [named])


def title(place: str) -> str:
    """The command, and the option that is wrong."""
    words = place.split()
    return "-".join([words[0], *(word for word in words[-2:] if word.startswith("--"))])


def label(value: str) -> str:
    return os.path.basename(value)[:30] or "nothing"
