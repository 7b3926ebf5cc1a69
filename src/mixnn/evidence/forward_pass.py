"""One look at the whole training set in eval mode. Must not know: methods, targets, files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mixnn.data.batches import TrainData
from mixnn.distributed.ranks import gather_rows, of_first, shard
from mixnn.evidence.pca import principal_components
from mixnn.models.classifier import Classifier, fused
from mixnn.tables.topk_rows import feature_bytes, feature_width
from mixnn.tables.topk_tensors import filled, pack, pack_features

LOOKED_AT = 2**14  # samples that say in which directions features differ


class Pass(NamedTuple):
    """The same on every rank, in data-set order."""

    features: Tensor  # (N, D) float32
    log_probs: Tensor  # (N, C) float32


class Look(NamedTuple):
    """A pass for data of any size, the same on every rank, in data-set order. Several networks are M."""

    features: Tensor  # (N, D) of the first network: float32, or float16 up to their lengths; or fewer
    probs: Tensor  # a table of C classes, see `tables.topk_tensors`: the mean of what the networks say
    log_given: Tensor  # (N, M) float32, log-probability of the given label; of the first class where there is none


@torch.no_grad()
def full_pass(network: Classifier, data: TrainData, rows: Tensor | None = None) -> Pass:
    """Features and log-probabilities of every training sample: no augmentation, no dropout, no statistics updated.

    Args:
        rows: int64 (n,), the same on every rank and one for each at least: look at these only, (n, …) in this order.
    """
    looking = fused(network)
    rows = torch.arange(len(data)) if rows is None else rows.cpu()
    own = rows[shard(len(rows))]
    seen = (looking.features_and_logits(x) for x in data.inputs(own))
    features, log_probs = filled(len(own), ((z, logits.log_softmax(1)) for z, logits in seen))
    return Pass(gather_rows(features), gather_rows(log_probs))


@torch.no_grad()
def look(networks: Sequence[Classifier], data: TrainData, kept: int | None) -> Look:
    """As `full_pass`, of which a table of all log-probabilities is never there.

    Args:
        kept: shares of each row of probabilities, see `topk_rows.kept_of`.
    """
    looking = [fused(network) for network in networks]
    labels = data.labels[shard(len(data))].clamp_min(0)
    width = networks[0].head.in_features
    size = feature_bytes(len(data), width)
    directions = main_directions(networks[0], data) if feature_width(len(data), width) < width else None

    def seen() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        done = 0
        for x in data.full_batches():
            every = [network.features_and_logits(x) for network in looking]
            log_p = torch.stack([logits.log_softmax(1) for _, logits in every])  # (M, B, C)
            y = labels[None, done : done + len(x), None].expand(len(every), -1, -1)  # (M, B, 1)
            features = every[0][0] if directions is None else every[0][0] @ directions
            yield pack_features(features, size), pack(log_p.exp().mean(0), kept), log_p.gather(2, y)[..., 0].T
            done += len(x)

    return Look(*map(gather_rows, filled(own_rows(data), seen())))


def main_directions(network: Classifier, data: TrainData) -> Tensor:
    """Those in which features differ most, and how many are kept, by some samples: orthonormal, float32 (D, M)."""
    some = torch.arange(0, len(data), -(-len(data) // LOOKED_AT))
    z = normalize(full_pass(network, data, some).features).nan_to_num(0)  # of a network that diverged any will do
    kept = feature_width(len(data), z.shape[1])
    return of_first(principal_components([z], kept)[1].float().contiguous())


def own_rows(data: TrainData) -> int:
    """How many samples this rank looks at."""
    return len(range(len(data))[shard(len(data))])
