"""Cross-entropy on the given labels: what everything else is compared with."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from mixnn.data.batches import Batch
from mixnn.methods.base import Method


class CrossEntropy(Method):
    """Cross-entropy on the given labels: plain training, which memorizes wrong labels in the end."""

    def forward(self, batch: Batch) -> Tensor:
        return cross_entropy(self.network(batch.inputs), batch.y)
