"""What a method is. Must not know: the trainer, files, the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mixnn.data.batches import Batch, TrainData
from mixnn.distributed.ranks import average_buffers
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable


class Tables(NamedTuple):
    """What a method holds of each of N samples at once, at most, while it trains: copies and results on the way, too.

    Attributes:
        probs: how many numbers for each of C classes, as soft targets or probabilities of a pass.
        features: how many for each of D features.
        values: how many besides.
    """

    probs: int = 0
    features: int = 0
    values: int = 0


class Method(nn.Module):
    """A way of training that owns its networks and its per-sample tables.

    Most methods write `forward` alone. All state is parameters and buffers, so `state_dict()` is the
    checkpoint; an `epoch` number comes back with `begin_epoch`. What others need to know of a method stands in its
    class; tables in the docs, `mixnn methods`, the memory estimate, benchmark suites and contract tests read it there.

    Args:
        networks: the network, or as many as `network_count` says.
        labels: int64 (N,), the given labels; below 0 where there is none.
        num_classes: C.

    Attributes:
        paper: authors and where, for tables.
        network_count: networks that it trains.
        tables: what it holds of each sample.
        extra_passes: full passes in an epoch, in words.
        cost: of its epochs by default, in those of cross-entropy: a forward pass is a third, a backward one two.
        cost_by_phase: the same in words, where epochs differ.
        needs_noise_rate: whether, in words.
        verified_labels: how it treats labels that a person has reviewed, in words.
        uses_loss_mixture: whether it weighs labels by a mixture of two Gaussians fitted to the losses.
        corrects_labels: whether `soft_targets` are the given labels, corrected; then verified ones stay what they are.
        depends_on_rank: whether what a process computes depends on its part of a batch, or on its own random numbers.
        short_options: options by which an epoch or two show all of it, for tests.
        verified: bool (N,), labels that a person has reviewed: not to be changed, nor left out; none before the
            first `begin_epoch`.
        main_phase_start: before this epoch, counted from 0, it does not do what it is named for.
        metrics: what the method has to tell about this epoch, by name; written to `metrics.csv`.
        auto_selected: what it chose by itself, in words, by name; said once, and written to `environment.json`.
        active_phases: the phases, see `phase`, that it is in, the innermost last.
        seconds: how long its own phases took in this epoch, by name.
        losses: (N,) in 0–1, normalized losses of this epoch's full pass, NaN where there is no label; None where
            there was no pass.
        mixture: (3, 2) float64: means, variances, weights of what was fitted to them, lower mean first, or None.

    Example:
        >>> class Mine(Method):
        ...     paper = "ours"
        ...     def forward(self, batch):
        ...         return cross_entropy(self.network(batch.inputs), batch.y)
    """

    paper: ClassVar[str] = "–"
    network_count: ClassVar[int] = 1
    tables: ClassVar[Tables] = Tables()
    extra_passes: ClassVar[str] = "–"
    cost: ClassVar[float] = 1.0
    cost_by_phase: ClassVar[str] = ""
    needs_noise_rate: ClassVar[str] = "no"
    verified_labels: ClassVar[str] = "like any other: it neither changes labels nor leaves any out"
    uses_loss_mixture: ClassVar[bool] = False
    corrects_labels: ClassVar[bool] = False
    depends_on_rank: ClassVar[bool] = False
    short_options: ClassVar[Mapping[str, Any]] = {}

    networks: nn.ModuleList
    verified: Tensor

    def __init__(self, networks: Classifier | Sequence[Classifier], labels: Tensor, num_classes: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList([networks] if isinstance(networks, nn.Module) else networks)
        self.num_classes = num_classes
        self.verified = torch.zeros_like(labels, dtype=torch.bool)
        self.epoch = 0
        self.main_phase_start = 0
        self.metrics: dict[str, float] = {}
        self.auto_selected: dict[str, str] = {}
        self.active_phases: list[str] = []
        self.seconds: dict[str, float] = {}
        self.losses: Tensor | None = None
        self.mixture: Tensor | None = None

    @classmethod
    def default_options(cls, epochs: int) -> dict[str, Any]:
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
        self.epoch, self.metrics, self.seconds = epoch, {}, {}
        self.verified = data.verified
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

    def clean_labels(self) -> Tensor | None:
        """bool (N,), the labels that this epoch takes to be right; None where all are used as they are."""
        return None

    def soft_targets(self) -> Tensor | None:
        """The method's own belief in each training label, (N, C) rows summing to one; None if it has none.

        A table as in `tables.topk_tensors`: of very large N × C it may be packed, and `unpack` makes it whole.
        """
        return None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what stands inside under `name`, and tell who watches."""
        start = time.perf_counter()
        self.active_phases.append(name)
        try:
            yield
        finally:
            self.active_phases.pop()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after the call; a few times an epoch it may be waited for
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
