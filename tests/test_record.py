"""The history of losses, and the plane the features are shown on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contract.cases import CASES, build, make_data, method_case

from mixnn import fit
from mixnn.evidence.pca import pca_2d
from mixnn.runs.directory import RunDirectory
from mixnn.training.metrics import BINS, Recorder

UNLABELED = next(case for case in CASES if case.name == "mixnn-unlabeled")


def recorded(run: RunDirectory, epochs: int) -> Recorder:
    """A few epochs of MixNN, where the first is a warm-up without a full pass."""
    data = UNLABELED.data()
    method, optimizer, scheduler = build(UNLABELED, data)
    recorder = Recorder(run, method, None, "")
    run.path.mkdir(exist_ok=True)
    fit(method, data, optimizer, scheduler, epochs=epochs, observers=[recorder])
    return recorder


def test_losses_are_counted_for_labeled_samples(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    method = recorded(run, 4).method
    kept, rows = run.read_arrays(run.losses), run.read_table(run.metrics)
    assert kept["epochs"].tolist() == [2, 3, 4]
    assert kept["counts"].shape == (3, BINS)
    assert kept["counts"].sum(1).tolist() == [47] * 3  # of 54
    for mixture, row in zip(kept["mixtures"], rows[1:], strict=True):
        means, variances, weights = mixture
        assert means.tolist() == pytest.approx([float(row["mixture_low"]), float(row["mixture_high"])], rel=1e-5)
        assert (variances > 0).all()
        assert weights.sum() == pytest.approx(1)
    assert method.losses is not None
    known = method.losses[~method.losses.isnan()].numpy()
    assert kept["counts"][-1].tolist() == np.histogram(known, BINS, (0, 1))[0].tolist()


def test_an_epoch_without_a_pass_has_no_losses() -> None:
    data = make_data()
    method, *_ = build(method_case("mixnn"), data)
    method.begin_epoch(1, data)
    assert method.losses is not None
    assert method.mixture is not None
    method.begin_epoch(0, data)
    assert (method.losses, method.mixture) == (None, None)


def test_a_run_that_never_looks_writes_no_file(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    recorded(run, 1)
    assert run.metrics.exists()
    assert not run.losses.exists()


def test_epochs_that_are_run_again_are_dropped(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    recorder = recorded(run, 4)
    kept = {epoch: parts for epoch, parts in recorder.history.items() if epoch <= 3}
    Recorder(run, recorder.method, None, "", rows=recorder.rows[:3], history=kept)
    assert run.read_arrays(run.losses)["epochs"].tolist() == [2, 3]
    assert [row["epoch"] for row in run.read_table(run.metrics)] == ["1", "2", "3"]


def test_the_plane_is_that_of_the_principal_components() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(200, 12, generator=random) @ torch.randn(12, 12, generator=random)
    shown = pca_2d(x)
    unit = torch.nn.functional.normalize(x)
    centered = unit - unit.mean(0)
    expected = centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:2].T
    torch.testing.assert_close(shown.abs(), expected.abs(), rtol=1e-3, atol=1e-5)
    assert shown.dtype == torch.float32
    order = torch.randperm(200, generator=random)
    torch.testing.assert_close(pca_2d(x[order]), shown[order], rtol=1e-3, atol=1e-5)  # and so has the same signs


@pytest.mark.parametrize("seed", range(6))
def test_the_largest_share_of_a_direction_is_positive(seed: int) -> None:
    x = torch.randn(100, 8, generator=torch.Generator().manual_seed(seed))
    unit = torch.nn.functional.normalize(x.double())
    directions = torch.linalg.lstsq(unit - unit.mean(0), pca_2d(x).double()).solution  # (D, 2)
    assert (directions.gather(0, directions.abs().argmax(0, keepdim=True)) > 0).all()


@pytest.mark.parametrize("features", [torch.ones(5, 3), torch.arange(4.0)[:, None], torch.zeros(3, 1)])
def test_a_plane_of_what_has_no_width(features: torch.Tensor) -> None:
    shown = pca_2d(features)
    assert shown.shape == (len(features), 2)
    assert torch.isfinite(shown).all()
