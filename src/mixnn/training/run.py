"""A whole run, from a configuration to its directory: prepare, train, collect evidence, judge, write.

Everything that costs time is on disk before anything is made from it, so that an error in the last
step loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch

from mixnn.config import AUTO, HEAD, RunConfig, TrainOptions
from mixnn.data.batches import TrainData
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.load import Loaded, input_shape, load
from mixnn.data.noise.injection import check_noise
from mixnn.data.read import read
from mixnn.data.records.encode import records_in, with_embeddings
from mixnn.distributed.ranks import barrier, process_group, rank, world_size
from mixnn.errors import InputError, ResultsError
from mixnn.evidence.encoder import encoded, encoder, with_features
from mixnn.evidence.forward_pass import is_embeddings
from mixnn.evidence.held_out_labels import MEMORIZATION_GAP
from mixnn.evidence.neighbors.brute_force import silent
from mixnn.methods.base import Method
from mixnn.models.classifier import Classifier, stacked, try_network
from mixnn.models.saved import save_model
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.training.build import build_method, build_optimizer, with_defaults
from mixnn.training.checkpoint import Checkpoint
from mixnn.training.evidence import Judged, collect_evidence, judge_labels
from mixnn.training.loop import Observer, fit
from mixnn.training.metrics import Recorder, count_predictions
from mixnn.training.network import check_network, with_network
from mixnn.training.operations import OperationCounter, total
from mixnn.training.outputs import Steps, write_results
from mixnn.training.progress import TrainingScreen, say_opening
from mixnn.training.record import begin, write_ending
from mixnn.training.resume import check_directory
from mixnn.utils.console import counter, note, say
from mixnn.utils.devices import pick_device
from mixnn.utils.memory import keep_freed_memory

FOR_LISTS = "neighbors for the lists"  # what a run says of the search for them


def train(config: RunConfig, out: str | Path, *, resume: bool = False, dataset: Dataset | None = None) -> RunDirectory:
    """Train as `config` says and fill the run directory `out`.

    Args:
        resume: go on where `out` stopped; start if it holds nothing yet.
        dataset: what `config.source` holds, if it was read already.

    Raises:
        InputError: something given is wrong; nothing was trained.
    """
    config, run = with_defaults(config), RunDirectory(out)
    check(config.options)
    device = pick_device(config.options.device)
    if device.type == "cpu":
        keep_freed_memory()
    run.check_outside(config.source)
    with process_group(device), run.locked() if rank() == 0 else nullcontext():
        config = check_directory(run, config, resume)
        barrier()  # no rank writes before all have looked
        first, resumed = rank() == 0, resume and run.checkpoint.exists()
        dataset, options = prepare(config.source, dataset, config.options, trained=resumed)
        config = replace(config, options=options)
        loaded = load(dataset, options.for_reading(), device)
        check_batch(loaded.train)
        encoding, seen = frozen(options, loaded) if options.freeze else (None, loaded)
        checkpoint = build(run.checkpoint, config, seen, device, trained=resumed)
        start, method, data = checkpoint.load() if resumed else 0, checkpoint.method, seen.train
        steps = Steps(shown=first)
        if first:
            begin(run, config.to_dict(), loaded, method)
            name = f"{HEAD} on the features of {options.network}" if encoding else options.network
            say_opening(seen, method, name, range(start, options.epochs))
        operations = OperationCounter(method.classifiers, next(data.inputs(torch.arange(2))))
        train_epochs(run, seen, checkpoint, range(start, options.epochs), options.seed, operations)
        if first:
            with steps.writing(run.model):
                write_model(run.model, method.classifiers, encoding, options.network, loaded)
        # The full pass needs all ranks, and they wait in the middle of it: end where it fails, so that they do not.
        with steps.writing(run.evidence, fatal=world_size() > 1):
            names, unlabeled = loaded.dataset.train.names, loaded.dataset.unlabeled
            judged = judge_labels(
                collect_evidence(method, data),
                loaded.train,
                method.num_classes,
                names,
                unlabeled,
                records=loaded.dataset.train.records,
            )
            write_evidence(run, judged, method, seen.heldout, embeddings=is_embeddings(data))
        needed = total(checkpoint.rows, operations.take())
        if first:
            write_results(run, loaded, steps)
            with steps.writing(run.environment):
                write_ending(run, method.auto_selected, device, needed)
    if steps.failed:
        raise ResultsError(
            f"training is done and kept in {run.checkpoint}, but these could not be written: "
            f"{'; '.join(steps.failed)}. Repeat the command with --resume to write them again."
        )
    return run


def check(options: TrainOptions) -> None:
    """Raise InputError for what can be seen to be wrong before minutes go into reading images."""
    options.check()
    check_network(options)
    if options.noise is not None:
        check_noise(options.noise)


def prepare(
    source: str, dataset: Dataset | None, options: TrainOptions, *, trained: bool
) -> tuple[Dataset, TrainOptions]:
    """Names and labels, and the network for them; what is wrong with it is said before images are read.

    Args:
        trained: whether a checkpoint has the weights.
    """
    if rank() == 0 and dataset is None:
        say(f"mixnn: reading {source} …")
    dataset = read(source, options.data) if dataset is None else dataset
    if records_in(dataset) is not None:
        if options.network == AUTO:
            note(f"a network for {dataset.train.noun}s: --network mlp, on features that stay as they are")
        dataset = with_embeddings(dataset, options.data.text_encoder, options.seed)
    options = with_network(options, dataset.train)
    weights = None if trained and not options.freeze else options.weights
    try_network(options.network, input_shape(dataset.train, options.data), weights)
    return dataset, options


def frozen(options: TrainOptions, loaded: Loaded) -> tuple[Classifier, Loaded]:
    """The pretrained network, and `loaded` as its features, which are made here unless they are there already."""
    network, _ = encoder(options.network, options.weights, loaded.train)

    def features(data: TrainData, samples: Samples, name: str) -> TrainData:
        if samples.features is not None:
            return with_features(data, torch.from_numpy(samples.features).to(data.labels.device))
        return encoded(network, data, counter(f"encoding {name} images") if rank() == 0 else silent)

    train, heldout = features(loaded.train, loaded.dataset.train, "train"), None
    if loaded.heldout is not None and loaded.dataset.heldout is not None:
        heldout = features(loaded.heldout, loaded.dataset.heldout, loaded.dataset.heldout_name)
    return network, loaded._replace(train=train, heldout=heldout)


def build(path: Path, config: RunConfig, loaded: Loaded, device: torch.device, *, trained: bool) -> Checkpoint:
    """The method and its optimizer, with the file that keeps both, which has the weights where it is `trained`."""
    options = config.for_method()
    options = replace(options, weights=None) if trained else options
    method = build_method(options, loaded.train, len(loaded.dataset.classes), device)
    optimizer, scheduler = build_optimizer(method, config.options.for_optimizer())
    return Checkpoint(path, method, optimizer, scheduler, loaded.fingerprint, config.to_dict())


def check_batch(data: TrainData) -> None:
    """Raise InputError where a batch norm would have a single sample."""
    if data.smallest_batch < 2:
        raise InputError(f"--batch-size {data.batch_size} gives a process one sample a step: use a larger one")


def input_size(data: TrainData) -> int:
    """Pixels of what the network sees; the width of embeddings."""
    return next(data.inputs(torch.arange(1))).shape[-1]


def write_model(
    path: Path, networks: Sequence[Classifier], encoder: Classifier | None, name: str, loaded: Loaded
) -> None:
    """The networks as a file; those on features together with the one that made these."""
    if encoder is not None:  # for each its own, as safetensors refuses what networks share
        networks = [stacked(deepcopy(encoder), network) for network in networks]
    size, top = input_size(loaded.train), None if encoder is None else HEAD
    save_model(path, networks, name, loaded.image_size, size, loaded.intensity, *loaded.scale, top=top)


def train_epochs(
    run: RunDirectory,
    loaded: Loaded,
    checkpoint: Checkpoint,
    epochs: range,
    seed: int,
    operations: OperationCounter,
) -> None:
    """Train, with metrics, a checkpoint and a line on the screen after each of `epochs`."""
    dataset, data, method, start = loaded.dataset, loaded.train, checkpoint.method, epochs.start
    true_labels = None if dataset.original is None else torch.from_numpy(dataset.original).to(data.labels.device)
    rows, history = checkpoint.rows, checkpoint.history
    recorder = Recorder(run, method, loaded.heldout, dataset.heldout_name, operations, true_labels, rows, history)
    screen = TrainingScreen(method, epochs, data.samples_per_epoch, recorder.rows, dataset.train.noun)
    # The checkpoint comes after the row it belongs to: a resumed run drops rows that have none.
    observers: list[Observer] = [recorder, checkpoint, *([screen] if rank() == 0 else [])]
    optimizer, scheduler = checkpoint.optimizer, checkpoint.scheduler
    try:
        with screen if rank() == 0 else nullcontext():
            fit(method, data, optimizer, scheduler, epochs=epochs.stop, start=start, seed=seed, observers=observers)
    except InputError:
        if rank() == 0 and not run.metrics.exists():
            run.discard()  # not one epoch is done: leave the place free for the next try
        raise


def write_evidence(
    run: RunDirectory, judged: Judged, method: Method, heldout: TrainData | None, *, embeddings: bool
) -> None:
    """Keep what was judged, with a count of the predictions for what was held out, for which all ranks are needed."""
    method.auto_selected[FOR_LISTS] = judged.chosen["neighbors"]
    counts = None if heldout is None else count_predictions(method, heldout)
    if rank() == 0:
        run.write_evidence(replace(judged.evidence, heldout=counts))
        if counts is not None and counts.sum() and not embeddings:
            warn_if_memorized(method, judged.evidence, counts.trace() / counts.sum())
        say(f"{FOR_LISTS}: {method.auto_selected[FOR_LISTS]}")


def warn_if_memorized(method: Method, evidence: Evidence, unseen: float) -> None:
    """Say so where the network knows far more of the given labels than of the held-out ones: its list confirms them."""
    known = evidence.given >= 0
    seen = float((evidence.probs.argmax(1) == evidence.given)[known].mean())
    if seen - unseen > MEMORIZATION_GAP:
        text = f"its features have seen the labels ({seen:.0%} of these are known, {unseen:.0%} of those held out)"
        method.auto_selected["label list"] = text
        say(f"label list: {text}, so it misses wrong labels: `mixnn find DATA` judges by features that have not")
