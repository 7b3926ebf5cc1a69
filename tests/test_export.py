"""What `mixnn export` writes, and that the tools take it by the very code of docs/export.md."""

import gc
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.sparse
from contract.command import call, read_csv, succeed, write_folder
from review_cases import K, make_run

from mixnn.results.label_lists import write_labels
from mixnn.runs.directory import RunDirectory

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/export.md"
TOOLS = ("cleanlab", "label-studio", "fiftyone", "hf", "numpy")
ODD = '<script>"é😀 & שלום'  # a class name that asks for trouble


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on `photos`, of which one class says that nobody knows, and all exports of it."""
    root = tmp_path_factory.mktemp("export")
    photos = write_folder(root / "photos", per_class=20)
    (photos / "red").rename(photos / ODD)
    write_folder(root / "more", per_class=2)
    shutil.move(root / "more/red", photos / "Not sure")
    make_run(root / "runs/first", photos, unlabeled="Not sure")
    for tool in TOOLS:
        prefix = {"label-studio": ["--prefix", "/data/local-files/?d=photos/"], "fiftyone": ["--prefix", photos]}
        result = succeed(
            "export", root / "runs/first", "--to", tool, "--out", root / "handover" / tool, *prefix.get(tool, [])
        )
        assert ": " in result.out
    return root


@pytest.fixture
def run(place: Path) -> RunDirectory:
    return RunDirectory(place / "runs/first")


def documented() -> list[object]:
    """One case for each ```python block, named after the heading above it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [pytest.param(m[1], id=re.findall(r"^## (.*)$", text[: m.start()], re.MULTILINE)[-1]) for m in blocks]


@pytest.mark.parametrize("block", documented())
@pytest.mark.filterwarnings("default")  # those of the tools are not ours
def test_the_tools_take_it(block: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(place / "handover", "handover")
    shutil.copytree(place / "photos", "photos")
    shutil.copy("handover/hf/metadata.csv", "photos")
    kept = np.load("handover/cleanlab/pred_probs.npy")
    names = {"__name__": "__main__", "features": np.log(kept)}
    exec(compile(block, str(DOCUMENT), "exec"), names)
    gc.collect()  # files that a tool leaves open are complained of here, where that is no error
    issues = [row for row in read_csv(place / "runs/first/labels.csv") if row["is_label_issue"] == "True"]
    if "flagged" in names:
        assert len(names["flagged"]) == len(issues) == 12
    if "model" in names:
        found = names["model"].get_label_issues()
        assert found["is_label_issue"].sum() == len(issues)
    if "lab" in names:
        summary = names["lab"].get_issue_summary().set_index("issue_type")
        assert summary.loc["label", "num_issues"] > 0


def test_cleanlab_gets_labeled_samples_only(place: Path, run: RunDirectory) -> None:
    evidence, folder = run.read_evidence(), place / "handover/cleanlab"
    kept = np.flatnonzero(evidence.given >= 0)
    assert 0 < len(kept) < len(evidence.given)
    rows = read_csv(folder / "label_issues.csv")
    assert [row["file_name"] for row in rows] == evidence.names[kept].tolist()
    assert (
        [int(row["given_label"]) for row in rows]
        == evidence.given[kept].tolist()
        == np.load(folder / "labels.npy").tolist()
    )
    assert [int(row["predicted_label"]) for row in rows] == evidence.probs[kept].argmax(1).tolist()
    assert np.array_equal(np.load(folder / "pred_probs.npy"), evidence.probs[kept])
    assert json.loads((folder / "classes.json").read_text(encoding="utf-8")) == run.read_classes()


def test_the_graph_is_that_of_the_neighbors(place: Path, run: RunDirectory, tmp_path: Path) -> None:
    graph, evidence = scipy.sparse.load_npz(place / "handover/cleanlab/knn_graph.npz"), run.read_evidence()
    kept = np.flatnonzero(evidence.given >= 0)
    assert graph.shape == (len(kept), len(kept))
    k = graph.nnz // len(kept)
    assert 0 < k < K  # some have neighbors without a label
    for row in range(len(kept)):
        expected = [near for near in evidence.neighbors[kept[row]] if evidence.given[near] >= 0][:k]
        assert kept[graph[row].indices].tolist() == expected
    assert (np.diff(graph.data.reshape(-1, k)) > 0).all()
    old = RunDirectory(tmp_path / "old")
    shutil.copytree(run.path, old.path)
    old.write_evidence(replace(evidence, distances=None))
    write_labels(old)
    succeed("export", old.path, "--to", "cleanlab", "--out", tmp_path / "out")
    assert not (tmp_path / "out/knn_graph.npz").exists()


def test_label_studio_by_its_schema(place: Path, run: RunDirectory) -> None:
    """The names in the tasks are those of the configuration, and every choice is one of it."""
    tasks = json.loads((place / "handover/label-studio/tasks.json").read_text(encoding="utf-8"))
    view = ElementTree.fromstring((place / "handover/label-studio/label_config.xml").read_text(encoding="utf-8"))
    image, choices = view.find("Image"), view.find("Choices")
    assert image is not None
    assert choices is not None
    offered = [choice.get("value") for choice in choices]
    assert offered == run.read_classes()
    assert ODD in offered
    assert choices.get("toName") == image.get("name")
    rows = {row["file_name"]: row for row in read_csv(run.labels)}
    issues = [task["data"]["is_label_issue"] for task in tasks]
    assert issues == sorted(issues, reverse=True)
    assert len(tasks) == len(rows)
    for task in tasks:
        [prediction] = task["predictions"]
        [result] = prediction["result"]
        row = rows[task["data"]["file_name"]]
        assert (result["from_name"], result["to_name"], result["type"]) == (
            choices.get("name"),
            image.get("name"),
            "choices",
        )
        assert result["value"]["choices"] == [row["suggested_label"]]
        assert prediction["score"] == float(row["suggested_confidence"])
        assert task["data"]["image"].startswith("/data/local-files/?d=photos/")
        assert {"<", " ", '"'}.isdisjoint(task["data"]["image"])


def test_fiftyone_by_its_schema(place: Path, run: RunDirectory) -> None:
    samples = json.loads((place / "handover/fiftyone/samples.json").read_text(encoding="utf-8"))
    for sample, row in zip(samples, read_csv(run.labels), strict=True):
        assert Path(sample["filepath"]).is_file()
        assert sample["tags"] == ["label_issue"] * (row["is_label_issue"] == "True")
        assert sample["predictions"]["_cls"] == "Classification"
        assert sample["predictions"]["label"] == row["predicted_label"]
        if row["given_label"] == "Not sure":
            assert sample["ground_truth"] is sample["mistakenness"] is None
        else:
            assert sample["ground_truth"] == {"_cls": "Classification", "label": row["given_label"]}
            assert sample["mistakenness"] == pytest.approx(1 - float(row["label_quality"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--to cleanlab --out handover", "--out handover already holds files: choose a new place"),
        ("--to cleanlab --out runs/first/labels.csv", "already holds a file"),
        ("--to cleanlab --out runs/first/labels.csv/new", "labels.csv/new cannot be written (File exists)"),
        ("--to excel --out new", "cleanlab"),
        ("--to cleanlab", "--out"),
        ("--out new", "--to"),
        ("--to numpy --out new --prefix photos/", "--prefix goes with --to label-studio and fiftyone, not with numpy"),
    ],
)
def test_one_line_for_what_is_wrong(place: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    result = call("export", "runs/first", *words.split())
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert sorted(place.rglob("*")) == before


def test_a_run_that_is_not_complete(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "runs/first", tmp_path / "run")
    (tmp_path / "run/labels.csv").unlink()
    result = call("export", tmp_path / "run", "--to", "numpy", "--out", tmp_path / "new")
    assert result.code == 2
    assert "labels.csv is missing, the run is not finished: repeat `mixnn train … --resume`" in result.err
    result = call("export", tmp_path, "--to", "numpy", "--out", tmp_path / "new")
    assert (result.code, "is not a run directory" in result.err) == (2, True)
