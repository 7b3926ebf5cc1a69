"""Arrays of labels at the command line: in whose order they are, what their numbers mean, and what a run says of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from contract.command import call, read_csv, succeed
from PIL import Image

COUNTS = {"cat": 16, "dog": 12, "owl": 10}


def write_photos(root: Path, counts: dict[str, int]) -> Path:
    """Pictures that tell nothing, in folders that are no part of one another."""
    random = np.random.RandomState(0)
    for word, count in counts.items():
        (root / word).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.randint(0, 256, (8, 8, 3)).astype(np.uint8)).save(root / word / f"{i:02d}.png")
    return root


def torchvision_targets(photos: Path) -> list[int]:
    """`ImageFolder(photos).targets`."""
    folders = sorted(path for path in photos.iterdir())
    return [label for label, folder in enumerate(folders) for _ in sorted(folder.iterdir())]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random, photos = np.random.RandomState(1), write_photos(tmp_path / "photos", COUNTS)
    np.save(tmp_path / "features.npy", random.randn(38, 4).astype(np.float32))
    np.save(tmp_path / "targets.npy", np.array(torchvision_targets(photos)))
    return photos


def find(photos: Path, *words: object) -> list[object]:
    place = photos.parent
    return ["find", photos, "--features", place / "features.npy", "--data.workers", "0", "--out", place / "run", *words]


def test_the_targets_of_torchvision_fit(photos: Path, tmp_path: Path) -> None:
    spec = tmp_path / "targets.npy"
    result = succeed(*find(photos, "--data.labels", spec))
    words = "38 of 38 labels of the data; 0 is 'cat', 1 is 'dog', 2 is 'owl'"
    assert f"mixnn: --data.labels {spec} agrees with {words}" in result.err.splitlines()
    rows = read_csv(tmp_path / "run/labels.csv")
    assert [row["given_label"] for row in rows] == [row["file_name"].split("/")[0] for row in rows]
    assert json.loads((tmp_path / "run/label_arrays.json").read_text()) == [
        {"option": f"--data.labels {spec}", "numbers": [*COUNTS], "agree": 38, "compared": 38}
    ]


@pytest.mark.parametrize("option", ["--data.labels", "--noise"])
def test_another_order_is_refused_unless_a_person_says_it_is_right(photos: Path, tmp_path: Path, option: str) -> None:
    np.save(tmp_path / "l.npy", np.array([0, 1, 2] * 10 + [0, 1] * 2 + [0] * 4))  # one of each class in turn
    spec = tmp_path / "l.npy"
    words = [option, f"file:{spec}" if option == "--noise" else spec]
    result = call(*find(photos, *words))
    assert result.code == 2
    assert (
        f"{spec}: it agrees with 11 of 38 labels of the data, no more than by chance (13): give a .csv with the "
        "columns file_name,label; or, if the order is that of the data, from 'cat/00.png' to 'owl/09.png', add "
        "--data.labels-order given"
    ) in result.err
    assert not (tmp_path / "run").exists()
    result = succeed(*find(photos, *words, "--data.labels-order", "given"))
    assert "agrees with 11 of 38 labels of the data; 0 is 'cat'" in result.err
    assert json.loads((tmp_path / "run/label_arrays.json").read_text())[0]["agree"] == 11


def test_corrupt_says_it_too(photos: Path, tmp_path: Path) -> None:
    words = ["--noise", f"file:{tmp_path / 'targets.npy'}", "--out", tmp_path / "out/l.csv"]
    assert "agrees with 38 of 38 labels of the data; 0 is 'cat'" in succeed("corrupt", photos, *words).err


@pytest.mark.parametrize("form", ["npy", "json", "npz"])
def test_two_orders_of_classes(tmp_path: Path, form: str) -> None:
    """torchvision's number 2 is the folder 10."""
    photos, file = write_photos(tmp_path / "photos", {str(i): 3 for i in range(12)}), tmp_path / f"l.{form}"
    targets = torchvision_targets(photos)
    np.save(tmp_path / "features.npy", np.random.RandomState(1).randn(36, 4).astype(np.float32))
    if form == "json":
        file.write_text(json.dumps(targets))
    elif form == "npy":
        np.save(file, targets)
    else:
        np.savez(file, targets=targets)
    result = call(*find(photos, "--data.labels", file))
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        f"mixnn: --data.labels {file}: 2 stands for '2' if classes are sorted by value, for '10' if as text, as "
        "torchvision does; then 6 or 36 of 36 labels agree with the data: say which by --data.class-order value or text"
    )
    result = succeed(*find(photos, "--data.labels", file, "--data.class-order", "text"))
    assert "agrees with 36 of 36 labels of the data; 0 is '0', 1 is '1', 2 is '10', 3 is '11', 4 is '2'" in result.err
    assert json.loads((tmp_path / "run/classes.json").read_text()) == sorted(str(i) for i in range(12))
    assert all(row["given_label"] == row["file_name"].split("/")[0] for row in read_csv(tmp_path / "run/labels.csv"))


def test_the_limit_of_folders_is_a_share_of_each_class(photos: Path, tmp_path: Path) -> None:
    result = succeed(*find(photos, "--limit", "19"))
    assert "mixnn: --limit 19 takes a share of each class, as the samples come class by class" in result.err
    rows = read_csv(tmp_path / "run/labels.csv")
    assert sorted(row["given_label"] for row in rows) == ["cat"] * 8 + ["dog"] * 6 + ["owl"] * 5


def test_check_tells_of_labels_that_are_one_as_numbers(photos: Path, tmp_path: Path) -> None:
    words = ["1", "1.0", "01", "2", "2"]
    rows = [f"cat/{i:02d}.png,{words[i % 5]}" for i in range(15)]
    (tmp_path / "photos/list.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    result = call("check", tmp_path / "photos/list.csv")
    assert result.code == 1
    assert "wrong: similar labels: 2" in result.out
    assert "--data.merge-similar-labels true makes them one" in result.out
    result = succeed("check", tmp_path / "photos/list.csv", "--data.merge-similar-labels", "true")
    assert "similar labels" not in result.out
