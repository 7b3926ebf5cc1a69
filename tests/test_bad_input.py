"""Whatever a person gets wrong: exit code 2, one line that names the thing and the value, nothing left in the way."""

import pickle
import re
import shutil
import sys
from pathlib import Path

import pytest
from contract.command import SMALL, Result, call, read_csv, succeed, write_cifar10, write_folder
from contract.spoil import BAD_FOLDERS, BAD_IMAGES, DAMAGE

from mixnn.run import RunDirectory

FAST = [*SMALL, "--epochs", "1", "--mixnn.warmup", "0", "--mixnn.mixup-until", "0"]  # FAST[2:]: without image size
PER_CLASS = 11  # one of them held out: enough for no class to be called small
TRAINED_ON = 3 * (PER_CLASS - 1)


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


def assert_refused(result: Result, *named: object, findings: int = 0) -> None:
    """One line; before it, so many about the labels, which `train` looks at first."""
    *before, line = result.err.splitlines()
    assert (result.code, len(before)) == (2, findings), result
    assert all(finding.startswith("mixnn: wrong: ") for finding in before)
    assert line.startswith("mixnn: ")
    for thing in named:
        assert str(thing) in line
    assert len(line) < 600


def refuse_to_train(out: Path, *words: object, named: tuple[object, ...], findings: int = 0) -> Result:
    result = call("train", *words, "--out", out)
    assert_refused(result, *named, findings=findings)
    RunDirectory(out).check_free()  # raises where the next try would be turned away
    return result


# The line names the option and each of these values.
VALUES = {
    "--epochs": "0 -1 1.5 many",
    "--batch-size": "1 -8 few",
    "--lr": "-0.1 nan inf high",
    "--momentum": "-0.9",
    "--weight-decay": "-1",
    "--restart-every": "0",
    "--seed": "-1 99999999999 lucky",
    "--schedule": "step",
    "--steps-per-epoch": "0 -1 many",
    "--balanced": "perhaps",
    "--augment": "blur",
    "--precision": "float16",
    "--device": "nonsense",
    "--nesterov": "perhaps",
    "--limit": "0 1 -3 2 few",  # among the first two images, a class has none
    "--data.holdout": "1 -0.1 some",
    "--data.image-size": "0 100000 big",
    "--data.crop-size": "0 17 big",
    "--data.workers": "-1 257 few",
    "--data.store": "tape",
    "--data.on-bad-image": "ignore",
    "--data.heldout": "nosuch",
    "--data.unlabelled": "nosuch",
    "--data.labels": "none.csv",
    "--noise": "0.5 salt:0.5 symmetric symmetric:much symmetric:1.5 symmetric:-0.1 symmetric:nan",
    "--method": "nosuch no.such:Thing json:JSONDecoder",
    "--network": "nosuch no.such:factory mlp",  # mlp: for embeddings; these are pictures
    "--preset": "nosuch",
    "--config": "none.yaml",
    "--mixnn.neighbors": f"-1 {TRAINED_ON} {TRAINED_ON + 1} all",
    "--mixnn.scope": "galaxy",
    "--mixnn.backend": "magic",
    "--mixnn.metric": "hamming",
    "--mixnn.alpha": "1.1 -0.1 most",
    "--mixnn.warmup": "-7",
    "--mixnn.correct-every": "-7 0",
    "--mixnn.loss-window": "-7 0",
    "--mixnn.gmm-max-iter": "-7",
    "--mixnn.gmm-reg": "-7",
}


@pytest.mark.parametrize(("option", "value"), [(name, value) for name in VALUES for value in VALUES[name].split()])
def test_values(option: str, value: str, photos: Path, tmp_path: Path) -> None:
    parts = option.strip("-").rpartition(".")[2].split("-")  # gmm-reg or gmm_reg: both are written
    result = refuse_to_train(tmp_path / "run", photos, *FAST, f"{option}={value}", named=tuple(parts))
    assert re.search(rf"(?<![\w.]){re.escape(value)}(?![\w])", result.err), result.err  # not the 0 of 10


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--epochs", ["epochs"]),
        ("--preset", ["preset"]),
        ("surplus", ["surplus"]),
        ("--bathc-size 8", ["bathc", "did you mean --batch-size"]),
        ("--dat.image_size 8", ["did you mean --data.image-size"]),
        ("--data.workers 1.5", ["--data.workers: Expected an integer. Got value: 1.5"]),
        ("--balanced maybe", ["--balanced: Expected true or false. Got value: maybe"]),
        ("--data.label-column kind", ["--data.label-column 'kind' does not go with"]),
        ("--mixnn.neighbours 2", ["neighbours", "did you mean --mixnn.neighbors"]),
        ("--ce.neighbors 2", ["ce.neighbors"]),
        ("--method nosuch", ["mixnn", "ce"]),
        ("--network nosuch", ["cnn", "resnet18"]),
        ("--preset nosuch", ["clothing1m", "mini-webvision", "paper", "public-code"]),
        ("--noise salt:0.5", ["salt", "symmetric", "pairflip"]),
        ("--noise asymmetric:0.4", ["noise", "asymmetric"]),  # these classes have no such confusions
        ("--momentum 0", ["momentum", "nesterov"]),
        ("--schedule steps", ["milestones", "[10, 20]"]),
        ("--schedule steps --milestones [0]", ["milestones", "[0]"]),
        ("--milestones 10", ["milestones", "10"]),
        (f"--mixnn.neighbors {TRAINED_ON}", ["neighbors", TRAINED_ON, TRAINED_ON - 1]),
        ("--mixnn.scope batch --mixnn.neighbors 5 --batch-size 4", ["neighbors", 5, "batch"]),
    ],
)
def test_words_that_do_not_go(words: str, named: list[object], photos: Path, tmp_path: Path) -> None:
    refuse_to_train(tmp_path / "run", photos, *FAST, *words.split(), named=tuple(named))


