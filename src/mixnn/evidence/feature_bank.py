"""What the network says of every sample, and where that comes from. Must not know: methods, targets, files."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mixnn.data.batches import TrainData
from mixnn.distributed.ranks import world_size
from mixnn.errors import InputError, require_between
from mixnn.evidence.forward_pass import Pass, full_pass
from mixnn.models.classifier import Classifier
from mixnn.tables.sample_table import SampleTable

Origin = Literal["pass", "steps"]


class Bank(nn.Module):
    """Features and log-probabilities of all samples, some of them older than others.

    From a "pass" over all samples they are as good as the network is, for a third of an epoch. The "steps" of training
    have them for nothing: half an epoch older, by a network in train mode, of inputs as they were trained on
    (augmented, or mixed); samples that no step had, such as unlabeled ones, are looked at in a pass of their own. Two
    samples that were mixed with each other look the same there, and stay each other's nearest.

    Args:
        origin: "pass" or "steps".
        every: epochs after which a sample that no step had is looked at anew; with "pass", all of them.
        network, labels, num_classes: see `Method`; the tables lie where the labels do.
        name: of the method, for errors.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self, origin: Origin, every: int, network: Classifier, labels: Tensor, num_classes: int, *, name: str
    ) -> None:
        super().__init__()
        if origin not in get_args(Origin):
            raise InputError(f"{name}.bank is {origin!r}: use one of {', '.join(get_args(Origin))}")
        require_between(f"{name}.bank_every", every, 1)
        self.origin, self.every, self.renewed = origin, every, True
        self.kept = origin == "steps" or every > 1  # otherwise nothing is older than its epoch, and nothing is kept
        if self.kept:
            samples, where = len(labels), labels.device
            self.features = SampleTable(torch.zeros(samples, network.head.in_features, device=where))
            self.log_probs = SampleTable(torch.zeros(samples, num_classes, device=where))
            self.seen = SampleTable(torch.full_like(labels, -1 - every))  # the epoch at whose end it was so

    def note(self, epoch: int, index: Tensor, features: Tensor, logits: Tensor) -> None:
        """Keep what a step of `epoch` said: of samples `index` int64 (B,), (B, D) and (B, C)."""
        if self.origin == "steps":
            self._write(epoch, index, features, logits.detach().log_softmax(1))

    def look(self, network: Classifier, data: TrainData, epoch: int) -> Pass:
        """What is known of every sample when `epoch` begins, the same on every rank; `renewed`: not all as before."""
        if not self.kept:
            return full_pass(network, data)
        old = (epoch - 1 - self.seen.rows >= self.every).nonzero()[:, 0]
        self.renewed = self.origin == "steps" or len(old) > 0
        if len(old):
            looked_at = old.repeat(-(-world_size() // len(old)))  # one at least for each rank
            self._write(epoch - 1, looked_at, *full_pass(network, data, looked_at))
            for table in (self.features, self.log_probs, self.seen):
                table.sync()
        return Pass(self.features.rows, self.log_probs.rows)

    def _write(self, epoch: int, index: Tensor, features: Tensor, log_probs: Tensor) -> None:
        self.features.write(index, features)
        self.log_probs.write(index, log_probs)
        self.seen.write(index, torch.full_like(index, epoch))
