"""What a method sees of the data at each step. Must not know: where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples with their indices.

    Attributes:
        index: int64 (B,), rows of the training set.
        inputs: uint8 pixels (B, 3, H, W), augmented, or float32 embeddings (B, D): what networks take.
        y: int64 (B,), given labels; below 0 where nobody knows.
        partners: the samples that came along with each of these: the same fields with shapes
            (B, K), (B, K, …), (B, K); None where none were asked for.
    """

    index: Tensor
    inputs: Tensor
    y: Tensor
    partners: Batch | None = None

    @cached_property
    def x(self) -> Tensor:
        """The inputs as float32 (B, …), pixels in 0–1: for arithmetic, such as mixing."""
        return as_input(self.inputs)


def as_input(inputs: Tensor) -> Tensor:
    """uint8 pixels as float32 in 0–1; floats as they are."""
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs
