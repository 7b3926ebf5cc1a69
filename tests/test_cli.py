"""The commands, as a person types them, on a small image folder."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from contract.cases import ROOT
from contract.command import (
    COLORS,
    ENVIRONMENT,
    PER_CLASS,
    SHORT,
    SIZE,
    SMALL,
    assert_same_outcome,
    call,
    figures,
    read_csv,
    start,
    succeed,
    write_cifar10,
    write_folder,
)
from PIL import Image

from mixnn import METHODS
from mixnn.cli.main import COMMANDS
from mixnn.errors import LocalError
from mixnn.models.saved import load_model

LABEL_COLUMNS = [
    "file_name",
    "given_label",
    "predicted_label",
    "label_quality",
    "is_label_issue",
    "loss_mixture_clean_prob",
]
LABEL_COLUMNS += ["suggested_label", "suggested_confidence", "neighbor_agreement", "review_reason"]
TRAINED_ON = len(COLORS) * PER_CLASS * 9 // 10  # a tenth of each class is held out


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("cli") / "photos")


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    """A finished run on labels to which noise was added."""
    succeed("train", photos, "--out", photos.parent / "run", *SMALL, *SHORT, "--noise", "symmetric:0.2")
    return photos.parent / "run"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_help_does_not_wait_for_torch() -> None:
    look = (
        "import sys; from mixnn.cli.main import main; code = main(['--help']); sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("words", [["--help"], ["-h"], [], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_every_command_explains_itself(words: list[str]) -> None:
    result = call(*words)
    assert result.code == 0
    assert "mixnn" in result.out
    assert result.err == ""


def test_methods_lists_options_that_train_takes() -> None:
    lines = succeed("methods").out.splitlines()
    assert {line.split()[0] for line in lines if line and line[0] != " "} >= set(METHODS)
    words = [word for line in lines if line.strip().startswith("--mixnn.") for word in line.split()]
    assert len(words) > 10
    words = [word.lower() if word in ("True", "False") else word for word in words]
    assert succeed("train", "photos", "--out", "x", *words, "--print_config").out


def test_a_run_directory_holds_all_that_was_found(run: Path, photos: Path) -> None:
    labels, metrics = read_csv(run / "labels.csv"), read_csv(run / "metrics.csv")
    assert list(labels[0]) == LABEL_COLUMNS
    assert len(labels) == len({row["file_name"] for row in labels}) == TRAINED_ON
    for row in labels:
        assert (photos / row["file_name"]).is_file()
        assert {row["given_label"], row["predicted_label"], row["suggested_label"]} <= set(COLORS)
        assert row["is_label_issue"] in ("True", "False")
        assert row["is_label_issue"] == "False" or row["suggested_label"] != row["given_label"]
        for column in ("label_quality", "loss_mixture_clean_prob", "suggested_confidence", "neighbor_agreement"):
            assert 0 <= float(row[column]) <= 1

    assert [row["epoch"] for row in metrics] == ["1", "2", "3", "4"]
    for row in metrics:
        assert row["heldout"] == "holdout"
        for column in ("train_loss", "accuracy", "right_targets", "seconds_train", "images_per_second"):
            assert float(row[column]) >= 0
    assert metrics[0]["clean_fraction"] == ""  # nothing is known before the first full pass
    assert 0 < float(metrics[-1]["clean_fraction"]) <= 1

    with np.load(run / "noise.npz") as noise, np.load(run / "evidence.npz") as evidence:
        flipped = noise["original"] != evidence["given"]
        assert noise["flipped"].tolist() == flipped.tolist()
        assert 0 < flipped.sum() < TRAINED_ON / 2
    targets = np.load(run / "soft_targets.npy")
    assert targets.shape == (TRAINED_ON, len(COLORS))
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)
    assert json.loads((run / "classes.json").read_text()) == sorted(COLORS)
    environment = json.loads((run / "environment.json").read_text())
    assert {"command", "seed", "packages", "git_revision", "processor"} <= set(environment)
    with np.load(run / "thumbnails.npz") as thumbnails:
        assert thumbnails["images"].shape == (TRAINED_ON, SIZE, SIZE, 3)
        assert set(thumbnails["small_rows"].tolist()) == set(range(TRAINED_ON))
    with np.load(run / "losses.npz") as losses:
        assert losses["epochs"].tolist() == [2, 3, 4]  # after a warm-up of one
        assert losses["counts"].sum(1).tolist() == [TRAINED_ON] * 3
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "corrections.csv" in page
    assert len(page) < 1e6
    assert (run / "checkpoints/last.pt").is_file()


def test_the_picture_opens(run: Path) -> None:
    with Image.open(run / "overview.png") as picture:
        picture.load()
        assert all(500 <= side <= 3000 for side in picture.size)
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 100  # something is drawn


def test_the_summary_tells_what_the_files_hold(run: Path) -> None:
    result = succeed("train", "--out", run, "--resume")  # nothing left to train
    issues = sum(row["is_label_issue"] == "True" for row in read_csv(run / "labels.csv"))
    assert f"label issues: {issues} of {TRAINED_ON}" in result.out
    accuracy = [float(row["accuracy"]) for row in read_csv(run / "metrics.csv")]
    assert f"last epoch {accuracy[-1]:.2%}, best epoch {max(accuracy):.2%}" in result.out
    assert str(run) in result.out


def test_the_model_predicts_as_the_method_did(run: Path, photos: Path) -> None:
    with np.load(run / "evidence.npz") as evidence:
        names, expected = evidence["names"].tolist(), torch.from_numpy(evidence["probs"])
    images = np.stack([np.asarray(Image.open(photos / name)) for name in names])
    model = load_model(run / "model.safetensors", torch.device("cpu"))
    probs = model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(probs, expected, rtol=1e-5, atol=1e-6)

    rows = table(succeed("predict", run, *(photos / name for name in names), "--device", "cpu").out)
    assert [row["file_name"] for row in rows] == [str(photos / name) for name in names]
    assert [row["label"] for row in rows] == [row["predicted_label"] for row in read_csv(run / "labels.csv")]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected.amax(1), atol=1e-4)


def test_evaluate_counts_what_predict_says(run: Path, photos: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    predicted = table(succeed("predict", run, *files).out)
    right = [row["label"] == file.parent.name for row, file in zip(predicted, files, strict=True)]
    result = succeed("evaluate", run, photos)
    rows = table(result.out)
    assert [row["class"] for row in rows] == [*sorted(COLORS), "(all)"]
    assert rows[-1] == {"class": "(all)", "images": str(len(files)), "accuracy": f"{np.mean(right):.4f}"}
    for place, row in enumerate(rows[:-1]):
        own = right[place * PER_CLASS : (place + 1) * PER_CLASS]
        assert row["accuracy"] == f"{np.mean(own):.4f}"
    assert f"{np.mean(right):.2%}" in result.err


def test_evaluate_takes_a_part_of_the_classes(run: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "part/red")
    shutil.copytree(photos / "blue", tmp_path / "part/blue")
    whole, part = (table(succeed("evaluate", run, data).out) for data in (photos, tmp_path / "part"))
    assert part[:-1] == [row for row in whole if row["class"] in ("blue", "red")]


@pytest.mark.slow
def test_a_csv_list_trains_like_the_folder(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    succeed("train", photos, "--out", folder, *SMALL, *SHORT, "--data.holdout", "0")
    names = [row["file_name"] for row in read_csv(folder / "labels.csv")]
    listed = photos.parent / "list.csv"
    rows = [f"photos/{name},{name.split('/')[0]}" for name in names]
    listed.write_text("\n".join(["file_name,label", *rows]), encoding="utf-8")
    succeed("train", f"csv:{listed}", "--out", tmp_path / "csv", *SMALL, *SHORT, "--data.holdout", "0")
    assert figures(folder) == figures(tmp_path / "csv")
    assert "accuracy" not in figures(folder)[0]  # nothing was held out
    labels = read_csv(tmp_path / "csv/labels.csv")
    assert [row | {"file_name": row["file_name"].removeprefix("photos/")} for row in labels] == read_csv(
        folder / "labels.csv"
    )
    evaluated = [succeed("evaluate", folder, data).out for data in (photos, f"csv:{listed}")]
    assert evaluated[0] == evaluated[1]


def test_cifar10_has_a_test_part(tmp_path: Path) -> None:
    data = f"cifar10:{write_cifar10(tmp_path / 'batches')}"
    words = ["--epochs", "1", "--limit", "50", "--noise", "asymmetric:0.4", "--method", "ce", "--batch-size", "16"]
    succeed("train", data, "--out", tmp_path / "run", *words)
    assert [row["heldout"] for row in figures(tmp_path / "run")] == ["test"]
    assert len(read_csv(tmp_path / "run/labels.csv")) == 50
    rows = table(succeed("evaluate", tmp_path / "run", data).out)
    assert rows[-1]["images"] == "20"


def test_a_config_repeats_its_run(run: Path, tmp_path: Path) -> None:
    succeed("train", "--config", run / "config.yaml", "--out", tmp_path / "again")
    assert_same_outcome(tmp_path / "again", run)
    assert (tmp_path / "again/config.yaml").read_bytes() == (run / "config.yaml").read_bytes()


@pytest.mark.slow
def test_a_printed_config_is_a_config(run: Path, photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, *SMALL, *SHORT, "--noise", "symmetric:0.2"]
    printed = succeed(*words, "--out", tmp_path / "none", "--print_config").out
    assert not (tmp_path / "none").exists()
    (tmp_path / "printed.yaml").write_text(printed)
    succeed("train", "--config", tmp_path / "printed.yaml", "--out", tmp_path / "again")
    assert_same_outcome(tmp_path / "again", run)


def test_dashes_are_underscores(photos: Path) -> None:
    words = ["--batch-size", "8", "--data.image-size=16", "--mixnn.correct-from", "3", "--weight-decay=0.5"]
    same = ["--batch_size", "8", "--data.image_size=16", "--mixnn.correct_from", "3", "--weight_decay=0.5"]
    texts = [succeed("train", photos, "--out", "my-run", *some, "--print-config").out for some in (words, same)]
    assert texts[0] == texts[1]
    config = yaml.safe_load(texts[0])
    assert config["out"] == "my-run"
    assert (config["batch_size"], config["weight_decay"]) == (8, 0.5)
    assert (config["data"]["image_size"], config["mixnn"]["correct_from"]) == (16, 3)


def test_an_option_of_a_method_chooses_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("ssr:\n  theta_r: 0.7\n")
    for words, method, option in [
        ([], "posterior", ("steps_per_batch", 2)),
        (["--mixnn.neighbors", "3"], "mixnn", ("neighbors", 3)),
        (["--config", tmp_path / "own.yaml"], "ssr", ("theta_r", 0.7)),
        (["--config", tmp_path / "own.yaml", "--gce.q=0.4"], "gce", ("q", 0.4)),
        (["--config", tmp_path / "own.yaml", "--method", "elr"], "elr", ("lam", 3.0)),
    ]:
        config = yaml.safe_load(succeed("train", "photos", "--out", "x", *words, "--print-config").out)
        assert (config["method"], config[method][option[0]]) == (method, option[1])
    assert call("train", "photos", "--out", "x", "--method", "ce", "--mixnn.neighbors", "3").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["module", "script"])
def test_a_method_of_ones_own(launcher: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text((ROOT / "examples/new_method.py").read_text())
    words = [*["--method", "ours:SmoothedLabels", "--smoothedlabels.smoothing", "0.3", "--epochs", "1"], *SMALL]
    python = Path(sys.executable)
    command = [python, "-m", "mixnn"] if launcher == "module" else [python.with_name("mixnn")]
    command += ["train", photos, "--out", "run", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert stored["smoothedlabels"] == {"smoothing": 0.3}
    assert len(read_csv(tmp_path / "run/labels.csv")) == TRAINED_ON


@pytest.mark.slow
def test_bfloat16_trains(photos: Path, tmp_path: Path) -> None:
    succeed("train", photos, "--out", tmp_path / "run", *SMALL, *SHORT, "--precision", "bfloat16")
    assert len(read_csv(tmp_path / "run/labels.csv")) == TRAINED_ON


@pytest.mark.slow
def test_two_processes_write_one_run(photos: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    cache = ["--data.store", "cache", "--data.cache-dir", tmp_path / "cache"]  # where the one waits for the other
    process = start("train", photos, "--out", tmp_path / "run", *SMALL, *SHORT, *cache, launcher=launcher)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("label issues") == 1
    assert err.count("epoch 4/4") == 1
    assert "Warning" not in err
    labels = read_csv(tmp_path / "run/labels.csv")
    assert list(labels[0]) == LABEL_COLUMNS
    assert len({row["file_name"] for row in labels}) == TRAINED_ON
    assert json.loads((tmp_path / "run/environment.json").read_text())["processes"] == 2
    assert succeed("evaluate", tmp_path / "run", photos).out


def test_only_the_first_process_of_a_machine_complains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LOCAL_RANK", "1")
    assert call("train") == (2, "", "")

    def gone(words: Sequence[str]) -> int:
        raise LocalError("image 7.jpg is gone")

    monkeypatch.setattr("mixnn.cli.train.run", gone)  # what the others need not meet
    assert call("train") == (2, "", "mixnn: image 7.jpg is gone\n")