def test_a_missing_library(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    refuse_to_train(tmp_path / "run", photos, *FAST, "--mixnn.backend", "hnsw", named=("hnsw", "mixnn[ann]"))


@pytest.mark.parametrize(
    "content", ["epochz: 3\n", "epochs: [3\n", "- 3\n", "epochs: many\n", "\0"], ids=lambda text: text.strip()
)
def test_config_files(content: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(content)
    named = ("epochz",) if "epochz" in content else ()
    refuse_to_train(tmp_path / "run", photos, *FAST, "--config", tmp_path / "settings.yaml", named=named)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["nosuch"], ["nosuch", "train"]),
        (["--nosuch"], ["--nosuch"]),
        (["train"], ["--out"]),
        (["train", "photos"], ["--out"]),
        (["train", "--out", "new"], ["DATA"]),
        (["train", "--out", "new", "--resume"], ["DATA"]),
        (["evaluate"], ["required: RUN, DATA"]),
        (["evaluate", "no/run", "photos"], ["no/run"]),
        (["predict", "no/run"], ["IMAGE"]),
        (["predict", "no/run", "a.png"], ["no/run"]),
        (["methods", "surplus"], ["surplus"]),
        (["demo", "--epochs", "many"], ["epochs", "many"]),
        (["demo", "--nosuch"], ["--nosuch"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_commands(words: list[str], named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(call(*words), *named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_image_folders(kind: str, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    named = BAD_FOLDERS[kind](root)
    findings = 1 if kind == "one image" else 0
    refuse_to_train(tmp_path / "run", root, *FAST, named=tuple(named), findings=findings)


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_images(kind: str, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    (bad,) = BAD_IMAGES[kind](root)
    name = str(Path(str(bad)).relative_to(root))
    refuse_to_train(tmp_path / "run", root, *FAST, "--data.on-bad-image", "fail", named=(name, "set-aside"))
    result = succeed("train", root, *FAST, "--out", tmp_path / "run")
    (row,) = read_csv(tmp_path / "run/unreadable.csv")
    assert (row["file_name"], row["part"]) == (name, "train")
    assert f"1 of {3 * PER_CLASS} images cannot be read" in result.err
    assert f"{name} ({row['reason']})" in result.err
    assert "set aside: 1 image that cannot be read" in result.out
    names = [row["file_name"] for row in read_csv(tmp_path / "run/labels.csv")]
    assert len(names) == TRAINED_ON - 1
    assert name not in names


def test_no_image_that_can_be_read(photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    for file in root.rglob("*.png"):
        file.write_text("hello")
    named = (f"none of the {3 * PER_CLASS} images can be read", "blue/", "is no image")
    refuse_to_train(tmp_path / "run", root, *FAST, named=named)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "list.csv"),
        ("", "list.csv"),
        ("file_name,label\n", "list.csv"),
        ("file_name,colour\na.png,red\n", "label"),
        ("file_name,label\na.png,red\nb.png\n", "line 3"),
        ("file_name,label\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(20)), "0.png (does not exist)"),
    ],
)
def test_csv_lists(content: str | None, named: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "list.csv").write_text(content)
    refuse_to_train(tmp_path / "run", f"csv:{tmp_path / 'list.csv'}", *FAST, named=(named,))


@pytest.mark.parametrize(
    ("source", "named"), [("cifar10:{}", "{}"), ("cifar100:{}", "{}"), ("mnist:{}", "mnist"), ("", "DATA")]
)
def test_sources(source: str, named: str, tmp_path: Path) -> None:
    refuse_to_train(tmp_path / "run", source.format(tmp_path), *FAST[2:], named=(named.format(tmp_path),))


@pytest.mark.parametrize("file", ["data_batch_3", "batches.meta"])
def test_a_pickle_that_would_run_code(file: str, tmp_path: Path) -> None:
    root = write_cifar10(tmp_path / "batches")
    (root / file).write_bytes(pickle.dumps({b"label_names": print}))
    refuse_to_train(tmp_path / "run", f"cifar10:{root}", *FAST[2:], named=(file, "run", "print"))


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


def test_a_checkpoint_of_other_data(run: Path, photos: Path, tmp_path: Path) -> None:
    more = write_folder(tmp_path / "more", per_class=PER_CLASS + 1)
    succeed("train", more, *FAST, "--out", tmp_path / "other")
    shutil.copy(tmp_path / "other/checkpoints/last.pt", run / "checkpoints/last.pt")
    result = call("train", photos, *FAST, "--out", run, "--resume")
    assert_refused(result, run / "checkpoints/last.pt", "other data")


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
    words = ["--data.unlabelled", "blue,green,red", "--data.workers", "0"]
    assert_refused(call("evaluate", finished, photos, *words), photos, "no label")


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_predict_tells_what_it_cannot_read(kind: str, finished: Path, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    (bad,) = BAD_IMAGES[kind](root)
    good = [str(root / "blue/01.png"), str(root / "blue/02.png")]
    result = call("predict", finished, good[0], bad, good[1])
    assert_refused(result, bad)
    assert [line.split(",")[0] for line in result.out.splitlines()[1:]] == good
