"""A learning rate that changes with every step. Must not know: methods, data."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class LinearToZero(LRScheduler):
    """Falls evenly to zero at the end of the last epoch.

    Args:
        optimizer: whose rates.
        epochs: of the whole run.
    """

    def __init__(self, optimizer: Optimizer, epochs: int) -> None:
        self.epochs, self.share = epochs, 0.0
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """The rate of each group at the beginning of epoch `last_epoch`."""
        left = max(0.0, 1 - (self.last_epoch + self.share) / self.epochs)
        return [float(rate) * left for rate in self.base_lrs]

    def within_epoch(self, share: float) -> None:
        """Set the rates after a share of this epoch's steps, 0–1, was done."""
        self.share = share
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self.share = 0.0
