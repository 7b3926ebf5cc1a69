"""What a method is. Must not know: the trainer, files, the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mixnn.data.batches import Batch, TrainData
from mixnn.distributed.ranks import average_buffers
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class Method(nn.Module):
    """A way of training that owns its networks and its per-sample tables.

    Most methods write `forward` alone. All state is parameters and buffers, so `state_dict()` is the
    checkpoint; an `epoch` number comes back with `begin_epoch`.

    Args:
        networks: the network, or as many as `network_count` says.
        labels: int64 (N,), the given labels.
        num_classes: C.

    Attributes:
        certain: bool (N,), labels that a person has reviewed: not to be changed, nor left out; none before the
            first `begin_epoch`.
        first_own_epoch: before this epoch, counted from 0, it does not do what it is named for.
        figures: what the method has to tell about this epoch, by name; written to `metrics.csv`.
        choices: what it chose by itself, in words, by name; said once, and written to `environment.json`.
        under_way: the phases, see `phase`, that it is in, the innermost last.
        seconds: how long its own phases took in this epoch, by name.
        losses: (N,) in 0–1, normalized losses of this epoch's full pass, NaN where there is no label; None where
            there was no pass.
        mixture: (3, 2) float64: means, variances, weights of what was fitted to them, lower mean first, or None.
    """

    network_count: ClassVar[int] = 1
    networks: nn.ModuleList
    certain: Tensor

    def __init__(self, networks: Classifier | Sequence[Classifier], labels: Tensor, num_classes: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList([networks] if isinstance(networks, nn.Module) else networks)
        self.num_classes = num_classes
        self.certain = torch.zeros_like(labels, dtype=torch.bool)
        self.epoch = 0
        self.first_own_epoch = 0
        self.figures: dict[str, float] = {}
        self.choices: dict[str, str] = {}
        self.under_way: list[str] = []
        self.seconds: dict[str, float] = {}
        self.losses: Tensor | None = None
        self.mixture: Tensor | None = None

    @classmethod
    def options_for(cls, epochs: int) -> dict[str, Any]:
        """What options that are None become in a run of so many epochs."""
        return {}

    @property
    def classifiers(self) -> list[Classifier]:
        """The networks, for the type checker."""
        return [network for network in self.networks if isinstance(network, Classifier)]

    @property
    def network(self) -> Classifier:
        """The first, for most methods the only, network."""
        return self.classifiers[0]

    def begin_epoch(self, epoch: int, data: TrainData) -> None:
        """Whatever needs the whole training set: passes, mixtures, neighbors."""
        self.epoch, self.figures, self.seconds = epoch, {}, {}
        self.certain = data.certain
        self.losses = self.mixture = None

    def batches(self, epoch: int, data: TrainData) -> Iterator[Batch]:
        """What one epoch is."""
        return data.train_batches(epoch)

    def forward(self, batch: Batch) -> Tensor:
        """The scalar loss of one step."""
        raise NotImplementedError(f"{type(self).__name__} has to define forward(batch)")

    def end_epoch(self) -> None:
        """Tables take up what was written; ranks agree on tables and batch-norm statistics."""
        for module in self.modules():
            if isinstance(module, SampleTable):
                module.sync()
        average_buffers(self.networks)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Class probabilities (B, C) for inputs (B, …), as networks take them: the networks' mean."""
        return torch.stack([network(x).softmax(1) for network in self.networks]).mean(0)

    def soft_targets(self) -> Tensor | None:
        """The method's own belief in each training label, (N, C) rows summing to one; None if it has none.

        A table as in `tables.topk_tensors`: of very large N × C it may be packed, and `unpack` makes it whole.
        """
        return None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what stands inside under `name`, and tell who watches."""
        start = time.perf_counter()
        self.under_way.append(name)
        try:
            yield
        finally:
            self.under_way.pop()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after the call; a few times an epoch it may be waited for
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
