"""A run whose tables are top-k rows, as those of very many samples and classes are: nothing else changes."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from contract.cases import CLASSES, EPOCHS, build, make_data, method_case
from contract.command import SMALL, assert_same_outcome, read_csv, succeed
from contract.test_ranks import PLAIN
from contract.test_resume import interrupt
from torch import Tensor, multiprocessing

import mixnn.tables.topk_rows
from mixnn import fit
from mixnn.distributed.ranks import broadcast_from_rank0
from mixnn.evidence.forward_pass import eval_pass
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.tables.topk_rows import TopkTable
from mixnn.tables.topk_tensors import to_dense
from mixnn.training.evidence import collect_evidence, judge_labels

KINDS, PER_KIND, KEPT = 12, 30, 5
TRAIN = [*SMALL[2:], "--network", "mlp", "--epochs", "4", "--posterior.correct-from", "1", "--noise", "symmetric:0.2"]
LIMITS = {"LIMIT": 0, "CHUNK": 200, "VALUES": 0, "WIDE_VALUES": 0, "DIRECTIONS": 24}
RANKS = 2


def pack_all(kept: int) -> None:
    for name, value in (LIMITS | {"TOPK": kept}).items():
        setattr(mixnn.tables.topk_rows, name, value)


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOPK", *LIMITS):
        monkeypatch.setattr(
            mixnn.tables.topk_rows, name, getattr(mixnn.tables.topk_rows, name)
        )  # so that they are put back


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """Embeddings around a point for each class."""
    random = np.random.default_rng(0)
    labels = np.arange(KINDS * PER_KIND) % KINDS
    points = random.normal(size=(KINDS, 16))[labels] * 3 + random.normal(size=(len(labels), 16))
    np.savez(tmp_path / "points.npz", x=points.astype(np.float32), y=labels)
    return tmp_path / "points.npz"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["posterior", "ce", "elr", "dividemix"])
def test_a_run_goes_from_images_to_other_tools(method: str, points: Path, tmp_path: Path) -> None:
    whole, run = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "run")
    options = [word for word in TRAIN if method == "posterior" or word not in ("--posterior.correct-from", "1")]
    assert "shares" not in succeed("train", points, "--method", method, *options, "--out", whole.path).err
    pack_all(KEPT)
    said = succeed("train", points, "--method", method, *options, "--out", run.path).err
    assert f"samples × {KINDS} classes: of each row the {KEPT} largest shares are kept" in said
    assert "256 features of each sample are kept along 24 directions in 16 bits" in said
    assert ("the method's own stay whole" in said) == (method in ("elr", "dividemix"))
    about = run.read_json(run.environment)
    assert about["shares_kept"] == KEPT
    assert about["features_rounded"]
    assert about["feature_directions"] == 24
    assert 0 < about["tables_gb"] < about["peak_memory_gb"]

    evidence, before = run.read_evidence(), whole.read_evidence()
    for name in ("probs", "targets", "label_posterior"):
        table = getattr(evidence, name)
        assert isinstance(table, TopkTable)
        assert table.shape == getattr(before, name).shape
    rows, others = read_csv(run.labels), read_csv(whole.labels)
    found, expected = (np.array([row["is_label_issue"] == "True" for row in each]) for each in (rows, others))
    assert (found == expected).mean() > 0.97
    assert expected.any()
    succeed("report", run.path, "--out", tmp_path / "report.html")
    for tool in ("cleanlab", "numpy", "fiftyone", "label-studio", "hf"):
        succeed("export", run.path, "--to", tool, "--out", tmp_path / tool)
    probs = np.load(tmp_path / "cleanlab/pred_probs.npy")
    assert probs.dtype == np.float32
    np.testing.assert_array_equal(probs, evidence.probs[:])
    exported = np.load(tmp_path / "numpy/findings.npz")["soft_targets"]
    assert exported["topk"]["class"][:, 0].tolist() == evidence.targets.argmax(1).tolist()


@pytest.mark.slow
def test_resumed_it_is_the_uninterrupted_one(points: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack_all(KEPT)
    words = ["train", points, *TRAIN]
    succeed(*words, "--out", tmp_path / "alone")
    interrupt(monkeypatch, 3, *words, "--out", tmp_path / "run")
    kept = torch.load(tmp_path / "run/checkpoints/last.pt")["method"]["targets"]
    assert kept.dtype == torch.int32
    assert kept.shape[1] == KEPT + 1
    succeed(*words, "--out", tmp_path / "run", "--resume")
    assert_same_outcome(tmp_path / "run", tmp_path / "alone")


def judged(kept: int | None) -> tuple[dict[str, Tensor], Tensor, Evidence]:
    """State, targets and evidence of a short run."""
    if kept is not None:
        pack_all(kept)
    data = make_data(48, batch_size=12, augment="none")
    method, optimizer, scheduler = build(method_case("posterior"), data, **PLAIN)
    fit(method, data, optimizer, scheduler, epochs=EPOCHS)
    targets = method.soft_targets()
    assert targets is not None
    features = eval_pass(method.classifiers, data, compact=True).features
    assert (features.dtype, features.shape[1]) == ((torch.float32, 32) if kept is None else (torch.float16, 24))
    evidence = judge_labels(
        collect_evidence(method, data), data, method.num_classes, [str(i) for i in range(48)]
    ).evidence
    return method.networks.state_dict(), to_dense(targets, CLASSES), evidence


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting, patience = Path(folder, "meeting").as_uri(), timedelta(minutes=1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS, timeout=patience)
    assert broadcast_from_rank0(torch.tensor([rank + 5])).tolist() == [5]
    weights, targets, evidence = judged(1)
    tables = [torch.from_numpy(table[:]) for table in (evidence.probs, evidence.targets, evidence.label_posterior)]
    torch.save([weights, targets, tables], Path(folder, f"rank{rank}.pt"))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    multiprocessing.spawn(work, (str(tmp_path),), nprocs=RANKS)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(RANKS))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    weights, targets, evidence = judged(1)
    tables = [torch.from_numpy(table[:]) for table in (evidence.probs, evidence.targets, evidence.label_posterior)]
    torch.testing.assert_close(first, [weights, targets, tables], rtol=1e-3, atol=1e-3)


def test_where_every_share_is_kept_the_targets_are_those_of_whole_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole, before = judged(None)
    for place in (
        "mixnn.methods.posterior",
        "mixnn.training.evidence",
        "mixnn.evidence.forward_pass",
        "mixnn.tables.topk_rows",
    ):
        monkeypatch.setattr(f"{place}.topk_size", lambda samples, classes: classes)
    _, packed, after = judged(None)
    torch.testing.assert_close(packed, whole, rtol=0, atol=2e-3)
    for name in ("probs", "targets", "label_posterior"):
        assert isinstance(getattr(after, name), TopkTable)
        np.testing.assert_allclose(getattr(after, name)[:], getattr(before, name), atol=2e-3)
