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
    "--imbalance": "0.5 -3 inf steep",
    "--data.holdout": "1 -0.1 some",
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
    "--mixnn.warmup": "-7",
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
