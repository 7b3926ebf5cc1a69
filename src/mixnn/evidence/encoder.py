"""Features of a data set by a frozen network, made once. Must not know: labels, methods, files of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mixnn.config.find import EmbedOptions
from mixnn.data.batches import TrainData, channel_statistics
from mixnn.errors import InputError
from mixnn.evidence.neighbors.brute_force import Progress
from mixnn.evidence.neighbors.search import fast_bfloat16
from mixnn.models.classifier import NETWORKS, Classifier, build_network, fused, network_factory, probe
from mixnn.models.efficientnet_lite import efficientnet_lite0, input_size
from mixnn.models.encoder_files import Encoder, load_encoder
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
        size: pixels that it is given.
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


def check_encoder(options: EmbedOptions, size: int | None, device: torch.device) -> int:
    """Pixels to read photos at, which is `size` where it is given.

    Raises:
        InputError: the network cannot be had, or has no weights; before minutes go into reading images.
    """
    if options.encoder is not None:
        network = opened_encoder(options, size, device)
        body, width = network.features, network.head.in_features
        assert isinstance(body, Encoder)
        note(f"encoder {options.encoder}: images of {body.size} px, {width:,} features: {body.output}")
        if body.on_cpu and device.type != "cpu":
            note(f"onnxruntime computes on the CPU, not on {device}: pip install onnxruntime-gpu, or export a .pt2")
        return size or body.size or 0
    if options.network is None:
        efficientnet_lite0(input_size(0))
        return size or PHOTO_SIZE
    network_factory(options.network)
    if options.weights is None and (options.network in NETWORKS or options.network.startswith(PREFIX)):
        fix = "--weights hub" if options.network.startswith(PREFIX) else "--weights FILE"
        raise InputError(f"--network {options.network} starts at random, its features say nothing: add {fix}")
    return size or PHOTO_SIZE


def arithmetic(options: EmbedOptions, device: torch.device) -> str:
    """bfloat16 where the hardware is known to multiply it, as training takes it; a file computes in its own."""
    return "bfloat16" if options.encoder is None and fast_bfloat16(device) else "float32"


def opened_encoder(options: EmbedOptions, size: int | None, device: torch.device) -> Classifier:
    """The encoder of the options, for images of `size` pixels where it takes any."""
    assert options.encoder is not None
    return load_encoder(options.encoder, device, size=size, mean=options.pixel_mean, std=options.pixel_std)


@torch.inference_mode()
def frozen_network(data: TrainData, options: EmbedOptions, device: torch.device) -> Frozen:
    """What makes features of images such as those of `data`.

    Raises:
        InputError: it does not take such images.
    """
    example = next(data.inputs(torch.arange(min(2, len(data)))))
    size = example.shape[-1]
    if options.encoder is not None:
        network = opened_encoder(options, size, device)
        assert isinstance(network.features, Encoder)
        return Frozen(network.eval(), options.encoder, network.features.size or size)
    if options.network is None:
        name, scaled = "efficientnet-lite0", input_size(size)
        network = efficientnet_lite0(scaled)
    else:
        name, scaled = options.network, size
        mean, std = channel_statistics(data)
        network = build_network(name, size, 1, mean, std, weights=options.weights)
        probe(network, example, name)
    network.bf16 = arithmetic(options, device) == "bfloat16"
    return Frozen(network.to(device).eval(), name, scaled)


def encode(data: TrainData, options: EmbedOptions, device: torch.device, progress: Progress) -> Tensor:
    """Features of every image, (N, D) float32, or float16 of very many (see `topk_tensors.as_float16`).

    Raises:
        InputError: the network does not take such images.
    """
    frozen = frozen_network(data, options, device)
    size_of_value = feature_bytes(len(data), frozen.network.head.in_features)

    def told() -> Iterator[tuple[Tensor]]:
        done = 0
        for z in batches(frozen, data, size_of_value):
            done += len(z)
            progress(done, len(data))
            yield (z,)

    return concatenated(len(data), told())[0].clone()


@torch.inference_mode()
def batches(frozen: Frozen, data: TrainData, size_of_value: int, start: int = 0) -> Iterator[Tensor]:
    """Features, batch by batch, of the images from row `start` on, scaled to the network's size.

    Args:
        size_of_value: bytes, 4 for float32 and 2 for float16.
        start: a multiple of what the batches have, so that these are the same from wherever one begins.
    """
    encoder = isinstance(frozen.network.features, Encoder)
    network = frozen.network if encoder else fused(frozen.network)
    rows = torch.arange(start, len(data))
    for x in data.inputs(rows, BATCH if data.labels.device.type == "cpu" else None):
        if x.shape[-1] != frozen.size:
            smaller = x.shape[-1] > frozen.size
            x = interpolate(x.float() / 255, frozen.size, mode="bilinear", align_corners=False, antialias=smaller)
        yield as_float16(network.features_and_logits(x)[0], size_of_value)
