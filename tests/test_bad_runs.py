"""A run that is taken, damaged or asked for what it cannot know: exit code 2, one line, nothing lost."""

import shutil
from pathlib import Path

import pytest
from contract.command import call, succeed, write_folder
from contract.refusal import FAST, PER_CLASS, assert_refused
from contract.spoil import BAD_IMAGES, DAMAGE


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("bad") / "photos", per_class=PER_CLASS)


@pytest.fixture(scope="module")
def finished(photos: Path) -> Path:
    succeed("train", photos, "--out", photos.parent / "run", *FAST)
    return photos.parent / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be spoilt."""
    return shutil.copytree(finished, tmp_path / "run")


def test_an_out_that_is_taken(run: Path, photos: Path, tmp_path: Path) -> None:
    held = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert_refused(call("train", photos, *FAST, "--out", run), run, "--resume")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == held
    assert_refused(call("train", photos, *FAST, "--out", photos), photos)
    assert_refused(call("train", photos, *FAST, "--out", photos, "--resume"), photos)
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/below"):
        assert_refused(call("train", photos, *FAST, "--out", out), out)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint(damage: str, run: Path, photos: Path) -> None:
    DAMAGE[damage](run / "checkpoints/last.pt")
    assert_refused(call("train", photos, *FAST, "--out", run, "--resume"), run / "checkpoints/last.pt")


@pytest.mark.slow
def test_a_checkpoint_of_other_data(run: Path, photos: Path, tmp_path: Path) -> None:
    more = write_folder(tmp_path / "more", per_class=PER_CLASS + 1)
    succeed("train", more, *FAST, "--out", tmp_path / "other")
    shutil.copy(tmp_path / "other/checkpoints/last.pt", run / "checkpoints/last.pt")
    result = call("train", photos, *FAST, "--out", run, "--resume")
    assert_refused(result, run / "checkpoints/last.pt", "other data")


def edit(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


@pytest.mark.slow
def test_a_checkpoint_of_other_settings(run: Path, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    succeed("train", photos, *FAST, "--out", other, "--lr", "0.1", "--mixnn.alpha", "0.5", "--data.holdout", "0.11")
    shutil.copy(other / "checkpoints/last.pt", run / "checkpoints/last.pt")
    differ = (
        "--lr is 0.05 here, the checkpoint was made with 0.1; --data.holdout is 0.1 here, the checkpoint was made with "
        "0.11; --mixnn.alpha is 0.95 here, the checkpoint was made with 0.5: give the same settings, or a new --out"
    )
    for words in ([photos, *FAST], []):
        held = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert_refused(call("train", *words, "--out", run, "--resume"), f"--resume {run}: {differ}")
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == held
    shutil.copy(other / "config.yaml", run / "config.yaml")  # whose checkpoint it is
    succeed("train", "--out", run, "--resume")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("lr: 0.05", "lr: 0.07", "--lr is 0.07 here, the checkpoint was made with 0.05"),
        (
            "weight_decay: 0.0005",
            "weight_decay: 0.1",
            "--weight-decay is 0.1 here, the checkpoint was made with 0.0005",
        ),
        ("seed: 0", "seed: 5", "--seed is 5 here, the checkpoint was made with 0"),
        ("augment: crop-flip", "augment: none", "--augment is none here, the checkpoint was made with crop-flip"),
        ("limit: null", "limit: 20", "--limit is 20 here, the checkpoint was made with null"),
        ("milestones: []", "milestones: [1]", "--milestones is [1] here, the checkpoint was made with []"),
        ("balanced: false", "balanced: true", "--balanced is true here, the checkpoint was made with false"),
        ("method: mixnn", "method: ce", "--method is ce here, the checkpoint was made with mixnn: give"),
        ("precision: float32", "precision: bfloat16", "--precision is bfloat16 here"),
    ],
)
def test_settings_that_were_edited(old: str, new: str, named: str, run: Path) -> None:
    edit(run / "config.yaml", old, new)
    assert_refused(call("train", "--out", run, "--resume"), f"--resume {run}: {named}")
    assert new in (run / "config.yaml").read_text()
    (run / "checkpoints/last.pt").unlink()  # nothing says what the results were made with, but the file itself
    if new.startswith(("lr", "seed")):
        succeed("train", "--out", run, "--resume")


def test_what_may_change_when_a_run_goes_on(finished: Path, photos: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "moved/run")
    away = shutil.copytree(photos, tmp_path / "moved/photos")
    words = ["--data.workers", 1, "--data.store", "cache", "--data.cache-dir", tmp_path / "cache", "--device", "auto"]
    succeed("train", away, "--out", run, "--resume", *words)
    assert "device: auto" in (run / "config.yaml").read_text()


@pytest.mark.parametrize("content", ["", "epochs: [3\n", "hello\n"])
def test_a_damaged_config(content: str, run: Path, photos: Path) -> None:
    (run / "config.yaml").write_text(content)
    for data in ([photos, *FAST], []):
        assert_refused(call("train", *data, "--out", run, "--resume"), run / "config.yaml")


@pytest.mark.parametrize("damage", ["halved", "empty", "text", "zeros"])
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_damaged_model(command: str, damage: str, run: Path, photos: Path) -> None:
    DAMAGE[damage](run / "model.safetensors")
    given = photos if command == "evaluate" else photos / "red/01.png"
    assert_refused(call(command, run, given), run / "model.safetensors")


def test_a_model_that_is_not_there_yet(run: Path, photos: Path) -> None:
    (run / "model.safetensors").unlink()
    assert_refused(call("evaluate", run, photos), run / "model.safetensors", "--resume")


def test_evaluate_on_a_label_the_run_does_not_know(finished: Path, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    (root / "red").rename(root / "rose")
    result = call("evaluate", finished, root)
    assert_refused(result, "rose", "red")
    assert result.out == ""


@pytest.mark.parametrize("option", ["--data.image-size 8", "--data.crop-size 8", "--data.holdout 0.5"])
def test_evaluate_reads_images_as_the_run_did(option: str, finished: Path, photos: Path) -> None:
    assert_refused(call("evaluate", finished, photos, *option.split()), option.split()[0])


def test_evaluate_where_no_label_is_known(finished: Path, photos: Path) -> None:
    words = ["--data.unlabeled", "blue,green,red", "--data.workers", "0"]
    assert_refused(call("evaluate", finished, photos, *words), photos, "no label")


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_predict_tells_what_it_cannot_read(kind: str, finished: Path, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    (bad,) = BAD_IMAGES[kind](root)
    good = [str(root / "blue/01.png"), str(root / "blue/02.png")]
    result = call("predict", finished, good[0], bad, good[1])
    assert_refused(result, bad)
    assert [line.split(",")[0] for line in result.out.splitlines()[1:]] == good
