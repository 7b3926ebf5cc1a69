"""What a run does when something goes wrong, and where its settings come from."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from contract.cases import build, make_data, method_case
from contract.command import COLORS, SHORT, SMALL, assert_same_outcome, call, figures, read_csv, succeed, write_folder
from contract.spoil import short_of_room
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from mixnn import InputError, MixNN, fit
from mixnn.cli.train import parse
from mixnn.config import DataOptions, RunConfig, TrainOptions
from mixnn.data.batches import Batch
from mixnn.evidence.loss_mixture import loss_mixture_clean_prob
from mixnn.methods.ce import CrossEntropy
from mixnn.models.saved import load_model
from mixnn.runs.directory import RunDirectory
from mixnn.training import run as training
from mixnn.training.build import build_optimizer
from mixnn.training.checkpoint import Checkpoint
from mixnn.training.progress import TrainingScreen
from mixnn.utils.files import Row


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("training") / "photos")


def test_a_diverged_epoch_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data()
    method, optimizer, scheduler = build(method_case("ce"), data)
    checkpoint = Checkpoint(tmp_path / "last.pt", method, optimizer, scheduler, "these data", {})
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
    heldout = RunDirectory(tmp_path / "run").read_evidence().heldout
    assert heldout is not None
    assert heldout.sum(1).tolist() == [2, 2, 2]
    last = read_csv(tmp_path / "run/metrics.csv")[-1]
    assert heldout.trace() / heldout.sum() == pytest.approx(float(last["accuracy"]), abs=1e-5)
    assert len(json.loads((tmp_path / "run/environment.json").read_text())["resumed"]) == 1


def test_a_first_checkpoint_without_room(photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, "--out", tmp_path / "run", *SMALL, *SHORT, "--data.workers", "0"]
    with short_of_room(200_000):
        result = call(*words)
    assert result.code == 2
    assert "last.pt cannot be written" in result.err.splitlines()[-1]
    assert len(figures(tmp_path / "run")) == 1
    succeed(*words, "--resume")  # as the line says


def test_a_run_inside_its_own_images_is_refused(photos: Path) -> None:
    result = call("train", photos, "--out", photos / "run", *SMALL)
    assert (result.code, (photos / "run").exists()) == (2, False)
    assert f"--out {photos / 'run'} lies inside the data" in result.err


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
    w, mixture = loss_mixture_clean_prob(x, min_separation=2.0)
    assert mixture is not None
    assert mixture.separation < 2
    assert torch.equal(w, torch.ones(500))
    apart = torch.cat([x, x + 10])
    assert torch.equal(loss_mixture_clean_prob(apart, min_separation=2.0)[0], loss_mixture_clean_prob(apart)[0])


def test_min_separation_reaches_the_mixture() -> None:
    data = make_data()
    method, *_ = build(method_case("mixnn", min_separation=1e9), data)
    assert isinstance(method, MixNN)
    method.begin_epoch(2, data)
    assert (method.clean == 1).all()
    assert method.metrics["clean_fraction"] == 1
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
    rows: list[Row] = [{"images_per_second": 1.0}]
    method, *_ = build(method_case("posterior"), make_data())
    method.auto_selected["neighbors"] = "exact"
    with TrainingScreen(method, range(2), 8, rows) as screen:
        screen.epoch_done(0, 1.0, {})


def test_the_bar_tells_what_takes_time_between_epochs() -> None:
    seen = io.StringIO()
    method, *_ = build(method_case("posterior"), make_data())
    screen = TrainingScreen(method, range(2), 8, [])
    screen.console = Console(file=seen, force_terminal=True, width=100)
    with screen:
        assert screen.progress is not None
        with method.phase("eval_pass"):
            screen.progress.refresh()
            assert "eval pass …" in seen.getvalue()
        seen.truncate(0)
        screen.progress.refresh()
        assert "…" not in seen.getvalue()
    with pytest.raises(KeyError), method.phase("neighbors"):
        raise KeyError
    assert method.active_phases == []


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labels.csv and the photos it names, none a square; one ends too early, and of some nobody knew the label."""
    root, random = tmp_path_factory.mktemp("jpegs"), np.random.RandomState(0)
    lines = ["file_name,label"]
    for i in range(45):
        word = sorted(COLORS)[i % 3]
        pixels = random.randint(0, 150, (20 + i % 7, 24, 3)) + 100 * np.array(COLORS[word])
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"photo {i}.jpg")
        lines.append(f"photo {i}.jpg,{'Not sure' if i % 10 == 4 else word}")
    (root / "photo 7.jpg").write_bytes((root / "photo 7.jpg").read_bytes()[:300])
    (root / "labels.csv").write_text("\n".join(lines))
    return root


