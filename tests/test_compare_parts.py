"""`mixnn check` sees copies that are not exact: across parts, under other labels, and by embeddings outliers too."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mixnn.cli.check import run

PER_CLASS = 25


def rows_of(path: Path) -> list[tuple[str, str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return [(row["finding"], row["file_name"], row["other_file_name"]) for row in csv.DictReader(file)]


@pytest.fixture
def photos(tmp_path):
    """Random pictures in two parts and two classes."""
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "photos" / part / label).mkdir(parents=True)
            for i in range(PER_CLASS):
                coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                coarse.resize((64, 64), Image.Resampling.BICUBIC).save(
                    tmp_path / "photos" / part / label / f"{i:02}.png"
                )
    return tmp_path / "photos"


def test_pictures_that_differ_have_no_near_duplicates(photos, capsys):
    assert run([str(photos)]) == 0
    assert "near" not in capsys.readouterr().out


def test_copies_that_are_not_exact(photos, tmp_path, capsys):
    def opened(name: str) -> Image.Image:
        return Image.open(photos / "train" / name)

    opened("cat/03.png").resize((40, 40)).save(photos / "test/cat/smaller.jpg", quality=60)
    ImageOps.mirror(opened("cat/04.png")).save(photos / "test/cat/turned.png")
    opened("cat/05.png").crop((2, 2, 63, 63)).save(photos / "train/cat/cropped.png")
    opened("cat/06.png").save(photos / "train/dog/moved.jpg", quality=80)
    (photos / "test/cat/same.png").write_bytes((photos / "train/cat/07.png").read_bytes())  # which is told once
    (photos / "test/cat/damaged.png").write_bytes(b"no picture")
    assert run([str(photos), "--out", str(tmp_path / "found.csv")]) == 1
    assert sorted(rows_of(tmp_path / "found.csv")) == [
        ("leak", "test/cat/same.png", "train/cat/07.png"),
        ("near conflict", "train/dog/moved.jpg", "train/cat/06.png"),
        ("near duplicate", "train/cat/cropped.png", "train/cat/05.png"),
        ("near leak", "test/cat/smaller.jpg", "train/cat/03.png"),
        ("near leak", "test/cat/turned.png", "train/cat/04.png"),
        ("unreadable", "test/cat/damaged.png", ""),
    ]
    printed = capsys.readouterr().out
    assert "train/dog/moved.jpg 'dog' ~ train/cat/06.png 'cat' (nearly the same)" in printed
    assert run([str(photos), "--near-duplicates", "none", "--out", str(tmp_path / "found.csv")]) == 1
    assert [kind for kind, *_ in rows_of(tmp_path / "found.csv")] == ["leak", "unreadable"]


def test_embeddings_have_near_duplicates_and_outliers(tmp_path):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    x = (random.normal(size=(200, 16)) + 6 * np.eye(2, 16)[labels]).astype(np.float32)
    x_test = (random.normal(size=(200, 16)) + 6 * np.eye(2, 16)[labels]).astype(np.float32)
    x_test[3] = x[7] + 0.001
    x[150] = -12 * np.eye(16)[9]
    np.savez(tmp_path / "e.npz", x_train=x, y_train=labels, x_test=x_test, y_test=labels)
    assert run([f"npz:{tmp_path / 'e.npz'}", "--out", str(tmp_path / "found.csv")]) == 1
    assert rows_of(tmp_path / "found.csv") == [
        ("near leak", "test/00003", "train/00007"),
        ("outlier", "train/00150", ""),
    ]
