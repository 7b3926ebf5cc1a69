"""One look at the whole training set in eval mode. Must not know: methods, targets, files."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mixnn.data.train_data import TrainData
from mixnn.distributed import gather_rows, shard
from mixnn.networks import Classifier, fused


class Pass(NamedTuple):
    """The same on every rank, in data-set order."""

    features: Tensor  # (N, D) float32
    log_probs: Tensor  # (N, C) float32


@torch.no_grad()
def full_pass(network: Classifier, data: TrainData) -> Pass:
    """Features and log-probabilities of every training sample: no augmentation, no dropout, no statistics updated."""
    looking = fused(network)
    rows, done = len(range(len(data))[shard(len(data))]), 0
    features, log_probs = torch.empty(0), torch.empty(0)
    for x in data.full_batches():
        z, logits = looking.features_and_logits(x)
        if done == 0:  # filled in place: a list of parts, and then all of them, is twice the memory
            features, log_probs = z.new_empty(rows, z.shape[1]), logits.new_empty(rows, logits.shape[1])
        features[done : done + len(z)] = z
        log_probs[done : done + len(z)] = logits.log_softmax(1)
        done += len(z)
    return Pass(gather_rows(features), gather_rows(log_probs))
