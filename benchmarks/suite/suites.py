"""The suites. Must not know: how they are run.

What the rows of a suite share (network, order, noise, augmentation, schedule, evaluation) stands in `common`; a row
says its method and, where these are published, its hyperparameters. Nothing depends on the rate of the noise.

Where a run is shorter than the published one, warm-ups and ramps keep their epochs, and points at which a method turns
(`correct_from` and the like) are moved in proportion, but not before the warm-up ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.suite.cells import Column, Settings, Suite
from benchmarks.suite.columns import C10, C100, Rows, human, noises, row
from benchmarks.suite.full import FULL, FULL_SECONDS
from mixnn import METHODS, Method


def costs(rows: Mapping[str, Settings]) -> dict[str, float]:
    """What the rows take, in that of cross-entropy, by what their methods say."""
    return {name: METHODS[settings["method"]].cost for name, settings in rows.items()}


# Every method that is no variant of another, the quickest first; their defaults are what is published for CIFAR-10.
METHOD_ROWS: Rows = {
    name: row(name) for name, kind in sorted(METHODS.items(), key=lambda item: item[1].cost) if kind.__base__ is Method
}
# Published for CIFAR-100; where the authors went by the rate of the noise, one value stands for all rates.
CIFAR100: Rows = {
    "mixnn-paper": {"mixnn": {"warmup": 30}},
    "mixnn-public-code": {"mixnn_public_code": {"warmup": 29}},
    "sce": {"sce": {"alpha": 6.0, "beta": 0.1}},
    "elr": {"elr": {"beta": 0.9, "lam": 7.0}},
    "dividemix": {"dividemix": {"lambda_u": 150.0, "warmup": 30}},
    "ssr": {"ssr": {"theta_r": 0.8}},
}


# --- cpu-small: minutes on two cores ---

SMALL: Settings = {"network": "mini", "limit": 10_000, "epochs": 40, "device": "cpu"}

SMALL_ROWS: Rows = {
    **{name: row(name) for name in ("ce", "posterior", "mixnn")},
    "mixnn-paper": row("mixnn", warmup=10, mixup_until=0, correct_from=10, alpha=0.9, gmm_monotone=False),
    **METHOD_ROWS,
    "ssr": row("ssr", neighbors=40),  # 200 of 50 000, in proportion
}

CPU_SMALL = Suite(
    name="cpu-small",
    about="CIFAR-10, the first 10 000 training images, the whole test set, a small network, 40 epochs.",
    columns=[
        *noises(C10, "symmetric:0.5"),
        *human(C10, "worse_label"),
        *noises(C10, "asymmetric:0.4", "symmetric:0.8", "clean"),
    ],
    rows=SMALL_ROWS,
    common=SMALL,
    seeds=(0, 1, 2),
    minutes=0.8,
    costs=costs(SMALL_ROWS),
    device="cpu",
)

# --- trials: as cpu-small, but never a look at the test set, so that settings may be chosen by it ---

TRIALS = Suite(
    name="trials",
    about="As cpu-small, judged on 10 000 training images with right labels that are held out: for choosing defaults.",
    columns=CPU_SMALL.columns,
    rows=SMALL_ROWS | {"mixnn-posterior": row("mixnn_posterior")},
    common=SMALL | {"data": {"heldout": "train", "holdout": 0.2}},
    seeds=(0, 1, 2),
    minutes=0.8,
    costs=costs(SMALL_ROWS),
    device="cpu",
)

# --- ablation: what each part of the default brings, and what its tricks bring to others ---

ABLATION = Suite(
    name="ablation",
    about="Posterior with one part removed, and rivals with its augmentation and its batches; judged as in trials.",
    columns=CPU_SMALL.columns[:2],
    rows={
        "posterior": row("posterior"),
        "without color": row("posterior", augment="crop-flip"),
        "one turn": row("posterior", repeats=1),
        "whole batches": row("posterior", steps_per_batch=1),
        "no robust loss first": row("posterior", q=0.001),  # next to cross-entropy
        "gce to the end": row("gce") | {"batch_size": 64},  # no posterior, hence no second part
        "gce, color": row("gce") | {"batch_size": 64, "augment": "color"},
        "ce, color": row("ce") | {"batch_size": 64, "augment": "color"},
        "ssr": CPU_SMALL.rows["ssr"],
        "ssr, color": CPU_SMALL.rows["ssr"] | {"augment": "color"},
        "ssr, color, half batches": CPU_SMALL.rows["ssr"] | {"augment": "color", "batch_size": 64},
    },
    common=TRIALS.common,
    seeds=(0, 1, 2),
    minutes=0.8,
    costs={},
    device="cpu",
)

# --- sensitivity: the paper's two open questions, how many neighbors and how fast a correction ---

SENSITIVITY = Suite(
    name="sensitivity",
    about="MixNN with other K (default: 1) or α (0.95) than the default's, at the scale of cpu-small.",
    columns=CPU_SMALL.columns[:3],
    rows={
        "default": row("mixnn"),
        **{f"K={k}": row("mixnn", neighbors=k) for k in (0, 2, 4, 8, 16)},
        **{f"alpha={alpha:g}": row("mixnn", alpha=alpha) for alpha in (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)},
    },
    common=SMALL,
    seeds=(0, 1, 2),
    minutes=1.1,
    costs={"K=4": 1.1, "K=8": 1.2, "K=16": 1.5},
    device="cpu",
)

# --- long-tail: is a rare class taken for noise? ---

LONG_TAIL = Suite(
    name="long-tail",
    about="CIFAR-10 with 50 times as many images of the first class as of the last (13 996 in all), a small network.",
    columns=noises(C10, "symmetric:0.4"),
    rows={name: row(name) for name in ("ce", "posterior", "mixnn", "elr", "ssr")},
    common=SMALL | {"limit": None, "imbalance": 50.0},
    seeds=(0, 1, 2),
    minutes=1.1,
    costs=costs(SMALL_ROWS),
    device="cpu",
)

# --- on a GPU ---

GPU: Settings = {"device": "cuda", "precision": "bfloat16"}

FRONTIER = Suite(
    name="frontier",
    about="PreActResNet-18, 100 epochs, all of CIFAR.",
    columns=[
        *noises(C10, "symmetric:0.8"),
        *human(C10, "worse_label"),
        *noises(C10, "symmetric:0.5", "symmetric:0.9", "asymmetric:0.4", "symmetric:0.2"),
        *human(C10, "aggre_label", "random_label1"),
        *noises(C100, "symmetric:0.5", "symmetric:0.8", "symmetric:0.2", "symmetric:0.9", rows=CIFAR100),
        *human(C100, "noisy_label", rows=CIFAR100),
        *noises(C100, "asymmetric:0.4", rows=CIFAR100),
    ],
    rows={
        "posterior": row("posterior"),
        "mixnn": row("mixnn"),
        **METHOD_ROWS,
        "selc": row("selc", correct_from=20),
    },
    common=GPU | {"data": {"store": "memory"}, "network": "preactresnet18", "epochs": 100},
    seeds=(0, 1, 2),
    minutes=8,
    costs=costs(SMALL_ROWS),
    device="cuda",
)

RATES = ("symmetric:0.8", "symmetric:0.4", "asymmetric:0.4", "symmetric:0.2", "symmetric:0.6")
SELC100: Rows = {"selc": {"selc": {"correct_from": 30}}}
ELR_ASYMMETRIC: Settings = {
    "elr": {"beta": 0.9, "lam": 1.0},
    **{"epochs": 120, "schedule": "steps", "milestones": [40, 80], "gamma": 0.01},
}


def published_elr(column: Column) -> Column:
    """With the recipe behind ELR's own figures for this column."""
    own: Settings = {"preset": f"elr-{column.data}"}
    if column.data == C10 and (column.noise or "").startswith("asymmetric"):
        own |= ELR_ASYMMETRIC
    return Column(column.name, column.data, column.noise, {**column.rows, "elr-as-published": own})


