"""Where does the time of a training step go, and how near does it come to a product of matrices?

    python benchmarks/speed/parts.py [--network fast] [--batch-size 128] [--size 32] [--optimizer muon] [--threads 1]

Parts: augmentation of a batch, forward, loss, backward, optimizer. Beside them stand the same with one choice undone:

    contiguous      kernels and images with channels first in memory
    norm before pooling  batch norm sees four times as many values (of the fast networks)
    trained stem    the whitening is trained, so that the backward reaches the images (of the fast networks)
    none of these   all three undone

Seconds are processor time of one thread, the least of some rounds, taken in turn: so they may be taken beside other
work, though caches and memory are shared. On a GPU they are wall-clock time. `reached` is the operations of a step
(see `step.py`) in its time, over those of a product of matrices in the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from measuring import SEED, Parser, count, ended_well, result_file, save, say, wait
from step import count_step
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mixnn.config import TrainOptions
from mixnn.data.augment.policies import DRAWS, augment_rows
from mixnn.evidence.neighbors.search import fast_bfloat16
from mixnn.methods.ce import CrossEntropy
from mixnn.models.classifier import Classifier, build_network
from mixnn.training.build import build_optimizer
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import keep_freed_memory

CLASSES = 10
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices
Parts = dict[str, Callable[[], object]]


def contiguous(network: Classifier) -> None:
    """Channels first."""
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    plain = network.normalized
    network.normalized = lambda x: plain(x).contiguous()  # type: ignore[method-assign]


def norm_before_pooling(network: Classifier) -> None:
    """Each pooling behind a convolution trades places with the batch norm behind it."""
    layers = network.features
    assert isinstance(layers, nn.Sequential)
    for place, (layer, following) in enumerate(pairwise(list(layers))):
        if isinstance(layer, nn.MaxPool2d) and isinstance(following, nn.BatchNorm2d):
            layers[place], layers[place + 1] = following, layer


def trained_stem(network: Classifier) -> None:
    """All parameters are trained."""
    for parameter in network.parameters():
        parameter.requires_grad_(True)


def none_of_these(network: Classifier) -> None:
    """All choices undone."""
    norm_before_pooling(network)
    trained_stem(network)
    contiguous(network)


CHOICES: dict[str, Callable[[Classifier], None]] = {
    "as it is": lambda network: None,
    "contiguous": contiguous,
    "norm before pooling": norm_before_pooling,
    "trained stem": trained_stem,
    "none of these": none_of_these,
}


class Step:
    """One step of cross-entropy in parts, each of which leaves to the next what it needs."""

    def __init__(self, network: Classifier, options: TrainOptions, images: Tensor, labels: Tensor) -> None:
        self.method = CrossEntropy(network, labels, CLASSES).to(labels.device).train()
        self.optimizer, _ = build_optimizer(self.method, options.for_optimizer())
        self.images, self.labels, self.size = images, labels, images.shape[-1]

    def augmentation(self) -> None:
        rows = torch.arange(len(self.labels), device=self.labels.device)
        draws = torch.rand(len(rows), DRAWS["crop-flip"], device=self.labels.device)
        self.x = augment_rows("crop-flip", self.images, rows, draws, self.size)

    def forward(self) -> None:
        self.logits = self.method.network(self.x)

    def loss(self) -> None:
        self.value = cross_entropy(self.logits, self.labels)

    def backward(self) -> None:
        self.value.backward()

    def optimize(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()

    def parts(self) -> Parts:
        return {
            "augmentation": self.augmentation,
            "forward": self.forward,
            "loss": self.loss,
            "backward": self.backward,
            "optimizer": self.optimize,
        }


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    began = clock()
    work()
    wait(device)
    return clock() - began


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--network", default="fast")
    parser.add_argument("--batch-size", type=count, default=128)
    parser.add_argument("--size", type=count, default=32, help="pixels")
    parser.add_argument("--optimizer", choices=("sgd", "muon"), default="muon")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=count, default=1)
    parser.add_argument("--rounds", type=count, default=5)
    given = parser.parse_args()
    device = pick_device(given.device)
    out = result_file(given.out, f"parts_{given.network}_{device.type}")
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    bf16 = given.precision == "bfloat16" or (given.precision == "auto" and fast_bfloat16(device))
    options = TrainOptions(optimizer=given.optimizer, lr=0.1, momentum=0.6)
    generator = torch.Generator().manual_seed(SEED)
    shape = (given.batch_size, given.size, given.size, 3)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2).to(device)
    labels = torch.randint(CLASSES, shape[:1], generator=generator).to(device)
    fast = given.network.startswith("fast")
    steps: dict[str, Step] = {}
    for name, change in CHOICES.items():
        if fast or name in ("as it is", "contiguous"):
            torch.manual_seed(SEED)
            mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
            network = build_network(given.network, given.size, CLASSES, mean, std, bf16=bf16)
            change(network)
            steps[name] = Step(network.to(device), options, images, labels)
    operations = count_step(steps["as it is"].method.network, images, labels).both
    steps["as it is"].optimizer.zero_grad()
    side = SIDE[device.type]
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in steps}
    products = []
    for place in range(given.rounds + 1):  # the first fills caches
        for name, step in steps.items():
            for part, work in step.parts().items():
                took = seconds_of(work, device)
                if place:
                    seconds[name].setdefault(part, []).append(took)
        products.append(seconds_of(lambda: matrix @ matrix, device))
        say(f"round {place} of {given.rounds}")
    product = 2 * side**3 / min(products[1:])
    least = {name: {part: min(values) for part, values in parts.items()} for name, parts in seconds.items()}
    whole = {name: sum(parts.values()) for name, parts in least.items()}
    result: dict[str, Any] = {
        "what": f"{given.network}, {given.batch_size} images of {given.size} px, {given.threads} threads",
        "operations": operations,
        "product_rate": product,
        "seconds": least,
        "share": {part: took / whole["as it is"] for part, took in least["as it is"].items()},
        "in_that_of_as_it_is": {name: took / whole["as it is"] for name, took in whole.items()},
        "images_per_second": given.batch_size / whole["as it is"],
        "reached": operations / whole["as it is"] / product,
    }
    save(out, result, device, "bfloat16" if bf16 else "float32")


if __name__ == "__main__":
    ended_well(main)
