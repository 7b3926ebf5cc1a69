"""How far is each phase of a MixNN epoch from what this device could do?

    python benchmarks/speed/floor.py cifar10:DIR [--network resnet18] [--limit 10000] [--rounds 3]

What the device can do: operations a second in the best of some large matrix products, in float32 and, where the
hardware has them, in bfloat16 and TF32, which is what a GPU's convolutions make of float32; and bytes a second in the
best of some large copies (read and written). The floor of a phase is the longer of its operations and its bytes at
these rates, as if one hid the other wholly:

    eval_pass   the operations of one forward for all images; images read, features and log-probabilities written
    mixture     the losses, in float64, read once by every pass over them that was made
    neighbors   two operations a dimension for every pair of samples; features read
    train       `step.py`'s operations and bytes for every step; partners' images come to its images

An index (see `mixnn.neighbors.choose`) does not look at every pair, so its phase may fall below that floor. Seconds
are the median of the rounds, after an epoch that is not counted.
"""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from measuring import SEED, Parser, Phases, count, ended_well, result_file, save, say, seconds_of
from step import count_step

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.batches import TrainData
from mixnn.data.load import load
from mixnn.data.readers import read_source
from mixnn.evidence.loss_mixture import Mixture
from mixnn.evidence.neighbors.search import choose, fast_bfloat16
from mixnn.methods.mixnn import MixNN
from mixnn.training.build import build_method, build_optimizer
from mixnn.training.loop import fit
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import keep_freed_memory

SIDE = {"cpu": 3072, "cuda": 8192}  # of the matrices
COPIED = {"cpu": 2**29, "cuda": 2**31}  # bytes
TRIES = 10


class Rates(NamedTuple):
    """What a device can do in a second.

    Attributes:
        operations: by precision.
        moved: bytes.
    """

    operations: dict[str, float]
    moved: float


class Work(NamedTuple):
    """What a phase has to do at least."""

    operations: float
    moved: float
    precision: str

    def floor(self, rates: Rates) -> float:
        """Seconds."""
        return max(self.operations / rates.operations[self.precision], self.moved / rates.moved)


def best_of(work: Any, device: torch.device) -> float:
    work()
    return min(seconds_of(work, device) for _ in range(TRIES))


def product_rate(dtype: torch.dtype, side: int, device: torch.device) -> float:
    """Operations a second of a product of matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
    into = torch.empty_like(a)
    return 2 * side**3 / best_of(lambda: torch.mm(a, b, out=into), device)


def copy_rate(size: int, device: torch.device) -> float:
    """Bytes a second, read and written ones, of a copy."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    into = torch.ones_like(source)
    return 2 * size / best_of(lambda: into.copy_(source), device)


def rates_of(device: torch.device, side: int, size: int, *, bf16: bool) -> Rates:
    """The rates of `device`; of bfloat16 only where asked, since it takes minutes where the hardware lacks it."""
    operations = {"float32": product_rate(torch.float32, side, device)}
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        operations["tf32"] = product_rate(torch.float32, side, device)
        torch.set_float32_matmul_precision("highest")
    if bf16:
        operations["bfloat16"] = product_rate(torch.bfloat16, side, device)
    rates = Rates(operations, copy_rate(size, device))
    each = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.operations.items())
    say(f"billion operations a second: {each}; {rates.moved / 1e9:.1f} GB/s")
    return rates


def works(method: MixNN, data: TrainData, passes: int) -> dict[str, Work]:
    """The least that each phase of an epoch has to do; `passes` over the losses are the mixture's."""
    batch = next(data.train_batches(0))
    step = count_step(method.network, batch.inputs, batch.y)
    n, width = len(data), method.network.head.in_features
    image = next(data.inputs(torch.arange(1))).nbytes
    single = "tf32" if data.labels.device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "float32"
    precision = "bfloat16" if method.network.bf16 else single
    found = choose(method.backend, data.labels.device, n, width, max(1, method.neighbors))
    search = "bfloat16" if found == "bfloat16" else "float32"
    batches, partners = n / len(batch.index), n * method.neighbors
    return {
        "eval_pass": Work(batches * step.forward, n * (image + 4 * (width + method.num_classes)), precision),
        "mixture": Work(0, 8 * n * passes, "float32"),
        "neighbors": Work(2 * n * n * width, 4 * n * width, search),
        "train": Work(batches * step.both, batches * sum(step.moved.values()) + partners * image, precision),
    }


def compared(work: Work, seconds: float, rates: Rates) -> dict[str, Any]:
    """Seconds beside their floor; `share` is how much of them the floor makes up, 1 where nothing can be gained."""
    floor = work.floor(rates)
    return {"seconds": seconds, "floor": floor, "share": floor / seconds} | work._asdict()


def phases_of(method: MixNN, data: TrainData, options: TrainOptions) -> tuple[dict[str, float], int]:
    """Median seconds by phase, and the mixture's passes over the losses in the last epoch."""
    optimizer, scheduler = build_optimizer(method, options.for_optimizer())
    watch, seconds, passes = Phases(), [], 0
    for epoch in range(options.epochs):
        # How often the mixture reads the losses is said nowhere: it is counted.
        with patch.object(Mixture, "log_joint", autospec=True, side_effect=Mixture.log_joint) as looked:
            fit(method, data, optimizer, scheduler, epochs=epoch + 1, start=epoch, seed=SEED, observers=[watch])
        seconds.append(watch.seconds)
        passes = looked.call_count
        say(f"epoch {epoch + 1} of {options.epochs}: {sum(watch.seconds[part] for part in ('begin', 'train')):.2f} s")
    return {name: statistics.median(each[name] for each in seconds[1:]) for name in seconds[0]}, passes


def main() -> None:
    parser = Parser(__doc__)
    parser.add_run_options(limit=10_000, rounds=3)
    parser.add_argument("--side", type=count, help=f"of the matrices, {SIDE} where not given")
    parser.add_argument("--copied", type=count, help=f"bytes, {COPIED} where not given")
    given = parser.parse_args()
    device = pick_device(given.device)
    out = result_file(given.out, f"floor_{given.network}_{device.type}")
    if device.type == "cpu":
        keep_freed_memory()  # as `mixnn train` does
    options = TrainOptions(
        network=given.network,
        limit=given.limit,
        method="mixnn",
        epochs=1 + given.rounds,
        noise="symmetric:0.5",
        seed=SEED,
        precision=given.precision,
    )
    dataset = read_source(given.source)
    data = load(dataset, options.for_reading(), device).train
    own = {"warmup": 0, "mixup_until": 0, "correct_from": 0}
    method = build_method(RunConfig(given.source, options, own).for_method(), data, len(dataset.classes), device)
    assert isinstance(method, MixNN)
    side, copied = given.side or SIDE[device.type], given.copied or COPIED[device.type]
    rates = rates_of(device, side, copied, bf16=method.network.bf16 or fast_bfloat16(device))
    seconds, passes = phases_of(method, data, options)
    result = {
        "what": f"{given.network}, {len(data)} images, the mixture passes over the losses {passes} times",
        "rates": rates._asdict(),
        "phases": {name: compared(work, seconds[name], rates) for name, work in works(method, data, passes).items()},
        "seconds": seconds,
    }
    save(out, result, device, "bfloat16" if method.network.bf16 else "float32")


if __name__ == "__main__":
    ended_well(main)
