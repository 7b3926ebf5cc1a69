"""Which labels are judged: data set, noise, size.

`CHOOSE` is what settings may be chosen by, `REPORT` what is reported; no cell is in both.

They share no data set but CIFAR-10 and CIFAR-100, of which they take other images and other kinds of noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from real_errors import features

from mixnn.data.noise.transition import corrupt, transition_matrix
from mixnn.data.readers import read_source

Labels = NDArray[np.int64]


class Case(NamedTuple):
    """One draw of one cell.

    Attributes:
        features: float32 (N, D).
        given: int64 (N,).
        truth: int64 (N,); None where nobody knows all mistakes.
        classes: names, C.
    """

    features: NDArray[np.float32]
    given: Labels
    truth: Labels | None
    classes: list[str]


@dataclass(frozen=True)
class Cell:
    """A column of the benchmark.

    Attributes:
        data: data set, see `features.MAKERS`.
        noise: "as is"; KIND:RATE of `mixnn corrupt`; human:NAME of the people's labels; thinned:NAME:RATE, so that only
            that share is wrong; file:NAME, a published file of instance-dependent labels.
        start, size: which samples; a random part of so many, drawn by the seed, where `start` is None.
        imbalance: the first class has so many times as many samples as the last.
    """

    data: str
    noise: str
    start: int | None = 0
    size: int | None = 10_000
    imbalance: float = 1.0

    @property
    def name(self) -> str:
        size = "" if self.size in (10_000, None) else f" n={self.size}"
        return f"{self.data} {self.noise}{size}" + (f" long tail {self.imbalance:g}" if self.imbalance > 1 else "")

    def draw(self, seed: int, data: Path, cache_folder: Path) -> Case:
        """The labels of this seed."""
        x = features.features_of(self.data, data, cache_folder)
        truth, classes = true_labels(self.data, data)
        kind, _, rest = self.noise.partition(":")
        rows = self._rows(truth, seed)
        if self.noise == "as is":
            return Case(x[rows], truth[rows], None, classes)
        if kind in ("human", "thinned", "file"):
            given = published(self.data, kind, rest, data)
            if kind == "thinned":
                given = thinned(given, truth, rows, float(rest.partition(":")[2]), seed)
        else:
            given = corrupt(truth, transition_matrix(kind, float(rest), classes), seed)
        return Case(x[rows], given[rows], truth[rows], classes)

    def _rows(self, truth: Labels, seed: int) -> Labels:
        random = np.random.default_rng(seed)
        size = len(truth) if self.size is None else self.size
        if self.start is None or (seed and self.noise.partition(":")[0] in ("human", "file") and size < len(truth)):
            # Published labels have one draw: other seeds take other images. Cells to choose by have the upper half.
            first, last = (0, len(truth) // 2) if self.start in (0, None) else (len(truth) // 2, len(truth))
            rows = np.sort(first + random.permutation(last - first)[:size])
        else:
            rows = np.arange(self.start, min(len(truth), self.start + size))
        if self.imbalance > 1:
            classes = int(truth.max()) + 1
            share = self.imbalance ** -(truth[rows] / (classes - 1))
            rows = rows[random.random(len(rows)) < share]
        return rows


@cache
def true_labels(name: str, data: Path) -> tuple[Labels, list[str]]:
    """int64 (N,) as published, and the classes."""
    if name.startswith("cifar"):
        dataset = read_source(f"{name}:{data / name}")
        return dataset.train.labels, dataset.classes
    rows = {"clothing": features.clothing_rows, "speech": features.speech_rows, "banking77": features.banking_rows}
    classes, labels = np.unique([label for _, label in rows[name](data)], return_inverse=True)
    return labels.astype(np.int64), classes.tolist()


def published(name: str, kind: str, which: str, data: Path) -> Labels:
    folder = data / name / "noise"
    if kind == "file":
        return np.load(folder / f"{which}.npy").astype(np.int64)
    with np.load(folder / "human.npz") as labels:
        return labels[which.partition(":")[0]].astype(np.int64)


def thinned(given: Labels, truth: Labels, rows: Labels, rate: float, seed: int) -> Labels:
    """People's mistakes kept with such a probability that `rate` of `rows` are wrong."""
    wrong = given != truth
    keep = np.random.default_rng([seed, 1]).random(len(given)) < rate / wrong[rows].mean()
    return np.where(wrong & keep, given, truth)


def cells(data: str, noises: Sequence[str], start: int | None = 0, size: int | None = 10_000) -> list[Cell]:
    return [Cell(data, noise, start, size) for noise in noises]


UPPER = 25_000  # the first of the CIFAR images that settings are chosen by
CHOOSE = [
    *cells("cifar10", ["human:random_label1", "thinned:random_label2:0.02", "file:IDN_0.2", "file:IDN_0.4"], UPPER),
    *cells("cifar10", ["file:PMD_type1_0.35", "symmetric:0.2", "symmetric:0.8", "pairflip:0.2"], UPPER),
    *cells("cifar10", ["symmetric:0"], UPPER),
    *cells("cifar10", ["human:random_label3", "symmetric:0.4"], UPPER, 2_000),
    *cells("cifar100", ["symmetric:0.2", "file:PMD_type2_0.35", "thinned:noisy_label:0.05"], UPPER),
    *cells("speech", ["symmetric-exclusive:0.05", "symmetric-exclusive:0.2", "pairflip:0.3", "symmetric:0"], 0, None),
    Cell("cifar10", "symmetric:0.4", UPPER, 20_000, 50),
]
REPORT = [
    *cells("cifar10", [f"thinned:worse_label:{rate}" for rate in ("0.005", "0.01", "0.03")]),
    *cells("cifar10", ["human:aggre_label", "human:random_label1", "human:worse_label"]),
    *cells("cifar10", ["symmetric:0.5", "asymmetric:0.4", "file:IDN_0.3"]),
    *cells("cifar10", ["human:worse_label", "symmetric:0.2"], None, 2_000),
    *cells("cifar10", ["symmetric:0.2"], None, 500),
    *cells("cifar10", ["thinned:worse_label:0.01", "human:worse_label"], 0, 50_000),
    *cells("cifar100", ["human:noisy_label", "thinned:noisy_label:0.01", "thinned:noisy_label:0.03"]),
    *cells("cifar100", ["symmetric:0.5", "asymmetric:0.4", "file:PMD_type1_0.35"]),
    *cells("cifar100", ["human:noisy_label"], 0, 50_000),
    *cells("clothing", ["as is", "symmetric-exclusive:0.05"], 0, None),
    *cells("banking77", ["as is", "symmetric-exclusive:0.05", "symmetric-exclusive:0.2"], 0, None),
    Cell("cifar10", "asymmetric:0.3", 0, 20_000, 50),
]
