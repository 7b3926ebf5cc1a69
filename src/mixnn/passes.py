"""One look at the whole training set in eval mode. Must not know: methods, targets, files."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.data.train_data import TrainData
from mixnn.distributed import gather_rows
from mixnn.networks import Classifier, fused


class Pass(NamedTuple):
    """The same on every rank, in data-set order."""

    features: Tensor  # (N, D) float32
    log_probs: Tensor  # (N, C) float32


@torch.no_grad()
def full_pass(network: Classifier, data: TrainData) -> Pass:
    """Features and log-probabilities of every training sample: no augmentation, no dropout, no statistics updated."""
    looking = fused(network)
    features, log_probs = [], []
    for x in data.full_batches():
        z, logits = looking.features_and_logits(x)
        features.append(z)
        log_probs.append(logits.log_softmax(1))
    return Pass(gather_rows(torch.cat(features)), gather_rows(torch.cat(log_probs)))
