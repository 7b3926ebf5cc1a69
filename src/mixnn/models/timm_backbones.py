"""Bodies from the timm package, which is imported when one is asked for. Must not know: our networks, files of ours."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mixnn.errors import InputError

PREFIX = "timm:"
PATIENCE = 10  # seconds that the hub has to answer


def timm_factory(name: str) -> Callable[[int], tuple[nn.Module, int]]:
    """What builds `timm:NAME` without its head for an image size in pixels; weights are random.

    The body carries the pixel statistics that its pretrained weights were made with.

    Raises:
        InputError: timm cannot be imported or knows no such model; when called, that the size does not suit it.
    """
    model = name.removeprefix(PREFIX)
    config = configuration(model)

    def factory(size: int) -> tuple[nn.Module, int]:
        options = {"img_size": size} if config.fixed_input_size else {}  # others take any size
        try:
            body = import_timm().create_model(model, pretrained=False, num_classes=0, **options)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"network {name!r} cannot be built for {size} px ({reason}): it is made for "
                f"--data.image-size {config.input_size[-1]}"
            ) from error
        body.pixel_mean, body.pixel_std = config.mean, config.std
        return body, body.head_hidden_size  # of what it gives; `num_features` is before a second, hidden layer

    return factory


def import_timm() -> Any:
    """The package.

    Raises:
        InputError: it is missing, or the torchvision that it needs is missing or broken.
    """
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise InputError(f"networks {PREFIX}NAME need {error.name}: pip install 'mixnn[vision]'") from error
    except (ImportError, RuntimeError, OSError) as error:  # as its compiled half does not fit this torch
        reason = " ".join(str(error).split())
        raise InputError(
            f"networks {PREFIX}NAME: timm cannot be imported ({reason}): torchvision {version('torchvision')} has "
            f"to be the release and build (CPU, or CUDA x.y) made for torch {torch.__version__}: install that one"
        ) from error


def names_in_timm(name: str) -> str:
    """How timm's network of this name is written, or those called alike; where timm is missing, how it would be."""
    try:
        known = import_timm().list_models()
    except InputError:
        return f"if it is a network of timm, write {PREFIX}{name} (pip install 'mixnn[vision]')"
    if name in known:
        return f"timm has it: write {PREFIX}{name}"
    close = get_close_matches(name, known, n=3)
    return "timm has " + ", ".join(PREFIX + match for match in close) if close else "timm has none of that name either"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def cached_model() -> str | None:
    """`timm:NAME` of the weights that came last into the hub's cache on this machine; None where nothing is of use."""
    try:
        cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
        folders = list(cache.glob("models--timm--*"))
        if not folders or not import_timm():
            return None
    except (ImportError, InputError):
        return None
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        name = PREFIX + folder.name.removeprefix("models--timm--")
        with suppress(InputError):  # of a model that this timm does not know
            if in_cache(configuration(name.removeprefix(PREFIX))) is not None:
                return name
    return None


def in_cache(config: Any) -> Path | None:
    """The file with a model's pretrained weights, where the hub's cache on this machine has it."""
    hub = importlib.import_module("huggingface_hub")  # timm needs it
    for file in weight_files(config) if config.hf_hub_id and not config.custom_load else []:
        if isinstance(cached := hub.try_to_load_from_cache(config.hf_hub_id, file), str):
            return Path(cached)
    return None


def weight_files(config: Any) -> list[str]:
    """Names that the weights may have on the hub, the better first."""
    return [config.hf_hub_filename] if config.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]


def configuration(model: str) -> Any:
    """What timm notes of a model and its pretrained weights; `resnet50.a1_in1k` names one of several sets of weights.

    Raises:
        InputError: there is no such model, or no such weights.
    """
    timm = import_timm()
    try:
        return timm.get_pretrained_cfg(model, allow_unregistered=False)
    except RuntimeError as error:
        known = [*timm.list_models(), *timm.list_models(pretrained=True)]  # the latter with the names of weights
        close = ", ".join(PREFIX + match for match in get_close_matches(model, known, n=3))
        fix = f"did you mean {close}?" if close else "see `python -c 'import timm; print(timm.list_models())'`"
        raise InputError(f"network {PREFIX + model!r}: timm {timm.__version__} has no such model: {fix}") from error


def fetch(name: str) -> Path:
    """The file with the pretrained weights of `timm:NAME`, from the hub's cache on this machine or from the hub.

    Raises:
        InputError: there are none, or they cannot be fetched.
    """
    config = configuration(name.removeprefix(PREFIX))
    fix = "download them elsewhere and give --weights FILE"
    if not config.hf_hub_id or config.custom_load:
        raise InputError(f"network {name!r} has no weights on the hub that torch can read: give --weights FILE")
    if (cached := in_cache(config)) is not None:
        return cached
    hub, files = importlib.import_module("huggingface_hub"), weight_files(config)
    try:
        for file in files:
            # Asked first and once, as the download itself tries again and again for most of a minute.
            answer = hub.get_session().head(hub.hf_hub_url(config.hf_hub_id, file), timeout=PATIENCE)
            if answer.status_code != 404:
                return Path(hub.hf_hub_download(config.hf_hub_id, file))
    except Exception as error:  # the client's errors have no common class, and change from release to release
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"weights of {name!r} cannot be fetched from the hub ({reason}): {fix}") from error
    raise InputError(f"weights of {name!r}: {config.hf_hub_id} on the hub has no {' or '.join(files)}: {fix}")


def converted(tensors: Mapping[str, Tensor], body: nn.Module) -> Mapping[str, Tensor]:
    """Published weights as this timm body names and shapes them, position embeddings for its image size among them.

    timm keeps the conversion in the file of each architecture; where there is none, or it knows
    nothing of such weights, they come back as they are.
    """
    convert = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return tensors
    try:
        changed = convert(dict(tensors), body)
    except Exception:  # each architecture's own code, given weights it may never have seen
        return tensors
    return {name: tensor for name, tensor in changed.items() if isinstance(tensor, Tensor)}
