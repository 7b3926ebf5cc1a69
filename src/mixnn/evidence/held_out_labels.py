"""Labels that training has not seen yet, though noisy, tell how it goes. Must not know: networks, methods, files."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixnn.evidence.linear_probe import folds_of

HELD_OUT_DIVISOR = 10  # one of so many labels is held out
MIN_HELD_OUT, MAX_HELD_OUT = 200, 2_000  # labels that are held out
MIN_LABELED = 500  # labeled samples; of fewer none is held out
MIN_PER_CLASS = 5  # labels of a class; of fewer none is held out
MEMORIZATION_GAP = 0.15  # more of the seen labels than of the unseen ones: they are memorized
MIN_DROP = 0.01  # fewer of the unseen labels than before: something harms
STANDARD_DEVIATIONS = 2.0  # standard deviations that chance may make


class HeldOutLabels(nn.Module):
    """A tenth of each class, whose labels no step sees at first, and how many of them are known when.

    Args:
        labels: int64 (N,); below 0 where there is none.
    """

    rows: Tensor  # (N,) bool, whose label no step has seen
    before: Tensor  # (N,) bool, whose label the network predicted at the first check
    accuracies: (
        Tensor  # (4,) of labels that were given: seen and unseen at the first check, by the evidence, at the last check
    )

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", held_out_rows(labels))
        self.register_buffer("before", torch.zeros_like(labels, dtype=torch.bool))
        self.register_buffer("accuracies", torch.zeros(4, dtype=torch.float64, device=labels.device))

    def __bool__(self) -> bool:
        return bool(self.rows.any())

    def memorized(self, known: Tensor, labeled: Tensor) -> bool:
        """The first check: whether far more of the seen labels are known, bool (N,), than of the others."""
        self.before.copy_(known)
        self.accuracies[0] = known[labeled & ~self.rows].double().mean()
        self.accuracies[1] = known[self.rows].double().mean()
        seen, unseen = self.accuracies[:2].tolist()
        chance = (unseen * (1 - unseen) / int(self.rows.sum())) ** 0.5
        return bool(seen - unseen > max(MEMORIZATION_GAP, STANDARD_DEVIATIONS * chance))

    def evidence_is_worse(self, evidence: Tensor) -> bool:
        """Whether the evidence gives clearly fewer of the unseen labels, bool (N,), than the network did."""
        self.accuracies[2] = evidence[self.rows].double().mean()
        return significantly_fewer(evidence[self.rows], self.before[self.rows])

    def is_worse_than_before(self, known: Tensor) -> bool:
        """A later check: whether the network gives clearly fewer of the unseen labels, bool (N,), than at the first."""
        self.accuracies[3] = known[self.rows].double().mean()
        return significantly_fewer(known[self.rows], self.before[self.rows])

    def release(self) -> None:
        """From now on all labels are seen."""
        self.rows.fill_(False)


def held_out_rows(labels: Tensor) -> Tensor:
    """Which labels no step sees at first, bool (N,): of each class as large a share."""
    known = labels[labels >= 0]
    if len(known) < MIN_LABELED:
        return torch.zeros_like(labels, dtype=torch.bool)
    folds = round(len(known) / min(MAX_HELD_OUT, max(MIN_HELD_OUT, len(known) // HELD_OUT_DIVISOR)))
    fold = folds_of(labels.cpu().numpy(), folds).to(labels.device)
    return (fold == 0) & (labels >= 0) & (known.bincount()[labels.clamp_min(0)] >= MIN_PER_CLASS)


def significantly_fewer(now: Tensor, before: Tensor) -> bool:
    """Whether fewer are right now than before, bool (n,) each of the same samples, beyond chance (McNemar's test)."""
    lost, won = int((before & ~now).sum()), int((now & ~before).sum())
    return bool(lost - won > max(MIN_DROP * len(now), STANDARD_DEVIATIONS * (lost + won) ** 0.5))