def run_config(jpegs: Path, **data: object) -> RunConfig:
    options = DataOptions(**{"image_size": 16, "crop_size": 12, "workers": 0, "unlabeled": "Not sure"} | data)
    return RunConfig(
        f"csv:{jpegs / 'labels.csv'}",
        TrainOptions(network="cnn", epochs=3, batch_size=8, device="cpu", precision="float32", data=options),
        {"correct_from": 1},
    )


@pytest.mark.slow
def test_a_run_is_the_same_wherever_its_images_are_kept(jpegs: Path, tmp_path: Path) -> None:
    for store, workers in {"memory": 0, "cache": None, "nowhere": 1}.items():
        config = run_config(jpegs, store=store, workers=workers, cache_dir=str(tmp_path / "cached"))
        training.train(config, tmp_path / store)
        (row,) = read_csv(tmp_path / store / "unreadable.csv")
        assert (row["file_name"], row["part"]) == ("photo 7.jpg", "train")
        assert row["reason"]
        assert len(read_csv(tmp_path / store / "labels.csv")) == 45 - 3 - 1  # one of each class is held out
    for store in ("cache", "nowhere"):
        assert_same_outcome(tmp_path / store, tmp_path / "memory")


def test_an_unreadable_image_stops_a_run_that_wants_it_so(jpegs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^image photo 7\.jpg \(.+\) cannot be read: .* --data.on-bad-image set-aside$"
    ):
        training.train(run_config(jpegs, on_bad_image="fail"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [SHORT, ["--epochs", "2", "--method", "ce"], [*SHORT, "--noise", "symmetric:0.3"]])
def test_a_label_nobody_knew_is_suggested(words: list[str], jpegs: Path, tmp_path: Path) -> None:
    data = [f"csv:{jpegs / 'labels.csv'}", *SMALL, "--data.unlabeled", "Not sure"]
    result = succeed("train", *data, *words, "--out", tmp_path / "run")
    rows = read_csv(tmp_path / "run/labels.csv")
    unknown = [row for row in rows if row["given_label"] == "Not sure"]
    assert {row["file_name"] for row in unknown} == {f"photo {i}.jpg" for i in range(4, 45, 10)}
    assert f"without a label: {len(unknown)}, each with a suggestion" in result.out
    assert (
        f"of {len(rows) - len(unknown)} labels flagged" in result.out
    )  # issues are counted among the labels there are
    for row in rows:
        assert row["suggested_label"] in COLORS
        assert 1 / 3 < float(row["suggested_confidence"]) <= 1
    for row in unknown:
        assert row["is_label_issue"] == "False"
        assert (row["label_quality"], row.get("loss_mixture_clean_prob", ""), row["neighbor_agreement"]) == ("", "", "")
    evaluated = succeed("evaluate", tmp_path / "run", *data[:1], "--data.unlabeled", "Not sure", "--data.workers", "0")
    assert evaluated.out.splitlines()[-1].startswith(f"(all),{45 - len(unknown) - 1},")


def test_embeddings_train(tmp_path: Path) -> None:
    x = np.random.RandomState(0).standard_normal((60, 5)).astype(np.float32)
    x[:, 0] += 8 * (np.arange(60) % 2)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 2)
    succeed("train", tmp_path / "data.npz", *SMALL[2:], *SHORT, "--network", "mlp", "--out", tmp_path / "run")
    assert float(figures(tmp_path / "run")[-1]["accuracy"]) == 1
    assert not (tmp_path / "run/thumbnails.npz").exists()  # nothing to see
    assert (tmp_path / "run/overview.png").exists()
    evaluated = succeed("evaluate", tmp_path / "run", tmp_path / "data.npz")
    assert evaluated.out.splitlines()[-1] == "(all),60,1.0000"


def test_steps_of_the_learning_rate() -> None:
    layer = nn.Linear(1, 1)
    optimizer, scheduler = build_optimizer(
        layer, TrainOptions(lr=0.5, schedule="steps", milestones=[2, 3]).for_optimizer()
    )
    rates = []
    for _ in range(5):
        rates += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.005, 0.005])
