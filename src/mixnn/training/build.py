"""From a configuration to the objects of a run. Must not know: the screen, the run directory's lists and pictures."""

from __future__ import annotations

import inspect
import json
import os
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LambdaLR, LRScheduler, MultiStepLR

from mixnn.config import RunConfig, TrainOptions, option_section
from mixnn.data.batches import TrainData, channel_statistics
from mixnn.data.seeds import derived_seed
from mixnn.errors import InputError
from mixnn.evidence.neighbors.search import fast_bfloat16
from mixnn.methods import method_class
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier, build_network
from mixnn.runs.directory import replacing

WEIGHTS = 3  # purpose of a derived seed


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU, or the CPU. "cuda" is this process's own of several GPUs.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # what nccl and new tensors use
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name!r} cannot be used here: use cpu, or auto") from error
    return device


def pick_bf16(precision: str, device: torch.device) -> bool:
    return precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))


def with_defaults(config: RunConfig) -> RunConfig:
    """`config` with every option of its method spelled out, so that a run says all of what it did.

    One that is None goes by the length of the run, where the method says how.
    """
    kind = method_class(config.options.method)
    parameters = inspect.signature(kind).parameters.values()
    defaults = {option.name: option.default for option in parameters if option.kind is option.KEYWORD_ONLY}
    chosen = defaults | config.method_options
    by_length = kind.options_for(config.options.epochs)
    return replace(
        config, method_options=chosen | {key: by_length[key] for key in by_length if chosen.get(key) is None}
    )


def build_method(config: RunConfig, data: TrainData, num_classes: int, device: torch.device) -> Method:
    """The method with its networks, weights drawn from the seed, on `device`.

    Raises:
        InputError: an option is unknown or out of range.
    """
    options = config.options
    kind = method_class(options.method)
    mean, std = channel_statistics(data)
    mean, std = mean.to(device), std.to(device)
    example = next(data.inputs(torch.arange(2)))
    bf16 = pick_bf16(options.precision, device)
    torch.manual_seed(derived_seed(options.seed, WEIGHTS))
    networks = [
        build_network(options.network, example.shape[-1], num_classes, mean, std, bf16=bf16, weights=options.weights)
        for _ in range(kind.network_count)
    ]
    for network in networks:
        probe(network, example, options.network)
        if options.compile:
            compile_body(network, example, options.network)
    try:
        method = kind(networks, data.labels, num_classes, **config.method_options)
    except TypeError as error:
        section = option_section(options.method)
        raise InputError(f"options of {section}: {error}: see `mixnn methods`") from error
    return method.to(device)


@torch.no_grad()
def probe(network: Classifier, x: Tensor, name: str) -> None:
    """Raise InputError unless `network` takes such inputs (2, …)."""
    try:
        network.to(x.device).eval()(x)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        shape = tuple(x.shape[1:])
        raise InputError(
            f"network {name!r} does not take inputs of shape {shape} ({reason}): choose another"
            + (", such as --network mlp" if len(shape) == 1 else "")
        ) from error


@torch.no_grad()
def compile_body(network: Classifier, x: Tensor, name: str) -> None:
    """Compile the body in place, which leaves its state as it is; a copy of the network is not compiled.

    Raises InputError unless that can be done here, tried with inputs (2, …).
    """
    network.features.compile()
    try:
        network(x)
    except Exception as error:  # of the compiler: anything from a missing program to code of the network it cannot read
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"--compile: network {name!r} cannot be compiled here ({reason}): leave it away") from error


def build_optimizer(method: nn.Module, options: TrainOptions) -> tuple[Optimizer, LRScheduler]:
    """Stochastic gradient descent and its schedule, one step of which is an epoch."""
    optimizer = SGD(
        method.parameters(),
        lr=options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        nesterov=options.nesterov,
        fused=True,  # reads and writes each weight once; 8 to 12 % of a step in one look on two CPU cores
    )
    scheduler: LRScheduler
    if options.schedule == "cosine":
        scheduler = CosineAnnealingLR(optimizer, options.epochs)
    elif options.schedule == "cosine-restarts":
        scheduler = CosineAnnealingWarmRestarts(optimizer, options.restart_every, eta_min=options.min_lr)
    elif options.schedule == "steps":
        scheduler = MultiStepLR(optimizer, options.milestones, options.gamma)
    else:
        scheduler = LambdaLR(optimizer, lambda epoch: 1.0)
    return optimizer, scheduler


def save_model(
    path: Path, method: Method, options: TrainOptions, image_size: int | None, size: int, num_classes: int
) -> None:
    """The networks' weights as safetensors; what is needed to build them stands in its metadata.

    Args:
        image_size: pixels that images are read at; None for embeddings.
        size: pixels of what the network sees, cut out of the image; the width of embeddings.
    """
    about = {
        "network": options.network,
        "image_size": image_size,
        "size": size,
        "classes": num_classes,
        "networks": len(method.networks),
        "bf16": method.network.bf16,  # predict in the arithmetic of training
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in method.networks.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"mixnn": json.dumps(about)}))


class Predictor(nn.Module):
    """The trained networks of a run: (B, 3, H, W), uint8 or in 0–1 -> mean probabilities (B, C).

    Attributes:
        image_size: pixels to read images at; None for embeddings.
        size: pixels to cut out of them.
    """

    def __init__(self, networks: nn.ModuleList, image_size: int | None, size: int) -> None:
        super().__init__()
        self.networks, self.image_size, self.size = networks, image_size, size

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x).softmax(1) for network in self.networks]).mean(0)


def load_model(path: Path, device: torch.device) -> Predictor:
    """The model that `save_model` wrote, ready to predict.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["mixnn"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise InputError(f"model {path} cannot be read ({error}): repeat `mixnn train` with --resume") from error
    mean, std = tensors["0.mean"], tensors["0.std"]
    networks = nn.ModuleList(
        build_network(about["network"], about["size"], about["classes"], mean, std, bf16=about["bf16"])
        for _ in range(about["networks"])
    )
    try:
        networks.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"model {path} does not fit network {about['network']!r}, which has changed since") from error
    return Predictor(networks, about.get("image_size", about["size"]), about["size"]).to(device).eval()
