"""What the tables of a run are predicted to take at most, beside the bytes that a small one allocates."""

import tracemalloc
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR
from torch.profiler import ProfilerActivity, profile

from mixnn import METHODS, Classifier, TrainData, fit
from mixnn.evidence.knn import vote_k
from mixnn.evidence.near_duplicates import compare_neighbors
from mixnn.evidence.neighbors import inverted_file, search
from mixnn.results.issues import stored_label_issues
from mixnn.runs.directory import RunDirectory
from mixnn.training import memory_estimate
from mixnn.training.evidence import collect_evidence, judge_labels
from mixnn.training.memory_estimate import Footprint

pytestmark = pytest.mark.slow

N, C, D = 8_000, 60, 8
WIDE = 256  # features, of which a table is far larger than of the probabilities
SOME = 1_500  # samples, where a method alone is measured
BESIDES = 120  # numbers a sample: inputs, labels, batches, and Python's own
EPOCHS = 3  # in which short options show all of a method
LOOSE = 2.5  # times as much as is allocated, a bound may be


def allocated(work):
    """The most bytes that `work` held at once, at least and at most: torch's profiler counts those of tensors, Python
    those of arrays, and nobody says whether both had their peak at the same time.
    """
    tracemalloc.start()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = torch.tensor([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).cumsum(0)
    return max(int(held.max()), arrays), int(held.max()) + arrays


class Phases:
    """An observer, of what a method does between its epochs."""

    def __init__(self):
        self.seen = set()

    def step_done(self, epoch, loss, samples):
        pass

    def epoch_done(self, epoch, loss, seconds):
        self.seen |= seconds.keys()


def trained(kind, samples, classes, width, batch_size, epochs, options, observers=()):
    labels = torch.arange(samples) % classes
    data = TrainData(torch.randn(samples, D), labels, batch_size=batch_size, seed=0, augment="none")
    networks = [
        Classifier(nn.Linear(D, width), width, classes, torch.zeros(D), torch.ones(D))
        for _ in range(kind.network_count)
    ]
    method = kind(networks, labels, classes, **options)
    optimizer = SGD(method.parameters(), lr=0.01)
    fit(method, data, optimizer, ConstantLR(optimizer), epochs=epochs, observers=observers)
    return method, data


@pytest.mark.parametrize("method", METHODS)
def test_a_method_holds_what_its_class_says(method, monkeypatch):
    """Besides inputs and labels, and where it makes evidence, what that takes (see below)."""
    kind = METHODS[method]
    stub_search(monkeypatch)
    trained(kind, 100, 4, 120, 50, EPOCHS, kind.short_options)  # loads what is loaded on first use
    said, measured = 0, 0.0
    for classes, width in ((4, 120), (120, 4)):
        phases = Phases()
        work = partial(trained, kind, SOME, classes, width, 50, EPOCHS, kind.short_options, [phases])
        values = allocated(work)[1] / SOME / 4
        if "evidence" in phases.seen:
            return
        held = classes * kind.tables.probs + width * kind.tables.features + kind.tables.values
        assert values <= held + BESIDES
        said, measured = said + held, measured + values
    assert said <= LOOSE * measured


@pytest.fixture
def limits(monkeypatch):
    """Of what does not grow with the number of samples as little as can be."""
    monkeypatch.setattr("mixnn.tables.topk_rows.CHUNK", 20_000)
    for name, limit in {"TOPK": 8, "DIRECTIONS": WIDE, "WIDE_VALUES": 0}.items():
        monkeypatch.setattr(f"mixnn.tables.topk_rows.{name}", limit)
    monkeypatch.setattr("mixnn.evidence.forward_pass.PCA_SAMPLES", 500)
    for place in ("training.evidence", "methods.posterior"):  # features are what takes memory, not the inputs
        monkeypatch.setattr(f"mixnn.{place}.is_embeddings", lambda data: False)
    monkeypatch.setattr(  # which has no pixels to look at here
        "mixnn.training.evidence.compare_neighbors",
        lambda nearest, distances, _: compare_neighbors(nearest, distances, None),
    )
    few = {
        "HEAD_CELLS": 200 * C,
        "HEAD_SAMPLES": 200,
        "HEAD_SAMPLES_PER_CLASS": 0,
        "MIN_HEAD_SAMPLES_PER_CLASS": 0,
        "MIN_SAMPLES": 200,
        "CELLS": 200 * C,
    }
    for name, limit in few.items():
        monkeypatch.setattr(f"mixnn.label_quality.sampling.{name}", limit)
    monkeypatch.setattr("mixnn.evidence.pca.SAMPLED", 500)
    stub_search(monkeypatch)


def stub_search(monkeypatch):
    """Without the scores of a search, which would be most of it here."""
    monkeypatch.setattr(
        "mixnn.evidence.knn.nearest_neighbors",
        lambda features, k, rows=slice(None), **_: torch.randint(len(features), (len(features[rows]), k)),
    )


CASES = [("ce", D, False), ("elr", D, False), ("posterior", D, False), ("posterior", D, True)]
CASES += [("posterior", WIDE, True), ("posterior", 2 * WIDE, True)]


@pytest.mark.parametrize(("method", "width", "packed"), CASES)
def test_it_bounds_what_is_allocated(method, width, packed, tmp_path, monkeypatch, limits):
    monkeypatch.setattr("mixnn.tables.topk_rows.LIMIT", 0 if packed else N * C)
    monkeypatch.setattr("mixnn.tables.topk_rows.VALUES", 0 if packed else N * width)
    run, kind = RunDirectory(tmp_path), METHODS[method]

    options = {"correct_from": 0} if method == "posterior" else {}

    def everything(samples):
        made, data = trained(kind, samples, C, width, 500, 1, options)
        run.write_evidence(judge_labels(collect_evidence(made, data), data, C, [""] * samples).evidence)
        stored_label_issues(run.read_evidence())

    everything(200)  # loads what is loaded on first use
    footprint = Footprint(N, C, width, vote_k(N, C), kind.tables)
    assert footprint.rounded == packed
    assert footprint.directions == min(width, WIDE)
    assert footprint.kept == (8 if packed else C)
    least, most = allocated(lambda: everything(N))
    assert least <= footprint.bytes <= LOOSE * most


def large(method, samples, classes, width):
    return Footprint(samples, classes, width, vote_k(samples, classes), METHODS[method].tables)


def test_a_large_run_fits():
    assert 2e9 < large("posterior", 2_400_000, 1000, 64).bytes < 8e9
    for width in (512, 2048):
        assert large("posterior", 2_400_000, 1000, width).bytes < 14e9
    assert large("mixnn", 2_400_000, 1000, 64).bytes > 60e9  # its own targets stay whole


def test_very_many_features_are_held_in_16_bits_and_searched_by_components():
    n, width = 1_000_000, 2048
    assert 2 * n * width < large("posterior", n, 14, width).bytes < 2.6 * 2 * n * width
    assert large("mixnn", n, 14, width).bytes > 4 * n * width  # it keeps what a pass finds as it is


def test_it_is_told_where_it_is_large_or_something_is_left_out():
    assert not large("posterior", 50_000, 10, 512).worth_telling
    assert large("posterior", 1_000_000, 100, 512).worth_telling
    text = str(large("posterior", 2_400_000, 1000, 64))
    assert text.startswith("tables of 2,400,000 samples × 1,000 classes: of each row the 32 largest shares are kept")
    assert text.endswith("GB")
    assert "own stay whole" not in text
    assert "the method's own stay whole" in str(large("mixnn", 2_400_000, 1000, 64))
    assert "kept" not in str(large("mixnn", 1_000_000, 100, 64))
    text = str(large("fine", 1_000_000, 14, 2048))
    assert "14 classes: 2,048 features of each sample are kept in 16 bits; the method's own stay whole: " in text


def test_it_knows_from_which_size_on_a_search_goes_by_components():
    """The estimate is told without torch, so it has these numbers of its own."""
    assert memory_estimate.ALL_PAIRS == search.ALL_PAIRS
    assert memory_estimate.SEARCHED == inverted_file.WIDE * inverted_file.COMPONENTS
