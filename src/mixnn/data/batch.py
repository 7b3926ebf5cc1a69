"""What a method sees of the data at each step. Must not know: where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples with their indices.

    Attributes:
        index: int64 (B,), rows of the training set.
        x: float32 (B, …), pixels in 0–1 or embeddings, augmented.
        y: int64 (B,), given labels.
        partners: the samples that came along with each of these: the same fields with shapes
            (B, K), (B, K, …), (B, K); None where none were asked for.
    """

    index: Tensor
    x: Tensor
    y: Tensor
    partners: Batch | None = None
