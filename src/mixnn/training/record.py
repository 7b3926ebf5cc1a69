"""What stands beside the results of a run: its settings, data, noise, machine, and what it chose by itself.

Must not know: methods by name, how results are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mixnn.data.load import Loaded
from mixnn.data.records.encode import encoder_arrays
from mixnn.errors import InputError
from mixnn.evidence.knn import vote_k
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier
from mixnn.runs.directory import RunDirectory
from mixnn.runs.environment import environment
from mixnn.training.memory_estimate import Footprint
from mixnn.utils.console import say
from mixnn.utils.devices import device_name
from mixnn.utils.memory import peak_memory


def begin(run: RunDirectory, settings: Mapping[str, Any], loaded: Loaded, method: Method) -> None:
    """Write what a training is, and say what a person should know before it takes its time."""
    if method.network.pretrained is not None:
        say(f"mixnn: {settings['weights']}: {method.network.pretrained}")
    samples, classes, width = len(loaded.train), method.num_classes, method.network.head.in_features
    footprint = Footprint(samples, classes, width, vote_k(samples, classes), method.tables)
    run.write_config(settings)
    write_environment(run, settings["seed"], method.network, footprint)
    write_data(run, loaded)
    if method.main_phase_start >= settings["epochs"]:
        say(
            f"mixnn: --epochs {settings['epochs']} is too short for {settings['method']}, whose own way begins after "
            f"epoch {method.main_phase_start}: raise it, or shorten the preparation (`mixnn methods`)"
        )
    if footprint.worth_telling:
        say(f"mixnn: {footprint}")


def write_environment(run: RunDirectory, seed: int, network: Classifier, footprint: Footprint) -> None:
    """Versions and machine; a run that was stopped lists where it went on, since these may differ."""
    precision = "bfloat16" if network.bf16 else "float32"
    now = environment(seed, device_name(network.mean.device), precision) | {
        "tables_gb": round(footprint.bytes / 1e9, 3),
        "shares_kept": footprint.kept,
        "threads": torch.get_num_threads(),
        "features_rounded": footprint.rounded,
        "feature_directions": footprint.directions,
    }
    before = read_environment(run)
    run.write_json(run.environment, before | {"resumed": [*before.get("resumed", []), now]} if before else now)


def read_environment(run: RunDirectory) -> dict[str, Any]:
    """What stands there already; nothing where there is no such file, or it is damaged, which is said."""
    if not run.environment.exists():
        return {}
    try:
        content = run.read_json(run.environment)
        if isinstance(content, dict) and isinstance(content.get("resumed", []), list):
            return content
        reason = f"{run.environment} is damaged"
    except InputError as error:
        reason = str(error).partition(": ")[0]
    say(f"mixnn: {reason}: it is written anew, with the machine of now")
    return {}


def write_data(run: RunDirectory, loaded: Loaded) -> None:
    """Classes, arrays of labels, noise, and images that cannot be read."""
    dataset = loaded.dataset
    run.write_json(run.classes, dataset.classes)
    if (records := dataset.train.records) is not None:
        run.write_json(run.records, {"noun": records.noun, "columns": records.columns, "texts": records.shown()})
        if dataset.encoder is not None:
            run.write_arrays(run.encoder, encoder_arrays(dataset.encoder, records))
    if dataset.label_arrays:
        run.write_json(run.label_arrays, [array._asdict() for array in dataset.label_arrays])
    if loaded.noise_record is not None:
        run.write_json(run.noise_record, loaded.noise_record)
    run.unreadable.unlink(missing_ok=True)  # a start that was stopped may have written one
    if loaded.unreadable:
        run.write_table(run.unreadable, loaded.unreadable)
    if dataset.original is not None:
        flipped = dataset.original != dataset.train.labels
        run.write_arrays(run.noise, {"original": dataset.original, "flipped": flipped})


def write_ending(
    run: RunDirectory, auto_selected: Mapping[str, str], device: torch.device, operations: Mapping[str, int]
) -> None:
    """What the method chose by itself, operations, and the peak of memory of the device that trained, beside the bound.

    Args:
        operations: of the networks, see `mixnn.training.operations`.
    """
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()
    now = read_environment(run)
    # A run that only wrote its lists anew has not trained.
    now["auto_selected"] = now.get("auto_selected", {}) | auto_selected
    now["operations"] = dict(operations)
    run.write_json(run.environment, now if peak is None else now | {"peak_memory_gb": round(peak / 1e9, 3)})
