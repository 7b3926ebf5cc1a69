"""What is made of many classes where neighbours are drawn: estimates and lists beside the truth.

    python benchmarks/drawn_neighbors.py

Nothing is trained: a share of each sample's neighbours is of its true class, the others are of any, and the votes of
their labels are all that is known. A row of docs/labels.md for each case; seed 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.belief import VOTE_POWER, believed
from mixnn.bounds import estimate_bounds
from mixnn.confusion import close, estimate_confusion, neighbor_vote, normalized, voters


class Case(NamedTuple):
    """`rate` of the labels are drawn anew, or are the "next" class; the first class has `tail` times the last's."""

    classes: int
    samples: int
    kind: str
    rate: float
    purity: float  # share of the neighbours that are of the sample's class
    tail: float = 1.0


CASES = (
    Case(100, 20_000, "symmetric", 0.5, 0.6),
    Case(100, 20_000, "symmetric", 0.2, 0.6),
    Case(100, 20_000, "next", 0.4, 0.6),
    Case(100, 20_000, "symmetric", 0.3, 0.6, tail=20),
    Case(300, 12_000, "symmetric", 0.2, 0.7),
    Case(10, 60_000, "symmetric", 0.3, 0.6),
)


def drawn_neighbors(true: NDArray[np.int64], purity: float, k: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(N, k) rows."""
    order, counts, n = true.argsort(kind="stable"), np.bincount(true), len(true)
    first = counts.cumsum() - counts
    own = order[first[true, None] + (random.random((n, k)) * counts[true, None]).astype(np.int64)]
    return np.where(random.random((n, k)) < purity, own, random.integers(0, n, (n, k)))


def row(case: Case) -> str:
    random = np.random.default_rng(0)
    n, classes = case.samples, case.classes
    frequency = case.tail ** -np.linspace(0, 1, classes)
    true = random.choice(classes, n, p=frequency / frequency.sum())
    other = (true + 1) % classes if case.kind == "next" else random.integers(0, classes, n)
    given = np.where(random.random(n) < case.rate, other, true)
    near = drawn_neighbors(true, case.purity, max(40, voters(n, classes)), random)
    joint = estimate_confusion(given, near[:, : close(n, classes)], classes).joint
    low, high = 100 * estimate_bounds(given, near[:, :40], classes).rate
    looks = normalized(neighbor_vote(given, near[:, : voters(n, classes)], classes) ** VOTE_POWER)
    likely = np.concatenate([part for *_, part in believed(lambda rows: looks[rows], given, joint)])
    suggested, wrong = likely.argmax(1), given != true
    issue, doubted = suggested != given, 1 - likely[np.arange(n), given].mean()
    found = wrong & issue
    cells = [
        f"{classes}, {n:,}, {case.kind}".replace(",000", " 000") + (", long tail" if case.tail > 1 else ""),
        f"{100 * wrong.mean():.1f} %",
        f"{100 * doubted:.1f} % ({low:.1f} to {high:.1f})",
        f"{100 * found.sum() / issue.sum():.1f} / {100 * found.sum() / wrong.sum():.1f} %",
        f"{100 * (given == true).mean():.1f} → {100 * (suggested == true).mean():.1f} %",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    held, right = "held to be wrong: precision / recall", "right: given → after all suggestions"
    print(f"| classes, samples, noise | wrong | estimated (bounds) | {held} | {right} |")
    print("|---|---|---|---|---|")
    for case in CASES:
        print(row(case), flush=True)


if __name__ == "__main__":
    main()
