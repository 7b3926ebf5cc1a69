"""Features of a data set by a frozen network, made once. Must not know: labels, methods, files of a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mixnn.config import FindOptions
from mixnn.data.batches import TrainData, channel_statistics
from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import Progress
from mixnn.models.classifier import NETWORKS, Classifier, build_network, network_factory, probe
from mixnn.models.efficientnet_lite import efficientnet_lite0, input_size
from mixnn.models.timm_backbones import PREFIX
from mixnn.tables.topk_rows import feature_bytes
from mixnn.tables.topk_tensors import as_float16, concatenated

BATCH = 64  # images at a time on a CPU


def check_encoder(options: FindOptions) -> None:
    """Raise InputError where the network cannot be had, or has no weights, before minutes go into reading images."""
    if options.network is None:
        efficientnet_lite0(input_size(0))
        return
    network_factory(options.network)
    if options.weights is None and (options.network in NETWORKS or options.network.startswith(PREFIX)):
        fix = "--weights hub" if options.network.startswith(PREFIX) else "--weights FILE"
        raise InputError(f"--network {options.network} starts at random, its features say nothing: add {fix}")


@torch.inference_mode()
def encode(data: TrainData, options: FindOptions, device: torch.device, progress: Progress) -> Tensor:
    """Features of every image, (N, D) float32, or float16 of very many (see `topk_tensors.as_float16`).

    Raises:
        InputError: the network does not take such images.
    """
    example = next(data.inputs(torch.arange(min(2, len(data)))))
    size = example.shape[-1]
    scaled = input_size(size) if options.network is None else size
    if options.network is None:
        network = efficientnet_lite0(scaled)
    else:
        mean, std = channel_statistics(data)
        network = build_network(options.network, size, 1, mean, std, weights=options.weights)
        probe(network, example, options.network)
    network = network.to(device).eval()
    return concatenated(len(data), batches(network, data, scaled, progress))[0].clone()


def batches(network: Classifier, data: TrainData, size: int, progress: Progress) -> Iterator[tuple[Tensor]]:
    """Features, batch by batch, of images that are scaled to `size` pixels."""
    size_of_value, done = feature_bytes(len(data), network.head.in_features), 0
    for x in data.full_batches(BATCH if data.labels.device.type == "cpu" else None):
        if x.shape[-1] != size:
            smaller = x.shape[-1] > size
            x = interpolate(x.float() / 255, size, mode="bilinear", align_corners=False, antialias=smaller)
        z, _ = network.features_and_logits(x)
        done += len(x)
        progress(done, len(data))
        yield (as_float16(z, size_of_value),)
