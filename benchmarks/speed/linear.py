"""Does what MixNN does with its tables, one row a sample, take time in proportion to their length?

    python benchmarks/speed/linear.py [--sizes 10000 100000 1000000] [--classes 10] [--rounds 5] [--picture FILE]

Everything but the network and the search for neighbors, for N samples:

    mixture         losses to clean probabilities: `loss_mixture_clean_prob`, with the fit of the mixture
    fit alone       `fit_mixture`, which is most of it; not part of the sum
    table           an epoch's writes into a `SampleTable`, batches of 128, and its `sync`
    correction      `ema` of all targets
    mixing weights  of each sample and one neighbor

Median of some rounds, after one that is not counted. The slope is of a straight line through the logarithms: one is
linear, and below one a part of the cost does not depend on N.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from measuring import SEED, Parser, count, ended_well, result_file, save, say, seconds_of
from torch import Tensor

from mixnn.data.seeds import generator
from mixnn.errors import InputError
from mixnn.evidence.loss_mixture import fit_mixture, loss_mixture_clean_prob, min_max
from mixnn.methods.mixing import ema, mixing_weights
from mixnn.tables.sample_table import SampleTable
from mixnn.utils.devices import pick_device

BATCH = 128
APART = "fit alone"
WRONG = 0.4
Seconds = dict[str, list[float]]  # by operation, one for each size


def two_humps(n: int, random: torch.Generator) -> Tensor:
    """Losses as of a network that knows the right labels better than the wrong ones: (n,), not below 0."""
    wrong = torch.rand(n, generator=random) < WRONG
    right, false = (torch.randn(n, generator=random) * spread + mean for mean, spread in ((0.4, 0.3), (2.5, 0.8)))
    return torch.where(wrong, false, right).abs()


def operations(n: int, classes: int, device: torch.device) -> dict[str, Callable[[], object]]:
    random = generator(SEED, n)
    losses = two_humps(n, random).to(device)
    normalized = min_max(losses)
    probs = torch.randn(n, classes, generator=random).softmax(1).to(device)
    nearest = torch.randint(n, (n, 1), generator=random).to(device)
    clean = torch.rand(n, generator=random).to(device)
    order = torch.randperm(n, generator=random).to(device)
    table = SampleTable(probs)

    def write() -> None:
        for index in order.split(BATCH):
            table.write(index, probs[index])
        table.sync()

    return {
        "mixture": lambda: loss_mixture_clean_prob(losses),
        APART: lambda: fit_mixture(normalized),
        "table": write,
        "correction": lambda: ema(table.rows, probs, 0.95),
        "mixing weights": lambda: mixing_weights(clean, nearest),
    }


def medians(sizes: list[int], classes: int, rounds: int, device: torch.device) -> Seconds:
    """Seconds of each operation, and of all of an epoch."""
    found: Seconds = {}
    for n in sizes:
        for name, work in operations(n, classes, device).items():
            taken = [seconds_of(work, device) for _ in range(1 + rounds)]
            found.setdefault(name, []).append(statistics.median(taken[1:]))
        say(f"{n} samples: " + ", ".join(f"{name} {values[-1]:.4f} s" for name, values in found.items()))
    parts = [values for name, values in found.items() if name != APART]
    return found | {"sum": [sum(each) for each in zip(*parts, strict=True)]}


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Of the straight line of least squares through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(sizes: list[int], found: Seconds, path: Path) -> None:
    figure = Figure(figsize=(9, 5), dpi=90, facecolor="white", layout="constrained")
    axis = figure.subplots()
    for name, values in found.items():
        axis.plot(sizes, values, marker="o", label=f"{name} (slope {slope(sizes, values):.2f})")
    last = found["sum"][-1]
    axis.plot(sizes, [last * n / sizes[-1] for n in sizes], color="gray", linestyle="--", label="slope 1")
    axis.set(xscale="log", yscale="log", xlabel="samples", ylabel="seconds")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside right center")  # lines may lie anywhere inside
    figure.savefig(path)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=count, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--classes", type=count, default=10)
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--picture", type=Path, help="PNG file; beside the result where not given")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    sizes = sorted(set(given.sizes))
    if len(sizes) < 2 or sizes[0] < 2:
        raise InputError(f"--sizes is {given.sizes}: give two or more that differ, from 2 up")
    device = pick_device(given.device)
    out = result_file(given.out, f"linear_{device.type}")
    found = medians(sizes, given.classes, given.rounds, device)
    draw(sizes, found, given.picture or out.with_suffix(".png"))
    result = {
        "what": f"{given.classes} classes, median of {given.rounds} rounds",
        f"mixture_of_{sizes[-1]}_losses_seconds": found["mixture"][-1],
        "slope": {name: slope(sizes, values) for name, values in found.items()},
        "sizes": sizes,
        "seconds": found,
    }
    save(out, result, device, "float32, mixture in float64")


if __name__ == "__main__":
    ended_well(main)
