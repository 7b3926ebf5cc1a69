"""Whatever a person gets wrong: exit code 2, one line that names the thing and the value, nothing left in the way."""

import pickle
import re
import shutil
import sys
from pathlib import Path

import pytest
from contract.command import call, read_csv, succeed, write_cifar10, write_folder
from contract.refusal import FAST, PER_CLASS, TRAINED_ON, assert_refused, refuse_to_train
from contract.spoil import BAD_FOLDERS, BAD_IMAGES


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("bad") / "photos", per_class=PER_CLASS)


HUGE = 10**30
# The line names the option and each of these values.
VALUES = {
    "--epochs": f"0 -1 1.5 {HUGE} many",
    "--batch-size": f"0 1 -8 {HUGE} few",
    "--lr": "-0.1 nan inf 1e+30 high",
    "--momentum": "-0.9 1 1.5 nan inf",
    "--weight-decay": "-1 nan inf 1e+30",
    "--restart-every": f"0 -1 {HUGE}",
    "--min-lr": "-1 nan inf",
    "--gamma": "0 -1 1.5 nan inf",
    "--seed": f"-1 99999999999 {HUGE} lucky",
    "--schedule": "step",
    "--steps-per-epoch": f"0 -1 {HUGE} many",
    "--balanced": "perhaps",
    "--augment": "blur",
    "--precision": "float16",
    "--device": "nonsense",
    "--nesterov": "perhaps",
    "--limit": "0 1 -3 2 few",  # among the first two images, a class has none
    "--imbalance": "0.5 -3 inf nan 1e+30 steep",
    "--data.holdout": "1 1.5 -0.1 nan some",
    "--data.image-size": "0 100000 big",
    "--data.crop-size": "0 17 big",
    "--data.workers": "-1 257 few",
    "--data.store": "tape",
    "--data.on-bad-image": "ignore",
    "--data.heldout": "nosuch",
    "--data.unlabeled": "nosuch",
    "--data.labels": "none.csv",
    "--noise": "0.5 salt:0.5 symmetric symmetric:much symmetric:1.5 symmetric:-0.1 symmetric:nan",
    "--method": "nosuch no.such:Thing json:JSONDecoder",
    "--network": "nosuch no.such:factory mlp",  # mlp: for embeddings; these are pictures
    "--preset": "nosuch",
    "--config": "none.yaml",
    "--mixnn.neighbors": f"-1 {TRAINED_ON} {TRAINED_ON + 1} all",
    "--mixnn.backend": "magic",
    "--mixnn.metric": "hamming",
    "--mixnn.alpha": "1.1 -0.1 most",
    "--mixnn.warmup": f"-7 {HUGE}",
    "--posterior.correct-from": f"-1 {HUGE}",
    "--posterior.q": "0 nan inf 1.5",
    "--dividemix.temperature": "0 nan inf -1",
    "--dividemix.lambda-u": "-1 nan inf 1e+30",
    "--colearning.projection-width": f"0 {HUGE}",
    "--mixnn.correct-from": "-7",
    "--mixnn.min-separation": "-7",
    "--mixnn.gmm-monotone": "perhaps",
}


@pytest.mark.parametrize(("option", "value"), [(name, value) for name in VALUES for value in VALUES[name].split()])
def test_values(option: str, value: str, photos: Path, tmp_path: Path) -> None:
    parts = option.strip("-").rpartition(".")[2].split("-")  # correct-from or correct_from: both are written
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


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("find photos --out new --seed -1", "--seed is -1: use 0 to 4294967295"),
        ("find photos --out new --limit 1", "--limit is 1: use 2 to 9223372036854775807"),
        ("find photos --out new --data.image-size 7", "--data.image-size is 7: use 8 to 1024"),
        ("find photos --out new --data.workers 257", "--data.workers is 257: use 0 to 256"),
        ("corrupt photos --noise symmetric:0.2 --out new.csv --seed 4294967296", "--seed is 4294967296: use 0 to"),
        ("corrupt photos --noise symmetric:nan --out new.csv", "symmetric:nan"),
        ("check photos --workers -1", "--workers is -1: use 0 to 256"),
        ("demo --out new --epochs 0", "--epochs is 0: use 1 to 1000000"),
        ("demo --out new --seed -1", "--seed is -1: use 0 to 4294967295"),
        ("demo --out new --limit 1", "--limit is 1: use 2 to"),
        ("train photos --out new --momentum 1.5", "--momentum is 1.5: use 0 to 0.9999"),
        ("train photos --out new --epochs 1000001", "--epochs is 1000001: use 1 to 1000000"),
    ],
)
def test_numbers_of_every_command(words: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "photos", per_class=4)
    assert_refused(call(*words.split()), named)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


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
        ("file_name,color\na.png,red\n", "label"),
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
