"""What every method is tried with: the methods and their variants, a small set of images, a small network."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from mixnn import METHODS, Classifier, Method, SampleTable, TrainData

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the examples are no installed package

from examples.new_method import SmoothedLabels  # noqa: E402

torch.set_num_threads(1)  # the tensors here are too small to share out

CLASSES, EPOCHS, STOP = 3, 6, 4


@dataclass(frozen=True)
class Case:
    """A method with options.

    Attributes:
        local: what a rank computes depends on its part of the batch or its own random numbers, so that two ranks
            agree with each other, but not with one process.
        unlabeled: samples besides the others whose label nobody knows.
    """

    name: str
    kind: Callable[..., Method]
    options: Mapping[str, Any] = field(default_factory=dict)
    local: bool = False
    unlabeled: int = 0

    def data(self, count: int = 47, **options: Any) -> TrainData:
        return make_data(count, unlabeled=self.unlabeled, **options)


def method_case(name: str, variant: str = "", *, unlabeled: int = 0, **options: Any) -> Case:
    """A method with its short options, and others on top of them in a variant."""
    kind = METHODS[name]
    called = f"{name}-{variant}" if variant else name
    return Case(called, kind, {**kind.short_options, **options}, kind.depends_on_rank, unlabeled)


CASES = [
    *map(method_case, METHODS),
    replace(method_case("mixnn", "mixup", mixup_until=3), local=True),  # partners are drawn on each rank
    method_case("mixnn", "no-neighbors", neighbors=0),
    method_case("mixnn", "three-neighbors", neighbors=3, metric="cosine"),
    method_case("mixnn", "unlabeled", unlabeled=7),
    method_case("mixnn_public_code", "linear", mixup_until=3, correct_from=3),
    method_case("mixnn_public_code", "every-other", warmup=2, correct_every=2, loss_window=3),
    method_case("gce", "plain", k=0.0),
    method_case("gce", "unlabeled", unlabeled=7),
    method_case("coteaching", "unlabeled", unlabeled=7),
    method_case("dividemix", "labeled-loss", unlabeled=7, lambda_u=0.0, loss_window=3),
    method_case("posterior", "unlabeled", unlabeled=7, correct_from=1, correct_every=1),
    method_case("ssr", "plain", unlabeled=7, feature_consistency=0.0, theta_r=0.4),
    Case("example", SmoothedLabels, {"smoothing": 0.3}),
]


def images(n: int, height: int = 8, width: int = 8) -> Tensor:
    """Pixels at random, the same every time: uint8 (n, 3, height, width)."""
    return torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make_data(count: int = 47, *, batch_size: int = 16, augment: Any = "crop-flip", unlabeled: int = 0) -> TrainData:
    """Noise that is brighter in the channel of its class, every fifth label wrong; 47 leaves uneven batches.

    Those without a label come on top of `count`, and lie among the others.
    """
    random = torch.Generator().manual_seed(3)
    samples = count + unlabeled
    labels = torch.arange(samples) % CLASSES
    images = torch.randint(0, 180, (samples, 3, 8, 8), generator=random)
    images += 75 * nn.functional.one_hot(labels, CLASSES)[:, :, None, None]
    labels[::5] = (labels[::5] + 1) % CLASSES
    unknown = torch.randperm(samples, generator=random)[:unlabeled]
    labels[unknown] = -1 - unknown % 2  # two words for it
    return TrainData(images.byte(), labels, batch_size=batch_size, seed=7, augment=augment)


def make_network(*, norm: bool = True, dropout: float = 0.1) -> Classifier:
    """With batch norm and dropout, it has all the state and all the randomness that a network can have."""
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8) if norm else nn.Identity()]
    layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout)]
    return Classifier(nn.Sequential(*layers), 32, CLASSES, torch.full((3,), 0.4), torch.full((3,), 0.2))


def build(case: Case, data: TrainData, *, seed: int = 0, **network: Any) -> tuple[Method, Optimizer, LRScheduler]:
    torch.manual_seed(seed)
    count = getattr(case.kind, "network_count", 1)
    networks = [make_network(**network) for _ in range(count)]
    method = case.kind(networks, data.labels, CLASSES, **case.options)
    return method, *make_optimizer(method)


def make_optimizer(method: Method) -> tuple[Optimizer, LRScheduler]:
    optimizer = SGD(method.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True)
    return optimizer, CosineAnnealingLR(optimizer, EPOCHS)


def tables(method: Method) -> dict[str, Tensor]:
    """A copy of the rows of every table, by name."""
    return {name: part.rows.clone() for name, part in method.named_modules() if isinstance(part, SampleTable)}


def assert_same(one: object, other: object) -> None:
    """Equal to the last bit; not-a-number equals itself."""
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