PAPER = Suite(
    name="paper",
    about="ResNet-34, 300 epochs by MixNN's presets; in the row elr-as-published, by ELR's own recipe.",
    columns=[
        published_elr(column) for column in [*noises(C10, *RATES), *noises(C100, *RATES, rows=CIFAR100 | SELC100)]
    ],
    rows={
        "mixnn-paper": {"preset": "paper"},
        "mixnn-public-code": {"preset": "public-code"},
        **{name: {"preset": "paper"} | row(name) for name in ("ce", "elr")},
        "selc": {"preset": "paper", **row("selc", correct_from=40)},
        "elr-as-published": row("elr"),
    },
    common=GPU | {"data": {"store": "memory"}},
    seeds=(0, 1, 2),
    minutes=25,
    costs={"mixnn-paper": 1.4, "mixnn-public-code": 1.5, "elr-as-published": 0.5},
    device="cuda",
)

REAL_SETS = ("clothing1m", "mini-webvision")
REAL = Suite(
    name="real",
    about="Clothing1M and mini-WebVision by their published recipes.",
    columns=[Column(name, name, rows={row: {"preset": name} for row in ("mixnn", "ce")}) for name in REAL_SETS],
    rows={"mixnn": {"method": "mixnn"}, "ce": row("ce")},
    common=GPU,
    seeds=(0,),
    minutes=600,
    costs={"mixnn": 1.5},
    device="cuda",
)

ON_A_CPU = (CPU_SMALL, FULL, FULL_SECONDS, TRIALS, ABLATION, SENSITIVITY, LONG_TAIL)
SUITES = {suite.name: suite for suite in (*ON_A_CPU, PAPER, FRONTIER, REAL)}
