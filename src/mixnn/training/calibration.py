"""How far confidence is from accuracy."""

from __future__ import annotations

import torch
from torch import Tensor


def confidence_bins(probs: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """Predictions by confidence, in `bins` of equal width: (3, bins), to be added up over batches.

    Rows: how many, how many of them right, the sum of their confidences (Guo et al., arXiv 1706.04599).

    Args:
        probs: (B, C), rows sum to one.
        labels: int64 (B,).
    """
    confidence, predicted = probs.double().max(1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1  # (B,)
    counted = torch.stack([torch.ones_like(confidence), (predicted == labels).double(), confidence])
    return counted.new_zeros(3, bins).index_add_(1, place, counted)


def calibration_error(bins: Tensor) -> float:
    """ECE, the mean distance of confidence from accuracy, in 0–1, of what `confidence_bins` added up (3, bins)."""
    count, right, confidence = bins
    return float((right - confidence).abs().sum() / count.sum())
