"""What the tables of a run are predicted to take, beside the bytes that a small one allocates."""

import tracemalloc

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR
from torch.profiler import ProfilerActivity, profile

from mixnn import METHODS, Classifier, TrainData, fit
from mixnn.evidence.knn import vote_k
from mixnn.evidence.neighbors.sharded import searched_bytes
from mixnn.results.issues import judge
from mixnn.runs.directory import RunDirectory
from mixnn.training.evidence import collect_evidence
from mixnn.training.memory_estimate import Footprint

N, C, D = 8_000, 60, 8
WIDE = 256  # features, of which a table is far larger than of the shares
OPTIONS = {"posterior": {"correct_from": 0}, "mixnn": {"warmup": 0, "mixup_until": 0, "correct_from": 0}, "ce": {}}
CASES = [(method, "pass", packed, D) for method in OPTIONS for packed in (False, True)]
CASES += [("mixnn", "steps", False, D)]
OPTIONS |= {"fine": {"warmup": 0}, "ssr": {"warmup": 0}, "elr": {}}
CASES += [("posterior", "pass", True, WIDE), ("posterior", "pass", True, 2 * WIDE), ("mixnn", "pass", True, WIDE)]
CASES += [(method, "pass", False, WIDE) for method in ("fine", "ssr", "elr")]


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


@pytest.mark.parametrize(("method", "bank", "packed", "width"), CASES)
def test_it_is_what_is_allocated_within_a_factor_of_one_and_a_half(method, bank, packed, width, tmp_path, monkeypatch):
    monkeypatch.setattr("mixnn.tables.topk_rows.CHUNK", 20_000)
    monkeypatch.setattr("mixnn.tables.topk_rows.LIMIT", 0 if packed else N * C)
    monkeypatch.setattr("mixnn.tables.topk_rows.KEPT", 8)
    monkeypatch.setattr("mixnn.tables.topk_rows.DIRECTIONS", WIDE)
    monkeypatch.setattr("mixnn.tables.topk_rows.WIDE_VALUES", 0)
    monkeypatch.setattr("mixnn.evidence.forward_pass.LOOKED_AT", 500)
    monkeypatch.setattr("mixnn.tables.topk_rows.VALUES", 0 if packed else N * width)
    for place in (
        "training.evidence",
        "methods.posterior",
    ):  # the network's features are what takes memory, not its inputs
        monkeypatch.setattr(f"mixnn.{place}.is_embeddings", lambda data: False)
    limits = {"HEAD_CELLS": 200 * C, "HEAD_SAMPLES": 200, "EACH": 0, "FEW_EACH": 0, "FEWEST": 200, "CELLS": 200 * C}
    for name, limit in limits.items():  # what heads are fitted to does not grow with N
        monkeypatch.setattr(f"mixnn.label_quality.sampling.{name}", limit)
    monkeypatch.setattr("mixnn.evidence.pca.SAMPLED", 500)
    monkeypatch.setattr(  # nor do the scores of a search, which would be most of it here
        "mixnn.evidence.neighbors.sharded.nearest_neighbors",
        lambda features, k, rows, **_: torch.randint(len(features), (len(features[rows]), k)),
    )
    run = RunDirectory(tmp_path)
    options = OPTIONS[method] | ({"bank": bank} if bank == "steps" else {})

    def everything(samples):
        labels = torch.arange(samples) % C
        data = TrainData(torch.randn(samples, D), labels, batch_size=500, seed=0, augment="none")
        network = Classifier(nn.Linear(D, width), width, C, torch.zeros(D), torch.ones(D))
        trained = METHODS[method](network, labels, C, **options)
        optimizer = SGD(trained.parameters(), lr=0.01)
        fit(trained, data, optimizer, ConstantLR(optimizer), epochs=1)
        run.write_evidence(collect_evidence(trained, data, [""] * samples))
        judge(run.read_evidence())

    everything(200)  # loads what is loaded on first use
    footprint = Footprint(method, N, C, width, bank == "steps", vote_k(N, C), searched=0)
    assert footprint.rounded == packed
    assert footprint.directions == min(width, WIDE)
    assert footprint.kept == (8 if packed else C)
    least, most = allocated(lambda: everything(N))
    assert least / 1.5 < footprint.bytes
    assert footprint.bytes < 1.5 * most


def large(method, samples, classes, width, bank=False):
    neighbors = vote_k(samples, classes)
    return Footprint(method, samples, classes, width, bank, neighbors, searched_bytes(samples, width, neighbors))


def test_a_large_run_fits():
    assert 2e9 < large("posterior", 2_400_000, 1000, 64).bytes < 6e9
    for width in (512, 2048):
        assert large("posterior", 2_400_000, 1000, width).bytes < 13e9
    assert large("mixnn", 2_400_000, 1000, 64).bytes > 60e9  # its own targets stay whole
    assert large("mixnn", 2_400_000, 1000, 64).bytes == large("my.module:Mine", 2_400_000, 1000, 64).bytes


def test_very_many_features_are_held_in_16_bits_and_searched_by_components():
    n, width = 1_000_000, 2048
    assert searched_bytes(n, width, 20) <= 4 * 64
    assert 2 * n * width < large("posterior", n, 14, width).bytes < 2.6 * 2 * n * width
    assert large("mixnn", n, 14, width).bytes > 4 * n * width  # it keeps what a pass finds as it is


def test_it_is_told_where_it_is_large_or_something_is_left_out():
    assert not large("posterior", 50_000, 10, 512).worth_telling
    assert large("posterior", 1_000_000, 100, 512).worth_telling
    text = str(large("posterior", 2_400_000, 1000, 64))
    assert text.startswith("tables of 2,400,000 samples × 1,000 classes: of each row the 32 largest shares are kept")
    assert text.endswith("GB")
    assert "those of mixnn itself stay whole" in str(large("mixnn", 2_400_000, 1000, 64))
    assert "kept" not in str(large("mixnn", 1_000_000, 100, 64))
    text = str(large("fine", 1_000_000, 14, 2048))
    assert "14 classes: 2,048 features of each sample are kept in 16 bits; those of fine itself stay whole: " in text
    assert "whole" not in str(large("posterior", 1_000_000, 14, 2048))
    assert "those of posterior itself stay whole" in str(large("posterior", 1_000_000, 14, 2048, bank=True))


def test_a_bank_is_there_three_times_while_it_is_written():
    n, classes, width = 1_000_000, 100, 512
    without, with_bank = (large("mixnn", n, classes, width, bank).bytes for bank in (False, True))
    in_epochs = n * (3 * 4 * (width + classes) + 4 * width + 7 * 4 * classes)
    assert without < in_epochs < with_bank < 1.1 * in_epochs
