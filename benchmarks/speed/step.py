"""What does one training step have to compute, and how many bytes does it have to move at least?

    python benchmarks/speed/step.py [--network resnet18] [--batch-size 128] [--size 32] [--classes 10]

Counted on a CPU, in float32 and in bfloat16 (autocast, weights in float32): no clock is involved.

    operations  of matrix products and convolutions, forward and backward; a multiplication and an addition are two
    weights     float32: read forward, read and written by the optimizer
    gradients   float32: written, and read by the optimizer
    momentum    float32: read and written by the optimizer
    kept        whatever the forward keeps for the backward, each piece of memory once: written, unless it is a weight,
                and read. Copies of weights in 16 bits are among it
    images      uint8: read

The least, since what a layer reads of the layer before it may still be near the processor, and what is not kept may
never leave it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from measuring import SEED, Parser, count, ended_well, result_file, save, say
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from mixnn.errors import InputError
from mixnn.models.classifier import Classifier, build_network

CPU = torch.device("cpu")
PRECISIONS = ("float32", "bfloat16")


class Step(NamedTuple):
    """What a step of one batch needs.

    Attributes:
        forward, both: operations of the forward, and of forward and backward.
        moved: bytes by kind.
    """

    forward: int
    both: int
    moved: dict[str, int]

    def __str__(self) -> str:
        return f"{self.both / 1e9:.1f} billion operations, {sum(self.moved.values()) / 1e6:.0f} MB"


def count_step(network: Classifier, images: Tensor, labels: Tensor) -> Step:
    """One step of cross-entropy by stochastic gradient descent with momentum; gradients stay in `network`.

    Args:
        images: uint8 (B, 3, H, W).
        labels: int64 (B,).
    """
    weights = {memory_of(one) for one in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = memory_of(tensor)
        kept[place] = max(kept.get(place, 0), tensor.nbytes)
        return tensor

    network.train()
    with FlopCounterMode(display=False) as counter:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = cross_entropy(network(images), labels)
        forward = counter.get_total_flops()
        loss.backward()
    size = sum(one.nbytes for one in network.parameters())
    new = sum(held for place, held in kept.items() if place not in weights)
    moved = {
        "weights": 3 * size,
        "gradients": 2 * size,
        "momentum": 2 * size,
        "kept for the backward": new + sum(kept.values()),
        "images": images.nbytes,
    }
    return Step(forward, counter.get_total_flops(), moved)


def memory_of(tensor: Tensor) -> int:
    """Which piece of memory it lies in."""
    return tensor.untyped_storage().data_ptr()


def counted(name: str, batch_size: int, size: int, classes: int, precision: str) -> Step:
    """A step of the network called `name`, on images at random."""
    torch.manual_seed(SEED)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    network = build_network(name, size, classes, mean, std, bf16=precision == "bfloat16")
    images = torch.randint(256, (batch_size, 3, size, size), dtype=torch.uint8)
    try:
        return count_step(network, images, torch.randint(classes, (batch_size,)))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"network {name!r} does not learn from {batch_size} images of {size} px: {error}") from error


def as_table(step: Step) -> dict[str, Any]:
    total = sum(step.moved.values())
    return {
        "forward_operations": step.forward,
        "operations": step.both,
        "bytes": step.moved | {"all": total},
        "operations_per_byte": step.both / total,
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--batch-size", type=count, default=128)
    parser.add_argument("--size", type=count, default=32, help="pixels")
    parser.add_argument("--classes", type=count, default=10)
    given = parser.parse_args()
    out = result_file(given.out, f"step_{given.network}")
    steps = {}
    for precision in PRECISIONS:
        steps[precision] = counted(given.network, given.batch_size, given.size, given.classes, precision)
        say(f"{precision}: {steps[precision]}")
    what = f"{given.network}, {given.batch_size} images of {given.size} px, {given.classes} classes"
    save(out, {"what": what} | {name: as_table(step) for name, step in steps.items()}, CPU, "both")


if __name__ == "__main__":
    ended_well(main)
