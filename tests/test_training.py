"""What a run does when something goes wrong, and where its settings come from."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from contract.cases import build, make_data, method_case
from contract.command import SHORT, SMALL, call, figures, succeed, write_folder
from torch import Tensor

from mixnn import InputError, MixNN, fit, training
from mixnn.assemble import load_model
from mixnn.commands.train import parse
from mixnn.data.batch import Batch
from mixnn.functional import clean_probability
from mixnn.methods.ce import CrossEntropy
from mixnn.screen import TrainingScreen
from mixnn.train.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("training") / "photos")


def test_a_diverged_epoch_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data()
    method, optimizer, scheduler = build(method_case("ce"), data)
    checkpoint = Checkpoint(tmp_path / "last.pt", method, optimizer, scheduler, "these data")
    plain = CrossEntropy.forward

    def forward(self: CrossEntropy, batch: Batch) -> Tensor:
        return plain(self, batch) * (torch.nan if self.epoch == 2 else 1)

    monkeypatch.setattr(CrossEntropy, "forward", forward)
    with pytest.raises(InputError, match=r"diverged in epoch 3 \(loss nan\).*--lr"):
        fit(method, data, optimizer, scheduler, epochs=4, observers=[checkpoint])
    assert checkpoint.load() == 2
    assert all(torch.isfinite(parameter).all() for parameter in method.parameters())


def test_the_model_is_there_whatever_comes_after(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too many samples")

    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT]
    with monkeypatch.context() as patch:
        patch.setattr(training, "collect_evidence", fail)
        result = call(*words)
    assert result.code == 1
    assert "evidence.npz (MemoryError: too many samples)" in result.err
    assert load_model(tmp_path / "run/model.safetensors", torch.device("cpu")).size == 16
    succeed(*words, "--resume")
    assert (tmp_path / "run/labels.csv").exists()
    assert len(json.loads((tmp_path / "run/environment.json").read_text())["resumed"]) == 1


def test_a_run_inside_its_own_images_is_refused(photos: Path) -> None:
    result = call("train", photos, "--out", photos / "run", *SMALL)
    assert (result.code, (photos / "run").exists()) == (2, False)
    assert f"--out {photos / 'run'} lies inside the images" in result.err


def test_the_same_images_by_another_name(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data is compared by its hash, not by how its path is written."""
    succeed("train", photos, "--out", tmp_path / "run", *SMALL, *SHORT)
    before = figures(tmp_path / "run")
    monkeypatch.chdir(photos)
    succeed("train", ".", "--out", tmp_path / "run", *SMALL, *SHORT, "--resume")
    assert figures(tmp_path / "run") == before


def test_settings_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"epochs": 7, "lr": 0.5, "preset": "paper"}))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({"lr": 0.25, "mixnn": {"alpha": 0.5}}))
    files = ["--config", str(tmp_path / "a.yaml"), f"--config={tmp_path / 'b.yaml'}"]
    config, out, resume = parse(["photos", "--out", "run", *files, "--seed", "3"])
    assert (out, resume) == ("run", False)
    options = config.options
    assert (options.epochs, options.lr, options.seed, options.network) == (7, 0.25, 3, "resnet34")
    assert (config.method_options["alpha"], config.method_options["correct_from"]) == (0.5, 60)


@pytest.mark.parametrize("word", ["--epo", "--pres", "--conf", "--meth"])
def test_no_option_is_shortened(word: str) -> None:
    """Some are looked for before the parser sees them."""
    with pytest.raises(InputError, match=word):
        parse(["photos", "--out", "run", word, "paper"])


def test_a_preset_goes_with_another_method() -> None:
    config, _, _ = parse(["photos", "--out", "run", "--preset", "paper", "--method", "ce"])
    assert (config.options.method, config.options.epochs, config.method_options) == ("ce", 300, {})


def test_close_humps_leave_labels_alone() -> None:
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    w, mixture = clean_probability(x, min_separation=2.0)
    assert mixture is not None
    assert mixture.separation < 2
    assert torch.equal(w, torch.ones(500))
    apart = torch.cat([x, x + 10])
    assert torch.equal(clean_probability(apart, min_separation=2.0)[0], clean_probability(apart)[0])


def test_min_separation_reaches_the_mixture() -> None:
    data = make_data()
    method, *_ = build(method_case("mixnn", min_separation=1e9), data)
    assert isinstance(method, MixNN)
    method.begin_epoch(2, data)
    assert (method.clean == 1).all()
    assert method.figures["clean_share"] == 1
    before = method.targets.rows.clone()
    method.end_epoch()
    assert torch.equal(method.targets.rows, before)  # nor is any label corrected


def test_nobody_reading_the_epoch_lines_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stderr", Closed())
    with TrainingScreen(epochs=2, start=0, samples=8, ranks=1, rows=[{"images_per_second": 1.0}]) as screen:
        screen.epoch_done(0, 1.0, {})
