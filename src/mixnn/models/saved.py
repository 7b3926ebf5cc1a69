"""Trained networks as a file, and predictions by them. Must not know: methods, data sets, runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mixnn.errors import InputError
from mixnn.models.classifier import NETWORKS, Classifier, build_network, stacked
from mixnn.utils.files import atomic_write
from mixnn.utils.registry import refuse_code

Range = tuple[float, float]


def save_model(
    path: Path,
    networks: Sequence[Classifier],
    name: str,
    image_size: int | None,
    size: int,
    intensity: Range | None = None,
    shift: Tensor | float = 0.0,
    divisor: Tensor | float = 1.0,
    top: str | None = None,
) -> None:
    """The networks' weights as safetensors; what is needed to build them stands in its metadata.

    Args:
        name: of the networks, see `build_network`.
        image_size: pixels that images are read at; None for embeddings.
        size: pixels of what the network sees, cut out of the image; the width of embeddings.
        intensity: what became black and white of pixels of more than 8 bits; None where there were none.
        shift, divisor: (D,), what embeddings were shifted and divided by before training; the file's mean and std are
            those of embeddings as they are given.
        top: name of the network on the features of the one called `name`, where these are two, see `stacked`.
    """
    about = {
        "network": name,
        "top": top,
        "image_size": image_size,
        "size": size,
        "intensity": intensity,
        "classes": networks[0].head.out_features,
        "networks": len(networks),
        "bf16": networks[0].bf16,  # predict in the arithmetic of training
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in nn.ModuleList(networks).state_dict().items()}
    for place in range(len(networks)):
        mean, std = (tensors[f"{place}.{name}"] * divisor for name in ("mean", "std"))
        tensors |= {f"{place}.mean": (mean + shift).float(), f"{place}.std": std.float()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"mixnn": json.dumps(about)}))


class Predictor(nn.Module):
    """The trained networks of a run: (B, 3, H, W), uint8 or in 0–1 -> mean probabilities (B, C).

    Attributes:
        image_size: pixels to read images at; None for embeddings.
        size: pixels to cut out of them.
        intensity: the scale of pixels of more than 8 bits; None where the run met none.
    """

    def __init__(self, networks: nn.ModuleList, image_size: int | None, size: int, intensity: Range | None) -> None:
        super().__init__()
        self.networks, self.image_size, self.size, self.intensity = networks, image_size, size, intensity

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x).softmax(1) for network in self.networks]).mean(0)


def load_model(
    path: Path, device: torch.device, network: str | None = None, classes: Sequence[str] | None = None
) -> Predictor:
    """The model that `save_model` wrote, ready to predict.

    Args:
        network: its name; the file's where not given, which may name one of ours or of timm's, and no code.
        classes: names that the outputs stand for.

    Raises:
        InputError: the file is missing or damaged, names code, or has another number of outputs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["mixnn"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            if about.get("top") not in (None, *NETWORKS):  # no code
                raise ValueError(f"top is {about['top']!r}")
            mean, std, outputs = tensors["0.mean"], tensors["0.std"], int(about["classes"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"model {path} cannot be read ({error}): repeat `mixnn train` with --resume") from error
    refuse_code(about, f"model {path}", {"network": network})
    name = str(about["network"]) if network is None else network
    if classes is not None and len(classes) != outputs:
        raise InputError(f"model {path} has {outputs} classes, and the run {len(classes)}: they are files of two runs")

    def build() -> Classifier:
        network = build_network(name, about["size"], outputs, mean, std, bf16=about["bf16"])
        if about.get("top") is None:
            return network
        width = network.head.in_features
        return stacked(network, build_network(about["top"], width, outputs, torch.zeros(width), torch.ones(width)))

    networks = nn.ModuleList(build() for _ in range(about["networks"]))
    try:
        networks.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"model {path} does not fit network {name!r}: it was trained with {about['network']}, which is another, "
            "or has changed since"
        ) from error
    intensity = None if about.get("intensity") is None else tuple(about["intensity"])
    return Predictor(networks, about.get("image_size", about["size"]), about["size"], intensity).to(device).eval()
