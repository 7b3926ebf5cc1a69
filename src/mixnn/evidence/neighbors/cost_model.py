"""Which search is quickest, from what each was measured to cost. Must not know: how they search, methods, ranks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Literal, NamedTuple

from mixnn.evidence.neighbors.brute_force import spare_candidates

Backend = Literal["auto", "exact", "bfloat16", "ivf", "hnsw"]
Costs = dict[str, tuple[float, ...]]

REPEATABLE = 60_000  # samples up to which all pairs are compared: seconds beside an epoch's training, and no misses
WORTH = 2.0  # so many times as fast as comparing all pairs must a search be that misses some
REDUCED = 64  # principal components that a search goes by, where features are WIDE times as wide
WIDE = 4

# Seconds for one of each of `terms`, by machine and search: one that is twice as fast has half of them all, and only
# ratios count. A machine or a search that is not listed is not chosen over the comparison of all pairs.
# benchmarks/speed/neighbor_costs.py, alone on two cores of an AMD EPYC: "cpu" revision 594b68f; "cpu, bfloat16", which
# multiplies it in hardware, revision 5c22ad0.
COSTS: dict[str, Costs] = {
    "cpu": {
        "exact": (1.83e-11, 1.96e-9, 3.63e-7),
        "ivf": (2.36e-10, 3.8e-10, 9.37e-10),
        "ranking": (3.02e-9,),
    },
    "cpu, bfloat16": {
        "exact": (1.11e-11, 1.19e-9, 3.18e-7),
        "bfloat16": (3.34e-12, 2.09e-9, 3.72e-7),
        "ivf": (1.31e-10, 1.47e-10, 5.5e-10),
        "ranking": (1.04e-9,),
    },
}


class Choice(NamedTuple):
    """A search, in the words of `nearest_neighbors`."""

    backend: Backend
    reduce: int | None = None

    @property
    def misses(self) -> bool:
        """Whether it may miss a neighbour."""
        return self.backend != "exact" or self.reduce is not None

    def __str__(self) -> str:
        return self.backend if self.reduce is None else f"{self.backend} by {self.reduce} principal components"


class Task(NamedTuple):
    """What is asked: the `k` nearest of `n` samples of so much `width`, for `rows` of them."""

    n: int
    width: int
    k: int
    rows: int


def terms(search: str, task: Task) -> tuple[float, ...]:
    """What takes time in a search; `COSTS` has a factor for each.

    "exact", "bfloat16": products; scores that are read; the greatest of these. "ivf": samples beside the centres of
    √N lists; samples beside those in a few lists, of √N; the nearest of these. "ranking": `k` candidates in full width.
    """
    n, width, k, rows = task
    if search in ("exact", "bfloat16"):
        return rows * n * width, rows * n, rows * k
    if search == "ranking":
        return (rows * k * width,)
    if search == "ivf":
        lists = n**0.5
        return (n + rows) * lists * width, rows * lists * width, rows * lists * k
    raise ValueError(search)


def predict(choice: Choice, task: Task, costs: Costs) -> float:
    """Seconds of a search, as one of `COSTS` has it."""

    def seconds(search: str, task: Task) -> float:
        return sum(cost * term for cost, term in zip(costs[search], terms(search, task), strict=True))

    found = seconds(choice.backend, task._replace(width=choice.reduce or task.width))
    if choice.misses:
        spare = spare_candidates(task.n, task.k, reduced=choice.reduce is not None)
        found += seconds("ranking", task._replace(k=task.k + spare))
    if choice.reduce is not None:  # products of all dimensions, and then with the components
        found += costs["exact"][0] * task.n * task.width * (task.width + choice.reduce)
    return found


def quickest(task: Task, machine: str, *, bf16: bool, index: bool) -> Choice:
    """The search for "auto".

    Args:
        machine: as in `COSTS`.
        bf16: whether all pairs may be compared in bfloat16: it ranks candidates afterwards, which takes longer than it
            saves where many are asked for.
        index: whether faiss is installed.
    """
    pairs: list[Backend] = ["exact", "bfloat16"] if bf16 else ["exact"]
    if (costs := COSTS.get(machine)) is None:
        return Choice(pairs[-1])

    def best(backends: Iterable[Backend], widths: Iterable[int | None] = (None,)) -> Choice:
        return min((Choice(*one) for one in product(backends, widths)), key=lambda one: predict(one, task, costs))

    plain = best(pairs)
    if task.n <= REPEATABLE:
        return plain
    other = best([*pairs, "ivf"] if index else pairs, [None, REDUCED] if task.width >= WIDE * REDUCED else [None])
    return other if WORTH * predict(other, task, costs) <= predict(plain, task, costs) else plain
