"""What tests of `mixnn apply` and `mixnn export` share: runs that were never trained, and what a person decided."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.data.dataset import Dataset
from mixnn.data.read import read
from mixnn.data.split import prepare
from mixnn.results.label_lists import write_labels
from mixnn.runs.directory import Evidence, RunDirectory

K = 3


def make_evidence(dataset: Dataset) -> Evidence:
    """A network that is sure of the given label of all but every fifth sample, where it says the next class."""
    labels, n, c = dataset.train.labels, len(dataset.train), len(dataset.classes)
    wrong = np.arange(n) % 5 == 4
    said = np.where(wrong, (labels + 1) % c, labels.clip(0))
    probs = np.full((n, c), 0.1 / (c - 1), np.float32)
    probs[np.arange(n), said] = 0.9
    known = labels >= 0
    nearest = (np.arange(n)[:, None] + np.arange(1, K + 1)) % n
    return Evidence(
        names=np.array(dataset.train.names, dtype=np.str_),
        given=labels,
        probs=probs,
        targets=probs,
        label_posterior=probs,
        noise_matrix=0.8 * np.eye(c) + 0.2 / c,
        noise_rate=np.array(0.2),
        noise_rate_interval=np.array([0.1, 0.3]),
        loss=np.where(known, wrong, np.nan).astype(np.float32),
        loss_mixture_clean_prob=np.where(known, 1.0 - wrong, np.nan).astype(np.float32),
        mixture=np.full((3, 2), np.nan),
        neighbors=nearest,
        unlabeled=np.array(dataset.unlabeled, dtype=np.str_),
        verified=np.flatnonzero(dataset.train.verified)
        if dataset.train.verified is not None
        else np.zeros(0, np.int64),
        distances=np.tile(np.linspace(0.1, 0.3, K, dtype=np.float32), (n, 1)),
    )


def make_run(
    path: Path, source: object, *, holdout: float = 0.0, noisy: NDArray[np.int64] | None = None, **data: object
) -> RunDirectory:
    """The run directory of a run on `source` with these `--data.…` options; `noisy` are labels that noise made."""
    options = TrainOptions(data=DataOptions(holdout=holdout, **data), noise=None if noisy is None else "symmetric:0.4")
    dataset = read(str(source), options.data)
    if noisy is not None:
        dataset = replace(dataset, train=replace(dataset.train, labels=noisy))
    dataset = prepare(dataset, holdout=holdout)
    run = RunDirectory(path)
    path.mkdir(parents=True)
    run.write_config(RunConfig(str(source), options).to_dict())
    run.write_json(run.classes, dataset.classes)
    run.write_evidence(make_evidence(dataset))
    write_labels(run)
    return run


def write_corrections(path: Path, *rows: tuple[str, str, str]) -> Path:
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("file_name", "corrected_label", "decision"), *rows])
    return path


def labels_of(source: object, **data: object) -> dict[str, str]:
    """What a run on `source` is given, by file name."""
    dataset = prepare(read(str(source), DataOptions(**data)), holdout=0)
    return dict(zip(dataset.train.names, dataset.label_words(dataset.train.labels), strict=True))
