"""How neighbors were found: said on the screen, kept in `metrics.csv` and `environment.json`."""

import json
from pathlib import Path

import pytest
import torch
from contract.cases import EPOCHS, build, make_data, method_case
from contract.command import SHORT, SMALL, read_csv, succeed, write_folder

from mixnn.evidence.knn import SearchInfo, knn_indices
from mixnn.evidence.neighbors.search import nearest_neighbors


def test_a_search_without_misses_has_no_recall() -> None:
    features = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    near, how = knn_indices(features, 4, metric="l2", backend="exact")
    assert torch.equal(near, nearest_neighbors(features, 4, backend="exact"))
    assert (how, how.metrics, str(how)) == (SearchInfo("exact", None), {}, "exact")


def test_a_search_that_may_miss_tells_how_much_it_found() -> None:
    features = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
    near, how = knn_indices(features, 4, metric="cosine", backend="bfloat16")
    assert torch.equal(near, nearest_neighbors(features, 4, metric="cosine", backend="bfloat16"))
    assert how.recall is not None
    assert how.metrics == {"neighbor_recall": how.recall}
    assert 0.95 < how.recall <= 1
    assert str(how) == f"bfloat16, recall {how.recall:.3f}"
    assert knn_indices(features, 0, metric="l2", backend="bfloat16")[1] == SearchInfo("bfloat16", None)


def test_a_run_says_how_it_searched(tmp_path: Path) -> None:
    words = ["train", write_folder(tmp_path / "photos"), "--out", tmp_path / "run", "--method", "mixnn", *SMALL, *SHORT]
    result = succeed(*words, "--mixnn.backend", "ivf")
    lines = [line for line in result.err.splitlines() if line.startswith("neighbors")]
    selected = json.loads((tmp_path / "run/environment.json").read_text())["auto_selected"]
    assert selected["neighbors"] == "ivf"
    assert lines == [f"{name}: {choice}" for name, choice in selected.items() if name.startswith("neighbors")]
    assert list(selected)[:2] == ["neighbors", "neighbors for the lists"]
    recalls = [row["neighbor_recall"] for row in read_csv(tmp_path / "run/metrics.csv")]
    assert recalls[0] == ""  # the warm-up searches nothing
    assert all(0.5 < float(recall) <= 1 for recall in recalls[1:])
    (tmp_path / "run/evidence.npz").unlink()
    succeed(*words, "--mixnn.backend", "ivf", "--resume")
    assert json.loads((tmp_path / "run/environment.json").read_text())["auto_selected"] == selected


def test_an_exact_search_has_no_recall_in_a_run(tmp_path: Path) -> None:
    words = ["train", write_folder(tmp_path / "photos"), "--out", tmp_path / "run", "--method", "mixnn", *SMALL, *SHORT]
    succeed(*words, "--mixnn.backend", "exact")
    assert [row["neighbor_recall"] for row in read_csv(tmp_path / "run/metrics.csv")] == [""] * 4


@pytest.mark.parametrize("name", ["mixnn", "posterior", "ssr"])
def test_methods_that_search_tell_how(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixnn.evidence.knn.choose", lambda *_: "bfloat16")
    data = make_data(48, batch_size=12)
    method, *_ = build(method_case(name), data)
    method.begin_epoch(EPOCHS - 1, data)
    assert method.auto_selected == {"neighbors": "bfloat16"}
    assert 0.5 < method.metrics["neighbor_recall"] <= 1
