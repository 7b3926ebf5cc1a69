"""All of CIFAR on a CPU or a GPU: the suites `full` and `full-seconds`. Must not know: how they are run.

Where a run is shorter than the published one, epochs at which a method turns are moved in proportion, and so are
warm-ups and ramps: a warm-up of ten epochs would be half of such a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.suite.cells import Part, Settings, Suite, merged
from benchmarks.suite.columns import C10, C100, human, noises, row
from mixnn import METHODS
from mixnn.presets import read_preset

EPOCHS = 20
SECONDS = 2 * EPOCHS  # epochs of cross-entropy that each row of `full-seconds` may take the time of
# What `python benchmarks/row_costs.py cifar10:DIR` measured; by what the methods say of themselves where it did not.
COSTS_FILE = Path(__file__).resolve().parents[1] / "results" / "row_costs.json"


class Plan(NamedTuple):
    """A row of any length.

    Attributes:
        method: its name.
        length: epochs of the run that `turns` are published for.
        turns: options that count epochs.
        options: the others.
    """

    method: str
    length: int
    turns: dict[str, int]
    options: dict[str, Any]

    def settings(self, epochs: int) -> Settings:
        """Of a run of so many epochs; each turn comes after one epoch at least."""
        turns = {option: max(1, round(epoch * epochs / self.length)) for option, epoch in self.turns.items()}
        return row(self.method, **self.options, **turns) | {"epochs": epochs}


OURS = {"warmup": 10, "mixup_until": 20, "correct_from": 20}  # of 40 epochs
BY_QUALITY = {"warmup": 10, "mixup_until": 20, "correct_every": 6}
PLANS = {
    "posterior": Plan("posterior", 40, {}, {}),  # turns at a share of the run
    "ce": Plan("ce", 40, {}, {}),
    "mixnn": Plan("mixnn", 40, OURS, {}),
    "ssr": Plan("ssr", 300, {}, {}),
    "mixnn-paper": Plan(
        "mixnn", 300, {"warmup": 10, "correct_from": 60}, {"mixup_until": 0, "alpha": 0.9, "gmm_monotone": False}
    ),
    "elr": Plan("elr", 120, {}, {}),
    "gce": Plan("gce", 120, {}, {}),
    "mixup": Plan("mixup", 200, {}, {}),
    "mixnn-posterior": Plan("mixnn_posterior", 40, BY_QUALITY, {}),
    "dividemix": Plan("dividemix", 300, {"warmup": 10, "rampup": 16}, {}),
}
LEADERS = ["posterior", "ce", "mixnn", "ssr"]
QUESTION = "mixnn-posterior"  # the first two columns answer it

DECIDING = [*noises(C10, "symmetric:0.8"), *human(C10, "worse_label")]
EVERYBODY = [*noises(C10, "asymmetric:0.4"), *noises(C10, "clean")]
SSR100: dict[str, Settings] = {"ssr": {"ssr": {"theta_r": 0.8}}}  # published for CIFAR-100
FOR_LEADERS = [
    *noises(C10, "symmetric:0.5"),
    *human(C10, "aggre_label"),
    *noises(C100, "symmetric:0.5", rows=SSR100),
    *human(C100, "noisy_label", rows=SSR100),
]


def row_costs(names: Iterable[str]) -> dict[str, float]:
    """Training time of each row, in that of cross-entropy for as many epochs."""
    measured = json.loads(COSTS_FILE.read_text(encoding="utf-8"))["ratio"] if COSTS_FILE.exists() else {}
    return {name: measured.get(name, METHODS[PLANS[name].method].cost) for name in names}


COSTS = row_costs(PLANS)
FAST = {key: value for key, value in read_preset("cifar-fast").items() if key not in ("method", "epochs")}

FULL = Suite(
    name="full",
    about=f"All of CIFAR, the whole test set, {EPOCHS} epochs of the fast network by the preset cifar-fast.",
    columns=[*DECIDING, *EVERYBODY, *FOR_LEADERS],
    rows={name: plan.settings(EPOCHS) for name, plan in PLANS.items()},
    common=merged(FAST, {"data": {"store": "memory"}}),
    seeds=(0, 1, 2),
    minutes=9,
    costs=COSTS,
    device="two cores",
    parts=[
        Part([*LEADERS, QUESTION], [column.name for column in DECIDING], (0,)),
        Part([name for name in PLANS if name not in (*LEADERS, QUESTION)], [c.name for c in DECIDING], (0,)),
        Part([name for name in PLANS if name != QUESTION], [column.name for column in EVERYBODY], (0,)),
        Part(LEADERS, [column.name for column in DECIDING], (1, 2)),
        Part(LEADERS, [column.name for column in FOR_LEADERS], (0,)),
    ],
)

FULL_SECONDS = Suite(
    name="full-seconds",
    about=f"As full, each row with as many epochs as take the time of {SECONDS} of cross-entropy.",
    columns=DECIDING,
    rows={name: plan.settings(max(2, round(SECONDS / COSTS[name]))) for name, plan in PLANS.items()},
    common=FULL.common,
    seeds=(0,),
    minutes=18,
    costs={},
    device="two cores",
)
