"""The size of embeddings, or of one of their columns, changes no result; inputs that are all the same are told."""

import numpy as np
import pytest

import mixnn
from mixnn.config import DataOptions, FindConfig, FindOptions
from mixnn.data.feature_files import read_features
from mixnn.data.load import tell_copies
from mixnn.data.read import read
from mixnn.data.scale import embedding_scale
from mixnn.models.saved import load_model
from mixnn.training.find import find
from mixnn.training.prediction import predict_samples

N, D = 300, 16
SIZES = {
    "tiny": (lambda x: x * np.float32(1e-9), "most columns are of size 1e-09: all brought to about 1"),
    "subnormal": (lambda x: x * np.float32(1e-36), "most columns are of size 1e-36: all brought to about 1"),
    "huge": (lambda x: x * np.float32(1e6), "most columns are of size 1e+06: all brought to about 1"),
    "constant column": (
        lambda x: np.concatenate([x, np.full((len(x), 1), 1e38, np.float32)], 1),
        f"column {D} is more than 10,000 times as large as most: brought to their size",
    ),
    "huge column": (
        lambda x: np.concatenate([x, np.float32(1e37) * x[:, :1]], 1),
        f"column {D} is more than 10,000 times as large as most: brought to their size",
    ),
    "times": (
        lambda x: np.concatenate([x, np.float32(1.7e9) + np.float32(1e6) * x[:, :2]], 1),
        f"2 columns, such as {D}, are more than 10,000 times as large as most: brought to their size",
    ),
}


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, true labels, and labels of which a fifth is redrawn."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, N)
    x = random.normal(size=(N, D)).astype(np.float32) + 4 * np.eye(3, D, dtype=np.float32)[truth]
    return x, truth, np.where(random.random(N) < 0.2, random.integers(0, 3, N), truth)


@pytest.mark.parametrize("size", SIZES)
def test_label_issues(size, tmp_path, capsys):
    x, truth, given = data()
    change, told = SIZES[size]
    plain = mixnn.find_label_issues(given, x)
    found = mixnn.find_label_issues(given, change(x))
    assert (found.is_label_issue == plain.is_label_issue).mean() > 0.98
    assert (found.suggested_label == truth).mean() > 0.95
    np.savez(tmp_path / "a.npz", x=change(x), y=given)
    run = find(FindConfig(str(tmp_path / "a.npz"), FindOptions()), tmp_path / "run")
    assert (run.read_evidence().label_posterior.argmax(1) == truth).mean() > 0.95
    assert f"mixnn: embeddings: {told}" in capsys.readouterr().err.splitlines()
    np.save(tmp_path / "f.npy", change(x))
    read_features(str(tmp_path / "f.npy"), N)
    assert capsys.readouterr().err == f"mixnn: --features {tmp_path / 'f.npy'}: {told}\n"


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_training(size, tmp_path):
    """The file of the model takes embeddings as they are given, of any size."""
    (x, _, given), (more, truth, _) = data(), data(1)
    change = SIZES[size][0]
    np.savez(tmp_path / "a.npz", x_train=change(x), y_train=given, x_test=change(more), y_test=truth)
    source = str(tmp_path / "a.npz")
    run = mixnn.train(source, out=tmp_path / "run", network="mlp", epochs=4, device="cpu")
    accuracy = run.metrics()[-1]["accuracy"]
    assert accuracy > 0.93
    model = load_model(tmp_path / "run" / "model.safetensors", next(run.model("cpu").network.parameters()).device)
    test = read(source, DataOptions()).heldout
    assert (predict_samples(model, test, DataOptions())[0].argmax(1) == truth).mean() == pytest.approx(
        accuracy, abs=5e-3
    )


def test_usual_sizes_stay_as_they_are():
    x = data()[0]
    wide = x * np.logspace(-2, 1.5, D, dtype=np.float32)
    for usual in (
        x,
        x * np.float32(0.01),
        x / np.linalg.norm(x, axis=1, keepdims=True),
        wide,
        np.zeros_like(x),
        x[:, :1],
    ):
        assert embedding_scale(usual) is None
    scaled = embedding_scale(x * np.float32(2.0**-30))
    assert (scaled.apply(x * np.float32(2.0**-30)) == x).all()  # a power of two rounds nothing


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        (100, "mixnn: all 100 training inputs are the same: nothing tells the classes apart; look at DATA\n"),
        (52, "mixnn: only 49 of 100 training inputs are different ones: `mixnn check` lists the copies\n"),
        (50, ""),
    ],
)
def test_copies_are_told(copies, told, capsys):
    tell_copies(np.concatenate([np.zeros(copies), np.arange(1, 101 - copies)]).astype(np.uint32))
    assert capsys.readouterr().err == told


def test_images_that_are_all_the_same_are_told_before_training(tmp_path, capsys):
    images, labels = np.full((20, 16, 16, 3), 7, np.uint8), np.arange(20) % 2
    mixnn.train((images, labels), out=tmp_path / "run", network="mini", epochs=1, device="cpu")
    lines = capsys.readouterr().err.splitlines()
    told = "mixnn: all 18 training inputs are the same: nothing tells the classes apart; look at DATA"
    assert lines.index(told) < next(row for row, line in enumerate(lines) if line.startswith("epoch 1/1"))
