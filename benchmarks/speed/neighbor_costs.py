"""What does each search for neighbours cost, by samples, width and K? The factors of `evidence.neighbors.cost_model`.

    python benchmarks/speed/neighbor_costs.py [--sizes 30000 100000] [--widths 64 256 512] [--ks 10 100] [--few 2000]

Features are drawn as those of `neighbors.py`. Every search is timed twice: for all samples, and for a few of them,
which tells building from asking; all pairs are only compared for the few, and in bfloat16 where the hardware
multiplies it. Then factors that are not negative are fitted to the terms, by least squares of what is predicted over
what was measured. They are seconds on this machine; the choice goes by their ratios.

`costs` in the result is what goes into `COSTS`; `predicted` stands beside the seconds of each search.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from measuring import Parser, count, ended_well, result_file, save, say, seconds_of
from neighbors import clustered
from scipy.optimize import nnls
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import squared_distances
from mixnn.evidence.neighbors.cost_model import Choice, Costs, Task, predict, terms
from mixnn.evidence.neighbors.points import Points
from mixnn.evidence.neighbors.search import Backend, fast_bfloat16, machine, nearest_neighbors, require_backend
from mixnn.utils.devices import pick_device

Search = dict[str, Any]


def timed(search: str, task: Task, work: Callable[[], object], device: torch.device) -> Search:
    seconds = seconds_of(work, device)
    say(f"{search}, {task.n} × {task.width}, K = {task.k}, for {task.rows}: {seconds:.2f} s")
    return {"search": search, **task._asdict(), "seconds": seconds}


def searches_of(features: Tensor, k: int, few: int, backends: list[Backend]) -> list[Search]:
    """All that is timed with these features."""
    (n, width), device, found = features.shape, features.device, []
    points, random = Points(features, "cosine"), torch.Generator().manual_seed(k)
    some = slice(None, None, -(-n // few))
    rows = torch.arange(n, device=device)[some]
    candidates = torch.randint(n, (len(rows), k), generator=random).to(device)
    task = Task(n, width, k, len(rows))
    found.append(timed("ranking", task, lambda: squared_distances(points, rows, candidates), device))
    for backend in backends:
        for asked in (some,) if backend in ("exact", "bfloat16") else (some, slice(None)):
            task = task._replace(rows=len(range(n)[asked]))

            def search(backend: Backend = backend, asked: slice = asked) -> Tensor:
                return nearest_neighbors(features, k, rows=asked, metric="cosine", backend=backend)

            found.append(timed(backend, task, search, device))
    return found


def fit(searches: list[Search]) -> Costs:
    """Factors by search; the time for ranking is taken off those that rank."""
    costs: Costs = {}
    for search in dict.fromkeys(each["search"] for each in searches):
        own = [each for each in searches if each["search"] == search]
        tasks = [Task(*(each[name] for name in Task._fields)) for each in own]
        nothing = costs | {search: (0.0,) * len(terms(search, tasks[0]))}
        ranking = [0.0 if search == "ranking" else predict(Choice(search), task, nothing) for task in tasks]
        seconds = np.array([each["seconds"] for each in own])
        shares = np.array([terms(search, task) for task in tasks]) / seconds[:, None]
        scale = shares.max(0)  # the terms differ by orders of magnitude
        factors = nnls(shares / scale, 1 - np.array(ranking) / seconds)[0] / scale
        costs[search] = tuple(float(f"{factor:.3g}") for factor in factors)
        for each, task, rest in zip(own, tasks, ranking, strict=True):
            each["predicted"] = rest + sum(np.multiply(costs[search], terms(search, task)).tolist())
    return costs


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=count, nargs="+", default=[30_000, 100_000])
    parser.add_argument("--widths", type=count, nargs="+", default=[64, 256, 512])
    parser.add_argument("--ks", type=count, nargs="+", default=[10, 100])
    parser.add_argument("--few", type=count, default=2000)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if min(given.sizes) <= max(*given.ks, given.few):
        raise InputError(f"--sizes has {min(given.sizes)}: use more than the largest of --ks and --few")
    device = pick_device(given.device)
    backends: list[Backend] = ["exact", *(["bfloat16"] if fast_bfloat16(device) else []), "ivf"]
    for backend in backends:
        require_backend(backend)
        nearest_neighbors(clustered(2000, 8, device), 1, backend=backend)  # loads what is loaded on first use
    out = result_file(given.out, f"neighbor_costs_{device.type}")
    searches = []
    for n, width in product(given.sizes, given.widths):
        features = clustered(n, width, device)
        for k in given.ks:
            searches += searches_of(features, k, given.few, backends)
    costs = fit(searches)
    worst = max(abs(np.log(max(each["predicted"], 1e-12) / each["seconds"])) for each in searches)
    result = {"costs": {machine(device): costs}, "farthest_off": float(np.exp(worst)), "searches": searches}
    save(out, result, device, "features in float32")


if __name__ == "__main__":
    ended_well(main)
