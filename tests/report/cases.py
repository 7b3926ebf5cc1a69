"""Run directories made up for reports: every size and every name, without training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mixnn.results.issues import stored_label_issues
from mixnn.results.label_lists import write_labels
from mixnn.results.report.pictures import encoded_pictures
from mixnn.results.report.selection import cards, pictured
from mixnn.runs.directory import Evidence, RunDirectory

HOSTILE_CLASSES = ["<script>alert(1)</script>", "</script><b>bold", 'say "hi" & bye', "🦊 fox 👩‍🔬", "שלום عربي"]
HOSTILE_FILES = [
    "</script><script>alert(2)</script>.png",
    'a "quoted", name.png',
    "<img src=x onerror=alert(3)>.png",
    "🦊/👩‍🔬.png",
    "مرحبا/שלום.png",
    "line\nbreak.png",
    "latin \udce4.png",
    "$title ${data} <!-- -->.png",
]


def made_up(
    samples: int,
    classes: int,
    *,
    noise: float = 0.2,
    unlabeled: int = 0,
    names: Sequence[str] | None = None,
) -> Evidence:
    """Evidence of a network that is mostly right, with about `noise` of the labels wrong."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, samples)
    wrong = random.random(samples) < noise
    given = np.where(wrong, (truth + random.integers(1, classes, samples)) % classes, truth)
    given[samples - unlabeled :] = -1
    sure = random.uniform(0.6, 0.99, samples).astype(np.float32)
    probs = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, 1)
    probs[np.arange(samples), truth] = sure
    known = given >= 0
    agrees = given == truth
    loss = np.where(agrees, random.uniform(0, 0.3, samples), random.uniform(0.7, 1, samples))
    around = np.concatenate([np.flatnonzero(truth == label) for label in range(classes)])
    place = np.argsort(around)
    nearest = np.stack([around[(place + step) % samples] for step in range(1, 11)], 1)
    trust = 1 - noise * classes / (classes - 1)
    angle = 2 * np.pi * truth / classes
    spread = random.normal(0, 0.2, (samples, 2))
    return Evidence(
        names=np.array([f"photos/{i:06d}.jpg" for i in range(samples)] if names is None else names, dtype=np.str_),
        given=given,
        probs=probs,
        targets=probs,
        label_posterior=probs,
        noise_matrix=trust * np.eye(classes) + (1 - trust) / classes,
        noise_rate=np.array(noise),
        noise_rate_interval=np.array([0.9 * noise, 1.1 * noise]),
        loss=np.where(known, loss, np.nan).astype(np.float32),
        loss_mixture_clean_prob=np.where(known, np.where(agrees, 0.98, 0.02), np.nan).astype(np.float32),
        mixture=np.array([[0.15, 0.85], [0.01, 0.01], [1 - noise, noise]]),
        neighbors=nearest,
        unlabeled=np.array(["Not sure"] if unlabeled else [], dtype=np.str_),
        coordinates=(np.stack([np.cos(angle), np.sin(angle)], 1) + spread).astype(np.float32),
    )


def write_run(
    path: Path,
    evidence: Evidence,
    classes: Sequence[str],
    *,
    side: int | None = 16,
    config: dict[str, Any] | None = None,
) -> RunDirectory:
    """The files of a finished run that a report is made of; without pictures where `side` is None."""
    run = RunDirectory(path)
    path.mkdir(parents=True)
    settings: dict[str, Any] = {"source": "photos", "method": "mixnn", "epochs": 4, "seed": 0, "noise": None}
    run.write_config(settings | {"mixnn": {"warmup": 1, "mixup_until": 1, "correct_from": 2}} | (config or {}))
    run.write_json(run.classes, list(classes))
    rows = [{"epoch": i, "train_loss": 2 / i, "heldout": "test", "accuracy": 0.5 + i / 10} for i in range(1, 5)]
    run.write_table(run.metrics, [row | {"clean_fraction": 0.8 if row["epoch"] > 1 else ""} for row in rows])
    run.write_evidence(evidence)
    write_labels(run)
    assert evidence.loss is not None
    assert evidence.mixture is not None
    counts = np.array([np.histogram(evidence.loss[evidence.given >= 0], 50, (0, 1))[0]] * 2)
    mixtures = np.stack([evidence.mixture, np.full((3, 2), np.nan)])
    run.write_arrays(run.losses, {"epochs": np.array([2, 3]), "counts": counts, "mixtures": mixtures})
    if side is not None:
        rows_shown = pictured(evidence, cards(evidence, stored_label_issues(evidence)))
        random = np.random.default_rng(1)
        images = (random.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in rows_shown)
        run.write_arrays(run.thumbnails, encoded_pictures(rows_shown, images))
    return run


def hostile_run(path: Path) -> RunDirectory:
    """Forty samples with names and classes that would break a careless page; every label wrong but few.

    Each of the hostile names shows the same picture as the next sample.
    """
    names = HOSTILE_FILES + [f"plain/{i:02d}.png" for i in range(40 - len(HOSTILE_FILES))]
    pairs = np.array([[2 * i, 2 * i + 1] for i in range(len(HOSTILE_FILES) // 2)])
    evidence = replace(made_up(40, len(HOSTILE_CLASSES), noise=0.9, names=names), near_duplicates=pairs)
    return write_run(path, evidence, HOSTILE_CLASSES)
