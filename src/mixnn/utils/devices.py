"""The device that a run computes on."""

from __future__ import annotations

import os

import torch

from mixnn.errors import InputError


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
        torch.zeros(1, device=device).item()  # a meta device has no numbers
        if device.type == "cuda":
            torch.cuda.set_device(device)  # what nccl and new tensors use
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name!r} cannot be used here: use cpu, or auto") from error
    return device


def device_name(device: torch.device) -> str:
    """What the makers call it, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
