"""What a person reads first: `--help`, and the lines before the first epoch."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.command import ENVIRONMENT, SIZE, SMALL, call, start, succeed, write_folder

from mixnn.cli import find, train
from mixnn.data.batches import TrainData
from mixnn.models.classifier import build_network
from mixnn.training.progress import step_seconds
from mixnn.utils.console import counter, time_text


@pytest.mark.parametrize(("name", "parser"), [("train", train.build_parser(None)), ("find", find.build_parser())])
def test_short_help_shows_options_that_exist(name, parser):
    text = succeed(name, "--help").out
    known = {option.replace("_", "-") for option in parser._option_string_actions}
    shown = re.findall(r"^  (--\S+)", text, re.MULTILINE)
    assert 8 <= len(shown) <= 16
    assert set(shown) <= known
    assert f"mixnn {name} photos/ --out runs/first" in text
    assert f"`mixnn {name} --help all`" in text
    assert len(text.splitlines()) < 50


def test_defaults_stand_in_the_short_help():
    text = " ".join(succeed("train", "--help").out.split())
    assert "--epochs N" in text
    assert "(default 40)" in text
    assert "(default posterior)" in text


@pytest.mark.parametrize("name", ["train", "find", "check", "corrupt", "evaluate"])
def test_the_rest_is_under_help_all(name):
    short, whole = (succeed(name, "--help", *more).out for more in ((), ("all",)))
    assert "--data.image_column" in whole
    assert "--data.image-column" not in short
    assert len(short) < len(whole)


def test_help_all_has_the_options_of_the_method():
    assert "--ssr.theta_r" in succeed("train", "--method", "ssr", "--help", "all").out
    assert "--ssr.theta_r" not in succeed("train", "--help", "all").out


def test_short_help_does_not_wait_for_torch():
    code = "import sys; from mixnn.cli.main import main\ntry: main(['train', '--help'])\n"
    code += "except SystemExit: sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True).returncode == 0


def test_the_first_word_comes_before_torch(tmp_path: Path):
    """In a pipe as well; what comes after it is told by the other tests."""
    process = start("train", write_folder(tmp_path / "photos"), "--out", tmp_path / "run", *SMALL, "--epochs", "1")
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 0
    assert lines[0] == "mixnn: loading PyTorch …"
    assert lines[1] == f"mixnn: reading {tmp_path / 'photos'} …"


def test_before_the_first_epoch_it_says_what_how_and_how_long(tmp_path: Path):
    photos = write_folder(tmp_path / "photos")
    words = ["train", photos, "--out", tmp_path / "run", *SMALL, "--epochs", "2", "--noise", "symmetric:0.5"]
    result = succeed(*words)
    before = result.err[: result.err.index("epoch 1/2")]
    assert f"54 images of {SIZE} px in 3 classes, " in before
    assert "of the labels changed by --noise; accuracy is measured on 6 others (holdout)" in before
    assert re.search(r"network cnn, [\d,]+ weights, on cpu in float32", before)
    assert re.search(r"2 epochs of 4 steps: at [\d,]+ ms a step at least 0:\d\d", before)
    again = call(*words, "--resume").err
    assert "epochs of" not in again  # nothing is left to train


def test_find_says_what_was_read(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(40, 4)) + 4 * np.eye(2, 4)[np.arange(40) % 2]
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(40) % 2)
    words = ["find", tmp_path / "data.npz", "--out", tmp_path / "run", "--device", "cpu"]
    assert "40 embeddings in 2 classes, on cpu\n" in succeed(*words).err


def test_timing_a_step_changes_nothing():
    data = TrainData(torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.arange(8) % 2, batch_size=4)
    network = build_network("cnn", 8, 2, torch.zeros(3), torch.ones(3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert step_seconds(network, data) > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_counter_says_how_long_it_takes_yet(monkeypatch, capsys):
    now = iter([0.0, 1.0, 10.0, 12.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    tell = counter("encoding")
    for done in (1, 100, 150):
        tell(done, 1000)
    assert capsys.readouterr().err == "encoding: 100 of 1,000, about 1:30 left\n"
    assert time_text(3845) == "1:04:05"
