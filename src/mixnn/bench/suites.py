"""The suites. Must not know: how they are run.

What the rows of a suite share (network, order, noise, augmentation, schedule, evaluation) stands in `common`; a row
says its method and, where these are published, its hyperparameters. Nothing depends on the rate of the noise.
"""

from __future__ import annotations

from typing import Any

from mixnn.bench.cells import Column, Settings, Suite, merged

Rows = dict[str, Settings]


def row(method: str, **options: Any) -> Settings:
    """Settings of a method's row."""
    return {"method": method, method: options}


# Their defaults are what is published for CIFAR-10, shortened where an epoch is named. For CIFAR-100 their authors took
# others; where these go by the rate of the noise, one stands for all rates.
BASELINES: Rows = {
    name: row(name)
    for name in ("ce", "mixup", "gce", "sce", "elr", "selc", "coteaching", "dividemix", "ssr", "fine", "colearning")
}
CIFAR100: Settings = {
    "sce": {"alpha": 6.0, "beta": 0.1},
    "elr": {"beta": 0.9, "lam": 7.0},
    "dividemix": {"lambda_u": 150.0, "warmup": 30},
    "ssr": {"theta_r": 0.8},
}

C10, C100 = "cifar10", "cifar100"


def noises(data: str, *kinds: str, settings: Settings | None = None) -> list[Column]:
    """Columns of drawn noise."""
    return [Column(f"{data} {kind}", data, kind, settings or {}) for kind in kinds]


def human(data: str, *labels: str, settings: Settings | None = None) -> list[Column]:
    """Columns of the labels that people gave (CIFAR-10N, CIFAR-100N; Wei et al., arXiv 2110.12088)."""
    return [
        Column(f"{data} human {label.removesuffix('_label')}", data, f"file:{{{data}n}}:{label}", settings or {})
        for label in labels
    ]


# --- cpu-small: minutes on two cores ---

SMALL: Settings = {
    "network": "mini",
    "limit": 10_000,
    "epochs": 40,
    "device": "cpu",
}
# MixNN as published, its 300 epochs with correction from the 60th shortened in proportion.
PUBLISHED = row("mixnn", mixup_until=0, warmup=2, correct_from=8, alpha=0.9, gmm_monotone=False)

CPU_SMALL = Suite(
    name="cpu-small",
    about="CIFAR-10, the first 10 000 training images, the whole test set.",
    columns=[
        *noises(C10, "symmetric:0.5"),
        *human(C10, "worse_label"),
        *noises(C10, "asymmetric:0.4", "symmetric:0.8"),
        Column("cifar10 clean", C10),
    ],
    rows={
        "ce": BASELINES["ce"],
        "mixnn": row("mixnn"),
        "mixnn-paper": PUBLISHED,
        **BASELINES,
        "ssr": row("ssr", neighbors=40),  # 200 of 50 000, in proportion
    },
    common=SMALL,
    seeds=(0, 1, 2),
    minutes=1,
    device="cpu",
)

# --- sensitivity: the paper's two open questions, how many neighbours and how fast a correction ---

SENSITIVITY = Suite(
    name="sensitivity",
    about="MixNN with other K or α than the default's, at the scale of cpu-small.",
    columns=CPU_SMALL.columns[:3],
    rows={f"K={k}": row("mixnn", neighbors=k) for k in (0, 1, 2, 4, 8, 16)}
    | {f"alpha={alpha:g}": row("mixnn", alpha=alpha) for alpha in (0.0, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0)},
    common=SMALL,
    seeds=(0, 1, 2),
    minutes=1,
    device="cpu",
)

# --- on a GPU ---

GPU: Settings = {"device": "cuda", "precision": "bfloat16", "data": {"store": "memory"}}

FRONTIER = Suite(
    name="frontier",
    about="PreActResNet-18, 100 epochs, all of CIFAR.",
    columns=[
        *noises(C10, "symmetric:0.8"),
        *human(C10, "worse_label"),
        *noises(C10, "symmetric:0.5", "symmetric:0.9", "asymmetric:0.4", "symmetric:0.2"),
        *human(C10, "aggre_label", "random_label1"),
        *noises(C100, "symmetric:0.5", "symmetric:0.8", "symmetric:0.2", "symmetric:0.9", settings=CIFAR100),
        *human(C100, "noisy_label", settings=CIFAR100),
        *noises(C100, "asymmetric:0.4", settings=CIFAR100),
    ],
    rows={
        "mixnn": row("mixnn"),
        **{name: BASELINES[name] for name in ("ce", "ssr", "dividemix", "elr", "mixup")},
        "selc": row("selc", correct_from=20),
    },
    common=GPU | {"network": "preactresnet18", "epochs": 100, "lr": 0.05, "weight_decay": 5e-4},
    seeds=(0, 1, 2),
    minutes=8,
    device="cuda",
)

# The authors' schedule of 300 epochs for all; the rows "as published" take ELR's, whose grid has their figures.
ELR_GRID: Settings = {
    "epochs": 120,
    "schedule": "steps",
    "milestones": [40, 80],
    "gamma": 0.01,
    "nesterov": False,
    "lr": 0.02,
    "weight_decay": 1e-3,
}
PAPER = Suite(
    name="paper",
    about="ResNet-34, the grid of the paper and of ELR.",
    columns=[
        *noises(C10, "symmetric:0.8", "symmetric:0.4", "asymmetric:0.4", "symmetric:0.2", "symmetric:0.6"),
        *noises(
            C100,
            *("symmetric:0.8", "symmetric:0.4", "asymmetric:0.4", "symmetric:0.2", "symmetric:0.6"),
            settings=merged(CIFAR100, {"mixnn": {"warmup": 30}, "selc": {"correct_from": 30}}),
        ),
    ],
    rows={
        "mixnn-paper": {"preset": "paper"},
        "mixnn-public-code": {"preset": "public-code"},
        **{name: {"preset": "paper", **BASELINES[name]} for name in ("ce", "elr")},
        "selc": {"preset": "paper", **row("selc", correct_from=40)},
        "ce-as-published": BASELINES["ce"] | ELR_GRID,
        "elr-as-published": BASELINES["elr"] | ELR_GRID,
    },
    common=GPU | {"network": "resnet34"},
    seeds=(0, 1, 2),
    minutes=30,
    device="cuda",
)

REAL = Suite(
    name="real",
    about="Clothing1M and mini-WebVision by their published recipes.",
    columns=[Column(name, name, settings={"preset": name}) for name in ("clothing1m", "mini-webvision")],
    rows={"mixnn": {"method": "mixnn"}, "ce": row("ce")},
    common={"device": "cuda", "precision": "bfloat16"},
    seeds=(0,),
    minutes=600,
    device="cuda",
)

SUITES = {suite.name: suite for suite in (CPU_SMALL, SENSITIVITY, PAPER, FRONTIER, REAL)}
