"""A whole run, from a configuration to its directory: read, train, judge, write.

Everything that costs time is on disk before anything is made from it, so that an error in the last
step loses nothing.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.dataset import Dataset
from mixnn.data.load import Loaded, load
from mixnn.data.noise.injection import check_noise
from mixnn.data.read import read
from mixnn.distributed.ranks import barrier, process_group, rank, world_size
from mixnn.errors import InputError
from mixnn.evidence.feature_bank import Bank
from mixnn.evidence.held_out_labels import BY_HEART
from mixnn.evidence.knn import vote_k
from mixnn.evidence.neighbors.sharded import searched_bytes
from mixnn.evidence.targets import is_embeddings
from mixnn.methods.base import Method
from mixnn.models.classifier import network_factory
from mixnn.models.saved import save_model
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.environment import environment
from mixnn.training.build import build_method, build_optimizer, with_defaults
from mixnn.training.checkpoint import Checkpoint
from mixnn.training.evidence import FOR_LISTS, collect_evidence
from mixnn.training.loop import Observer, fit
from mixnn.training.memory_estimate import Footprint
from mixnn.training.metrics import Recorder, count_predictions
from mixnn.training.outputs import Step, result_steps, write_steps
from mixnn.training.progress import TrainingScreen
from mixnn.utils.console import say
from mixnn.utils.devices import pick_device
from mixnn.utils.files import read_yaml
from mixnn.utils.memory import keep_freed_memory, peak_memory

ANYWHERE = {"data.store", "data.cache_dir", "data.workers"}  # settings that change no result


def train(config: RunConfig, out: str | Path, *, resume: bool = False, dataset: Dataset | None = None) -> RunDirectory:
    """Train as `config` says and fill the run directory `out`.

    Args:
        resume: go on where `out` stopped; start if it holds nothing yet.
        dataset: what `config.source` holds, if it was read already.

    Raises:
        InputError: something given is wrong; nothing was trained.
    """
    config = with_defaults(config)
    options = config.options
    options.check()
    network_factory(options.network)  # before minutes go into reading images
    if options.noise is not None:
        check_noise(options.noise)
    run = RunDirectory(out)
    device = pick_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    with process_group(device):
        check_directory(run, config, resume)
        barrier()  # no rank writes before all have looked
        loaded = load(read(config.source, options.data) if dataset is None else dataset, options, device)
        method = build_method(config, loaded.train, len(loaded.dataset.classes), device)
        optimizer, scheduler = build_optimizer(method, options)
        checkpoint = Checkpoint(run.checkpoint, method, optimizer, scheduler, loaded.fingerprint)
        start = checkpoint.load() if resume else 0
        if loaded.train.smallest_batch < 2:
            raise InputError(f"--batch-size {options.batch_size} gives a process one sample a step: use a larger one")
        with run.at_work() if rank() == 0 else nullcontext():
            failed = work(run, config, loaded, method, checkpoint, start)
    if failed:
        print(
            f"mixnn: training is done and kept in {run.checkpoint}, but these could not be written: "
            f"{'; '.join(failed)}. Repeat the command with --resume to write them again.",
            file=sys.stderr,
        )
        raise SystemExit(1)
    return run


def check_directory(run: RunDirectory, config: RunConfig, resume: bool) -> None:
    """Whether `run` is a new directory, or the same run's.

    Raises:
        InputError: `out` holds another run, or this one with other settings, or lies inside the data.
    """
    if Path(config.source).is_dir() and run.path.resolve().is_relative_to(Path(config.source).resolve()):
        raise InputError(f"--out {run.path} lies inside the images {config.source}: choose a place outside")
    if resume:
        run.check_trained()
    if not (resume and run.config.exists()):
        run.check_free()
        return
    stored, now = read_yaml(run.config), flat(config.to_dict())
    if "method" in stored and "source" in stored:
        stored = with_defaults(RunConfig.from_dict(stored)).to_dict()  # options that came in since have their defaults
    # However it is written, and wherever files and decoded images stay: the data is compared by its hash.
    same = {"source": config.source} | {key: value for key, value in now.items() if key in ANYWHERE}
    if all(str(settings.get("noise")).startswith("file:") for settings in (stored, now)):
        same["noise"] = now["noise"]
    stored = flat(stored) | same
    for key in sorted(stored.keys() | now.keys()):
        if stored.get(key) != now.get(key):
            raise InputError(
                f"--resume: {run.path} was trained with {key} {stored.get(key)!r}, now it is {now.get(key)!r}: "
                "give the same settings, or a new --out"
            )


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Sections as dotted names: {"mixnn": {"alpha": 0.9}} as {"mixnn.alpha": 0.9}."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        result |= {f"{key}.{name}": x for name, x in value.items()} if isinstance(value, dict) else {key: value}
    return result


def work(
    run: RunDirectory, config: RunConfig, loaded: Loaded, method: Method, checkpoint: Checkpoint, start: int
) -> list[str]:
    """Train from epoch `start` on, and write what is made of it. What could not be written, in words."""
    if rank() == 0:
        if method.network.pretrained is not None:
            print(f"mixnn: {config.options.weights}: {method.network.pretrained}", file=sys.stderr)
        write_beginning(run, config, loaded, method)
        warn_if_short(method, config.options)
        if (footprint := footprint_of(config, loaded, method)).worth_telling:
            print(f"mixnn: {footprint}", file=sys.stderr)
    try:
        train_epochs(run, config, loaded, method, checkpoint, start)
    except InputError:
        if rank() == 0 and not run.metrics.exists():
            run.discard()  # not one epoch is done: leave the place free for the next try
        raise
    return finish(run, config, loaded, method)


def write_beginning(run: RunDirectory, config: RunConfig, loaded: Loaded, method: Method) -> None:
    dataset = loaded.dataset
    run.write_config(config.to_dict())
    device = method.network.mean.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    now = environment(config.options.seed, name, "bfloat16" if method.network.bf16 else "float32")
    footprint = footprint_of(config, loaded, method)
    now |= {"tables_gb": round(footprint.bytes / 1e9, 3), "shares_kept": footprint.kept}
    now |= {
        "threads": torch.get_num_threads(),
        "features_rounded": footprint.rounded,
        "feature_directions": footprint.directions,
    }
    before = run.read_json(run.environment) if run.environment.exists() else None
    # A run that was stopped lists where it went on: versions and machine may differ.
    run.write_json(run.environment, before | {"resumed": [*before.get("resumed", []), now]} if before else now)
    run.write_json(run.classes, dataset.classes)
    if loaded.noise_record is not None:
        run.write_json(run.noise_record, loaded.noise_record)
    run.unreadable.unlink(missing_ok=True)  # a start that was stopped may have written one
    if loaded.unreadable:
        run.write_table(run.unreadable, loaded.unreadable)
    if dataset.original is not None:
        flipped = dataset.original != dataset.train.labels
        run.write_arrays(run.noise, {"original": dataset.original, "flipped": flipped})


def footprint_of(config: RunConfig, loaded: Loaded, method: Method) -> Footprint:
    width = method.network.head.in_features
    bank = any(isinstance(part, Bank) and part.kept for part in method.modules())
    samples, classes = len(loaded.train), method.num_classes
    neighbors = vote_k(samples, classes)
    searched = searched_bytes(samples, width, neighbors)
    return Footprint(config.options.method, samples, classes, width, bank, neighbors, searched)


def warn_if_short(method: Method, options: TrainOptions) -> None:
    """Say so where a run ends before its method begins."""
    if method.first_own_epoch >= options.epochs:
        print(
            f"mixnn: --epochs {options.epochs} is too short for {options.method}, whose own way begins after epoch "
            f"{method.first_own_epoch}: raise it, or shorten the preparation (`mixnn train --help`)",
            file=sys.stderr,
        )


def train_epochs(
    run: RunDirectory, config: RunConfig, loaded: Loaded, method: Method, checkpoint: Checkpoint, start: int
) -> None:
    dataset, data = loaded.dataset, loaded.train
    true_labels = None if dataset.original is None else torch.from_numpy(dataset.original).to(data.labels.device)
    rows = run.read_table(run.metrics)[:start] if start else []
    recorder = Recorder(run, method, loaded.heldout, dataset.heldout_name, true_labels, rows)
    screen = TrainingScreen(
        epochs=config.options.epochs,
        start=start,
        samples=data.samples_per_epoch,
        ranks=world_size(),
        rows=recorder.rows,
        choices=method.choices,
        under_way=method.under_way,
    )
    # The checkpoint comes after the row it belongs to: a resumed run drops rows that have none.
    observers: list[Observer] = [recorder, checkpoint, *([screen] if rank() == 0 else [])]
    with screen if rank() == 0 else nullcontext():
        fit(
            method,
            data,
            checkpoint.optimizer,
            checkpoint.scheduler,
            epochs=config.options.epochs,
            start=start,
            seed=config.options.seed,
            observers=observers,
        )


def finish(run: RunDirectory, config: RunConfig, loaded: Loaded, method: Method) -> list[str]:
    """The model first, then what is made of it; a step that fails does not stop the next. What failed, in words."""
    size = next(loaded.train.inputs(torch.arange(1))).shape[-1]
    model = partial(save_model, run.model, method.classifiers, config.options.network, loaded.image_size, size)
    steps: list[Step] = [(run.evidence.name, lambda: write_evidence(run, loaded, method))]
    if rank() == 0:
        steps = [(run.model.name, model), *steps, *result_steps(run, loaded)]
        steps.append((run.environment.name, lambda: write_ending(run, method)))
    # The full pass needs all ranks, and they wait in the middle of it: end where it fails, so that they do not.
    return write_steps(steps, shown=rank() == 0, fatal=[run.evidence.name] if world_size() > 1 else [])


def write_evidence(run: RunDirectory, loaded: Loaded, method: Method) -> None:
    evidence = collect_evidence(method, loaded.train, loaded.dataset.train.names, loaded.dataset.unlabelled)
    heldout = None if loaded.heldout is None else count_predictions(method, loaded.heldout)
    if rank() == 0:
        run.write_evidence(replace(evidence, heldout=heldout))
        if heldout is not None and heldout.sum() and not is_embeddings(loaded.train):
            tell_if_by_heart(method, evidence, heldout.trace() / heldout.sum())
        say(f"{FOR_LISTS}: {method.choices[FOR_LISTS]}")


def tell_if_by_heart(method: Method, evidence: Evidence, unseen: float) -> None:
    """Say so where the network knows far more of the given labels than of the held-out ones: its list confirms them."""
    known = evidence.given >= 0
    seen = float((evidence.probs.argmax(1) == evidence.given)[known].mean())
    if seen - unseen > BY_HEART:
        text = f"its features have seen the labels ({seen:.0%} of these are known, {unseen:.0%} of those held out)"
        method.choices["label list"] = text
        say(f"label list: {text}, so it misses wrong labels: `mixnn find DATA` judges by features that have not")


def write_ending(run: RunDirectory, method: Method) -> None:
    """What the method chose by itself, and the peak of memory of the device that trained, beside what was predicted."""
    device = method.network.mean.device
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()
    now = run.read_json(run.environment)
    now["choices"] = now.get("choices", {}) | method.choices  # a run that only wrote its lists anew has not trained
    run.write_json(run.environment, now if peak is None else now | {"peak_memory_gb": round(peak / 1e9, 3)})
