"""From a configuration to the objects of a run. Must not know: the screen, the run directory's lists and pictures."""

from __future__ import annotations

import inspect
from dataclasses import replace

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LambdaLR, LRScheduler, MultiStepLR

from mixnn.config import MethodOptions, OptimizerOptions, RunConfig, option_section
from mixnn.data.batches import TrainData, channel_statistics
from mixnn.data.seeds import derived_seed
from mixnn.errors import InputError
from mixnn.evidence.neighbors.search import fast_bfloat16
from mixnn.methods import method_class
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier, build_network, compile_body, initialize, probe
from mixnn.training.muon import Muon
from mixnn.training.schedule import LinearToZero

WEIGHTS = 3  # purpose of a derived seed
STARTING_SAMPLES = 2_000  # evenly spread ones, from which a body takes what it starts with


def with_defaults(config: RunConfig) -> RunConfig:
    """`config` with every option of its method spelled out, so that a run says all of what it did.

    One that is None goes by the length of the run, where the method says how.
    """
    kind = method_class(config.options.method)
    parameters = inspect.signature(kind).parameters.values()
    defaults = {option.name: option.default for option in parameters if option.kind is option.KEYWORD_ONLY}
    chosen = defaults | config.method_options
    by_length = kind.default_options(config.options.epochs)
    return replace(
        config, method_options=chosen | {key: by_length[key] for key in by_length if chosen.get(key) is None}
    )


def build_method(options: MethodOptions, data: TrainData, num_classes: int, device: torch.device) -> Method:
    """The method with its networks, weights drawn from the seed, on `device`.

    Raises:
        InputError: an option is unknown or out of range.
    """
    kind = method_class(options.method)
    mean, std = channel_statistics(data)
    mean, std = mean.to(device), std.to(device)
    example = next(data.inputs(torch.arange(2)))
    bf16 = options.precision == "bfloat16" or (options.precision == "auto" and fast_bfloat16(device))
    torch.manual_seed(derived_seed(options.seed, WEIGHTS))
    networks = [
        build_network(options.network, example.shape[-1], num_classes, mean, std, bf16=bf16, weights=options.weights)
        for _ in range(kind.network_count)
    ]
    starting = torch.cat(list(data.inputs(torch.arange(0, len(data), -(-len(data) // STARTING_SAMPLES)))))
    for network in networks:
        probe(network, example, options.network)
        initialize(network, starting)
        if options.compile:
            compile_body(network, example, options.network)
    try:
        method = kind(networks, data.labels, num_classes, **options.method_options)
    except TypeError as error:
        section = option_section(options.method)
        raise InputError(f"options of {section}: {error}: see `mixnn methods`") from error
    return method.to(device)


def build_optimizer(method: nn.Module, options: OptimizerOptions) -> tuple[Optimizer, LRScheduler]:
    """Stochastic gradient descent, or Muon, and its schedule, one step of which is an epoch."""
    optimizer: Optimizer
    if options.optimizer == "muon":
        kernels, rest = kernels_and_rest(method)
        optimizer = Muon(
            kernels,
            rest,
            lr=options.lr,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
        )
    else:
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
    elif options.schedule == "linear":
        scheduler = LinearToZero(optimizer, options.epochs)
    else:
        scheduler = LambdaLR(optimizer, lambda epoch: 1.0)
    return optimizer, scheduler


def kernels_and_rest(method: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trained parameters of two dimensions and more, without those of heads; and all others."""
    heads = {id(p) for module in method.modules() if isinstance(module, Classifier) for p in module.head.parameters()}
    trained = [p for p in method.parameters() if p.requires_grad]
    kernels = [p for p in trained if p.dim() > 1 and id(p) not in heads]
    chosen = {id(p) for p in kernels}
    return kernels, [p for p in trained if id(p) not in chosen]
