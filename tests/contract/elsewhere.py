"""Train on a device that is not the CPU, and say as JSON what became of it, a line a case: run by `test_device.py`."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contract import pretend
from contract.cases import CASES, STOP, Case, build, make_optimizer

from mixnn import TrainData, fit
from mixnn.cli.main import main as mixnn
from mixnn.distributed import ranks
from mixnn.training import loop
from mixnn.training.evidence import collect_evidence, judge_labels

STEPS = (2, 4)  # an epoch
EVIDENCE = ("probs", "targets", "loss", "loss_mixture_clean_prob", "label_posterior")


def on(device: str, data: TrainData) -> TrainData:
    images, labels = data.pixels.tensor.to(device), data.labels.to(device)
    return TrainData(images, labels, batch_size=data.batch_size, seed=data.seed, augment="color")


def differing(case: Case) -> list[str]:
    """What a whole run on the device, in a group of one process, ends with that differs from the same on the CPU."""
    here = trained(case, "cpu")
    alone = mock.patch.object(loop, "DistributedDataParallel", lambda method, **_: method)
    with mock.patch.object(ranks, "dist", Group), alone:
        there = trained(case, pretend.NAME)
    return [key for key in here if not torch.allclose(here[key], there[key], rtol=1e-4, atol=1e-5, equal_nan=True)]


def trained(case: Case, device: str) -> dict[str, Tensor]:
    """State and evidence after a whole run."""
    data = on(device, case.data())
    method, *_ = build(case, data)
    optimizer, scheduler = make_optimizer(method.to(device))
    fit(method, data, optimizer, scheduler, epochs=STOP)
    evidence = judge_labels(
        collect_evidence(method, data), data, method.num_classes, [str(i) for i in range(len(data))]
    ).evidence
    found = {key: torch.as_tensor(value[:]) for key in EVIDENCE if (value := getattr(evidence, key)) is not None}
    return found | {key: value.cpu() for key, value in method.state_dict().items()}


class Group:
    """`torch.distributed` of one process, which refuses what NCCL, the one for GPUs, would."""

    TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64, torch.uint8)

    def is_available() -> bool:
        return True

    def is_initialized() -> bool:
        return True

    def get_rank() -> int:
        return 0

    def get_world_size() -> int:
        return 1

    def all_reduce(x: Tensor) -> None:
        if not isinstance(x, pretend.Pretended) or x.dtype not in Group.TYPES or not x.is_contiguous():
            raise RuntimeError(f"no message for NCCL: {type(x).__name__}, {x.dtype}, {tuple(x.shape)}, {x.stride()}")

    def broadcast(x: Tensor, source: int) -> None:
        Group.all_reduce(x)

    def all_gather(into: list[Tensor], x: Tensor) -> None:
        Group.all_reduce(x)
        into[0].copy_(x)


def waits(case: Case, steps: int) -> dict[str, int]:
    """How often the program waits for the device in a run of so many steps an epoch, between its epochs aside."""
    data = on(pretend.NAME, case.data(16 * steps))
    method, *_ = build(case, data)
    optimizer, scheduler = make_optimizer(method.to(pretend.NAME))
    method.begin_epoch, method.end_epoch = uncounted(method.begin_epoch), uncounted(method.end_epoch)
    pretend.WAITS.clear()
    fit(method, data, optimizer, scheduler, epochs=STOP)
    return dict(pretend.WAITS)


def uncounted(function: Callable[..., None]) -> Callable[..., None]:
    def called(*args: Any) -> None:
        before = pretend.WAITS.copy()
        function(*args)
        pretend.WAITS.clear()
        pretend.WAITS.update(before)

    return called


def command() -> list[int]:
    """Exit codes of `mixnn train`, of the same with --resume, and of `mixnn evaluate`."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 60)
    images = random.integers(0, 60, (60, 16, 16, 3)) + 60 * labels[:, None, None, None]
    with tempfile.TemporaryDirectory() as folder:
        data, run = f"{folder}/data.npz", f"{folder}/run"
        np.savez(data, images=images.astype(np.uint8), labels=labels)
        device = ["--device", pretend.NAME]
        train = ["train", data, "--network", "mini", "--epochs", "3", "--batch-size", "16", "--out", run, *device]
        return [mixnn(words) for words in (train, [*train, "--resume"], ["evaluate", run, data, *device])]


def main() -> None:
    for case in CASES:
        told: dict[str, object] = {}
        try:
            told = {"differing": differing(case), "waits": [waits(case, steps) for steps in STEPS]}
        except RuntimeError as error:
            told["error"] = str(error)
        print(json.dumps({case.name: told}), flush=True)
    with contextlib.redirect_stdout(sys.stderr):
        codes = command()
    print(json.dumps({"command": codes}))


if __name__ == "__main__":
    library = pretend.install()
    with pretend.Numbers():
        main()
