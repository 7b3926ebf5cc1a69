"""`mixnn demo`: cross-entropy and the default method on the same wrong labels, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mixnn.cli.parsing import Parser
from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.data.dataset import Dataset, Samples
from mixnn.data.feature_files import read_features
from mixnn.errors import InputError
from mixnn.results.issues import stored_label_issues
from mixnn.results.label_lists import issue_lines, summary_figures
from mixnn.runs.directory import RunDirectory
from mixnn.utils.console import counter, say, say_loading, show
from mixnn.utils.files import atomic_write
from mixnn.utils.processes import first_process

METHODS = {"ce": "cross-entropy", "posterior": "posterior"}
FEATURES = "features.npy"  # of the photos, beside the runs
HOLDOUT = 0.25  # of the photos, for accuracy
SHOWN = 10  # real label issues


def run(words: Sequence[str]) -> int:
    parser = Parser(prog="mixnn demo", description="Train on photos of clothes, 40 % of them given a random label.")
    parser.add_argument("--out", default="mixnn-demo", help="directory to write both runs to")
    parser.add_argument("--epochs", type=int, default=40, help="of each run")
    parser.add_argument("--noise", default="symmetric:0.4", help="wrong labels to add to the training part")
    parser.add_argument("--limit", type=int | None, default=None, help="take the first so many training photos")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, hold-out and noise")
    parser.add_argument("--device", default="auto", help="cpu, cuda …")
    given = parser.parse_words(words)
    check_out(Path(given.out))
    say_loading()

    from mixnn.data.readers import read_source
    from mixnn.training.run import check, train

    options = TrainOptions(
        epochs=given.epochs,
        noise=given.noise,
        limit=given.limit,
        seed=given.seed,
        device=given.device,
        data=DataOptions(holdout=HOLDOUT),
    )
    check(options)
    dataset = read_source("demo:")
    if given.limit is not None:  # of all photos only those are encoded that are used
        dataset = replace(dataset, train=dataset.train[: math.ceil(given.limit / (1 - HOLDOUT))])
    dataset = with_features(dataset, Path(given.out) / FEATURES, given.device)
    runs = {}
    for method, title in METHODS.items():
        say(f"{title}, {given.epochs} epochs")
        config = RunConfig("demo:", replace(options, method=method))
        # Resuming: a demo that was stopped goes on, one that is done is shown again.
        runs[method] = train(config, Path(given.out) / method, resume=True, dataset=dataset)
    if first_process():
        show_comparison(runs, RunDirectory(given.out), dataset.train)
    return 0


def with_features(dataset: Dataset, file: Path, device: str) -> Dataset:
    """The photos with features of the pretrained network, where there is one; made once for both runs, into `file`."""
    import torch

    from mixnn.data.batches import TrainData
    from mixnn.evidence.encoder import encode, encoder
    from mixnn.training.network import choose
    from mixnn.utils.devices import pick_device

    choice = choose(dataset.train)
    if choice.weights is None:
        return dataset
    if not file.exists():
        place = pick_device(device)
        images = torch.from_numpy(np.asarray(dataset.train.images)).permute(0, 3, 1, 2).to(place)
        data = TrainData(images, torch.from_numpy(dataset.train.labels).to(place))
        network, _ = encoder(choice.network, choice.weights, data)
        made = encode(network, data, counter("encoding photos"))
        with atomic_write(file) as temporary, open(temporary, "wb") as opened:
            np.save(opened, made.cpu().numpy())
    features = read_features(str(file), dataset.train.names)
    return replace(dataset, train=replace(dataset.train, features=features))


def check_out(out: Path) -> None:
    """Raise InputError where `out` holds anything but an earlier demo."""
    own = {*METHODS, FEATURES, "comparison.csv", "comparison.png"}
    others = (
        sorted(path.name for path in out.iterdir() if path.name not in own and path.name[0] != ".")
        if out.is_dir()
        else []
    )
    if others:
        held = "another run" if RunDirectory(out).config.exists() else f"other files ({others[0]})"
        raise InputError(f"--out {out} already holds {held}: choose a new directory, or the one of an earlier demo")


def show_comparison(runs: dict[str, RunDirectory], out: RunDirectory, photos: Samples) -> None:
    """Print the comparison and the real label issues; save them as comparison.csv and .png beside the runs."""
    from mixnn.results.report.comparison import draw_comparison

    rows = [{"method": METHODS[name], **summary_figures(run)} for name, run in runs.items()]
    out.write_table(out.path / "comparison.csv", rows)
    show("", f"{'':<14}{'accuracy on held-out photos':^28}{'wrong labels found':^24}")
    show(f"{'':<14}{'last epoch':>13}{'best epoch':>13}{'precision':>14}{'recall':>9}")
    for row in rows:
        cells = [f"{float(str(row[key])):.1%}" for key in ("last_accuracy", "best_accuracy", "precision", "recall")]
        show(f"{row['method']:<14}{cells[0]:>13}{cells[1]:>13}{cells[2]:>14}{cells[3]:>9}")

    run = runs["posterior"]
    evidence, classes, flagged = run.read_evidence(), run.read_classes(), real_issues(run)
    show("", f"{len(flagged)} label issues among the labels that were left as they came; the likeliest:")
    show(*issue_lines(evidence, stored_label_issues(evidence), classes, flagged[:SHOWN]))
    place = {name: i for i, name in enumerate(photos.names)}
    draw_comparison(
        {METHODS[name]: run for name, run in runs.items()},
        out.path / "comparison.png",
        f"the demo: photos of clothes, {int(run.read_arrays(run.noise)['flipped'].sum()):,} labels flipped",
        f"label issues among the labels that were left as they came ({len(flagged)} in all), given → suggested",
        flagged,
        {i: np.asarray(photos.images)[place[str(evidence.names[i])]] for i in flagged},
    )
    show("", f"run directories: {', '.join(str(run.path) for run in runs.values())} (labels.csv, overview.png, …)")
    show(f"side by side: {out.path / 'comparison.png'}, {out.path / 'comparison.csv'}")


def real_issues(run: RunDirectory) -> list[int]:
    """Flagged labels that nobody flipped: mistakes the photos came with, or ours. The worst first."""
    issues, flipped = stored_label_issues(run.read_evidence()), run.read_arrays(run.noise)["flipped"]
    real: list[int] = issues.ranking[(issues.is_label_issue & ~flipped)[issues.ranking]].tolist()
    return real
