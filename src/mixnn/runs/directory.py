"""The run directory: the only door from training to lists, pictures and exports.

Must not know: torch, methods, data sets. Every file is written under another name, then renamed: none is half there.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mixnn.config import RunConfig
from mixnn.errors import InputError
from mixnn.runs.lock import HOLDER, LOCK, locked
from mixnn.tables.topk_rows import Table, TopkTable, stored
from mixnn.utils.csv_files import csv_rows, write_csv
from mixnn.utils.files import Row, as_text, atomic_write, read_yaml
from mixnn.utils.output_paths import check_outside


@dataclass(frozen=True)
class Evidence:
    """What is known of every sample of a run, and the label quality made of it.

    Tables are `TopkTable` where N × C is very large (see `tables.topk_rows`): read like an array, some rows at a time.

    Attributes:
        names: (N,) file names, relative to the data.
        given: (N,) int64 given labels; -1 - i where the label is the i-th of `unlabeled`.
        probs: (N, C) float32 predicted probabilities: of the trained network, without augmentation; of `mixnn find`,
            by a classifier that has not seen the sample's label.
        label_posterior: (N, C), rows sum to one: P(true label | evidence, given label).
        noise_matrix: (C, C), rows sum to one: P(given label | true label).
        noise_rate: 0-d float64, share of wrong labels, 0–1.
        noise_rate_interval: (2,) float64, low and high around it.
        contradicted: 0-d float64, share of the labels that the evidence by itself contradicts, 0–1.
        neighbors: (N, K) int64 nearest samples in feature space, nearest first.
        unlabeled: words that mean "don't know".
        verified: int64 (R,), rows whose label a person has confirmed.
        near_duplicates: int64 (M, 2), near duplicates, the nearest pair first.
        distances: (N, K) float32 in 0–2, of the neighbors, one minus cosine; None where they were not kept.
        coordinates: (N, 2) float32, the features on a plane; None where they were not kept.
        outlier_score: (N,) float32 in 0–1, above 0.5 for an outlier; None of a run of before these were looked for.

    Only a training has these; None of `mixnn find`:
        targets: (N, C) float32 soft targets; the probabilities for a method that has none.
        loss: (N,) float32 in 0–1, normalized loss against the given label; NaN where there is none.
        loss_mixture_clean_prob: (N,) float32 in 0–1, posterior of the lower component; NaN where there is no label.
        mixture: (3, 2) float64: means, variances, weights, lower mean first; NaN where none was fitted.
        heldout: (C, C) int64, how many held-out samples of each label the network takes for each class.
    """

    names: NDArray[np.str_]
    given: NDArray[np.int64]
    probs: Table
    label_posterior: Table
    noise_matrix: NDArray[np.floating]
    noise_rate: NDArray[np.floating]
    noise_rate_interval: NDArray[np.floating]
    neighbors: NDArray[np.int64]
    unlabeled: NDArray[np.str_]
    contradicted: NDArray[np.floating] = field(default_factory=lambda: np.zeros(()))
    verified: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    near_duplicates: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    distances: NDArray[np.float32] | None = None
    coordinates: NDArray[np.float32] | None = None
    outlier_score: NDArray[np.float32] | None = None
    targets: Table | None = None
    loss: NDArray[np.float32] | None = None
    loss_mixture_clean_prob: NDArray[np.float32] | None = None
    mixture: NDArray[np.float64] | None = None
    heldout: NDArray[np.int64] | None = None

    def check(self, classes: int) -> None:
        """Raises ValueError where tables are not of the same N samples and `classes`, as those of two runs are not."""
        samples, whole = len(self.names), (len(self.names), classes)
        shapes = {"given": (samples,), "probs": whole, "label_posterior": whole, "targets": whole, "noise_rate": ()}
        shapes |= {"outlier_score": (samples,), "noise_matrix": (classes, classes), "noise_rate_interval": (2,)}
        for name, shape in shapes.items():
            table = getattr(self, name)
            if table is not None and (table.shape != shape or not is_number(table)):
                raise ValueError(f"{name} is not of {samples} samples and {classes} classes")
        places = [part.ravel() for part in (self.neighbors, self.near_duplicates, self.verified) if part.size]
        if not all(part.min() >= 0 and part.max() < samples for part in places) or len(self.neighbors) != samples:
            raise ValueError(f"neighbors are not of {samples} samples")
        if not (samples and -len(self.unlabeled) <= self.given.min() <= self.given.max() < classes):
            raise ValueError(f"labels are not of {classes} classes")


def is_number(table: Table) -> bool:
    """Whether it holds numbers, and the first of them is one."""
    return isinstance(table, TopkTable) or (table.dtype.kind in "iuf" and bool(np.isfinite(table.ravel()[:1]).all()))


# What reading damaged files may raise.
DAMAGE: tuple[type[Exception], ...] = (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError)
DAMAGE += (RecursionError, NotImplementedError, zipfile.BadZipFile, zlib.error)
QUALITY = ("label_posterior", "noise_matrix", "noise_rate", "noise_rate_interval", "contradicted")


class RunDirectory:
    """The files of one run, by what they hold."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.csv"
        self.labels = self.path / "labels.csv"
        self.label_issues = self.path / "label_issues.csv"
        self.label_noise = self.path / "label_noise.json"
        self.outliers = self.path / "outliers.csv"
        self.near_duplicates = self.path / "near_duplicates.csv"
        self.targets = self.path / "soft_targets.npy"
        self.classes = self.path / "classes.json"
        self.label_arrays = self.path / "label_arrays.json"
        self.model = self.path / "model.safetensors"
        self.checkpoint = self.path / "checkpoints" / "last.pt"
        self.overview = self.path / "overview.png"
        self.evidence = self.path / "evidence.npz"
        self.label_quality = self.path / "label_quality.npz"
        self.thumbnails = self.path / "thumbnails.npz"
        self.losses = self.path / "losses.npz"
        self.report = self.path / "report.html"
        self.noise = self.path / "noise.npz"
        self.noise_record = self.path / "noise.json"
        self.unreadable = self.path / "unreadable.csv"
        self.records = self.path / "records.json"
        self.encoder = self.path / "encoder.npz"

    @classmethod
    def existing(cls, path: str | Path) -> RunDirectory:
        """Raises InputError unless `path` holds a run."""
        run = cls(path)
        if not run.config.is_file():
            raise InputError(
                f"{path} is not a run directory (no config.yaml): give the --out of a `mixnn find` or `mixnn train`"
            )
        return run

    @property
    def trained(self) -> bool:
        """Whether a network belongs to it; none does to a run of `mixnn find`."""
        return not (self.config.is_file() and read_yaml(self.config).get("command") == "find")

    def check_trained(self) -> None:
        """Raises InputError where no network was trained."""
        if not self.trained:
            raise InputError(
                f"{self.path} is a run of `mixnn find`, which trains no network: give the --out of a `mixnn train`"
            )

    def check_outside(self, source: str) -> None:
        """Raises InputError where `path` lies inside the folder `source`."""
        check_outside(self.path, source)

    def check_free(self, *, resumable: bool = True) -> None:
        """Raises InputError if `path` holds something already; `resumable`: the command has a --resume."""
        # A run killed before its configuration was there leaves folders and unfinished files, which nobody misses.
        ours = {self.path / name for name in (LOCK, HOLDER)}
        files = (p for p in self.path.rglob("*") if p.is_file() and ".tmp" not in p.suffixes and p not in ours)
        if self.path.is_file() or any(files):
            held = "another run" if self.config.exists() else "other files"
            resumable = resumable and self.config.exists() and self.trained
            fix = "choose a new directory" + (", or add --resume to go on with it" if resumable else "")
            raise InputError(f"--out {self.path} already holds {held}: {fix}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out, and clear away what a killed run left unfinished; see `runs.lock`.

        Raises InputError if another one is at work here, or if writing is not allowed.
        """
        with locked(self.path):
            for unfinished in (*self.path.glob(".*.tmp*"), *self.checkpoint.parent.glob(".*.tmp*")):
                with suppress(OSError):
                    unfinished.unlink()
            yield

    def write_config(self, config: Mapping[str, Any]) -> None:
        with atomic_write(self.config) as path:
            path.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")

    def discard(self) -> None:
        """Remove what a run writes before its first epoch."""
        early = (self.config, self.environment, self.classes, self.noise, self.noise_record, self.unreadable)
        for path in (*early, self.records, self.encoder):
            path.unlink(missing_ok=True)

    def write_json(self, path: Path, content: object) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def again(self) -> str:
        """How the files of this run are written again."""
        return "repeat `mixnn train … --resume`" if self.trained else "`mixnn find` again, with a new --out"

    @contextmanager
    def reading(self, path: Path | None = None) -> Iterator[None]:
        """Raise InputError where what stands inside meets damage in `path`, or in any file of the run."""
        try:
            yield
        except InputError as error:
            if path is None:
                raise
            reason = str(error).rpartition(": ")[0]
            raise InputError(f"{path} is damaged ({reason}): {self.again} to write it anew") from error
        except FileNotFoundError as error:
            raise InputError(f"{path or self.path} is missing, the run is not finished: {self.again}") from error
        except DAMAGE as error:
            reason = " ".join(str(error).split()).partition(". ")[0]
            if isinstance(error, OSError) and error.strerror:
                reason = error.strerror
            if "pickle" in reason:  # NumPy would have it allowed
                reason = "it is no NumPy file, or holds Python objects, which are never loaded"
            raise InputError(f"{path or self.path} is damaged ({reason}): {self.again} to write it anew") from error

    def read_json(self, path: Path) -> Any:
        """Raises InputError if the file is missing or damaged."""
        with self.reading(path):
            return json.loads(path.read_text(encoding="utf-8"))

    def read_config(self) -> RunConfig:
        """The settings; InputError if the file is missing or damaged, or a setting is of another type."""
        content = read_yaml(self.config)
        config = RunConfig.from_dict(content, self.config)
        last = list(content)[-1]  # the section of the method, in a whole file
        if self.trained and (last == "data" or not isinstance(content[last], Mapping)):
            raise InputError(f"{self.config} ends before the options of {config.options.method}: copy it whole")
        return config

    def read_classes(self) -> list[str]:
        """Class names, in the order of the network's outputs; InputError if the file is missing or damaged."""
        names = self.read_json(self.classes)
        with self.reading(self.classes):
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                raise TypeError("no list of names")
        return names

    def write_table(self, path: Path, rows: Iterable[Row], columns: Sequence[str] | None = None) -> None:
        """Rows as CSV; the columns are the keys of all rows in order of appearance, where none are given."""
        if columns is None:
            rows = list(rows)
            columns = list(dict.fromkeys(key for row in rows for key in row))
        write_csv(path, columns, ([as_text(row.get(name, "")) for name in columns] for row in rows))

    def read_table(self, path: Path) -> list[dict[str, str]]:
        """Raises InputError if the file is missing or no table."""
        with self.reading(path):
            header, *rows = [row for _, row in csv_rows(path)] or [[]]
            return [dict(zip(header, row, strict=True)) for row in rows]

    def read_metrics(self) -> list[dict[str, str]]:
        """The rows of metrics.csv; InputError if it is missing, or has no epochs."""
        rows = self.read_table(self.metrics)
        with self.reading(self.metrics):
            if not rows or any(int(row["epoch"]) < 1 or math.isnan(float(row["train_loss"])) for row in rows):
                raise ValueError("no epochs")
        return rows

    def write_evidence(self, evidence: Evidence) -> None:
        fields = {name: stored(value) for name, value in vars(evidence).items() if value is not None}
        if "targets" in fields:
            with atomic_write(self.targets) as path:
                np.save(path, fields.pop("targets"))
        self.write_arrays(self.label_quality, {name: fields.pop(name) for name in QUALITY})
        self.write_arrays(self.evidence, fields)

    def read_evidence(self) -> Evidence:
        """Raises InputError where a file of it is missing or damaged, or is another run's."""
        arrays: dict[str, Any] = self.read_arrays(self.evidence) | self.read_arrays(self.label_quality)
        if self.targets.exists():
            with self.reading(self.targets):
                arrays["targets"] = np.load(self.targets)
        with self.reading():
            sparse = {name: array for name, array in arrays.items() if array.dtype.names is not None}
            classes = len(arrays["noise_matrix"])
            evidence = Evidence(**arrays | {name: TopkTable(rows, classes) for name, rows in sparse.items()})
            evidence.check(len(self.read_classes()) if self.classes.exists() else classes)
        return evidence

    def write_arrays(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        with atomic_write(path) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle

    def read_arrays(self, path: Path) -> dict[str, NDArray[Any]]:
        """Raises InputError if the file is missing or damaged."""
        with self.reading(path), open(path, "rb") as file, np.load(file) as content:
            return dict(content)
