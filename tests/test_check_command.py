"""`mixnn check` as a user meets it: exit code, CSV, picture, and what wrong input is answered with."""

import csv
import os
from pathlib import Path

import pytest
from PIL import Image

from mixnn.cli.check import run
from mixnn.errors import InputError

ODD = os.fsdecode(b'\xff, "\xf0\x9f\x98\x80"\n.png')


@pytest.fixture
def photos(tmp_path):
    """Ten different images of each of two classes."""
    for label in ("cat", "dog"):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (20, 10), (10 * i, 0, 0 if label == "cat" else 200)).save(folder / f"{i}.png")
    return tmp_path / "photos"


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_nothing_wrong(photos, capsys):
    assert run([str(photos)]) == 0
    printed = capsys.readouterr().out
    assert "cat       10\ndog       10\n(all)     20\n" in printed
    assert printed.endswith("\nno file is damaged, double or odd; for wrong labels: `mixnn find`\n")
    assert sorted(path.name for path in photos.parent.iterdir()) == ["photos"]


def test_a_conflict(photos, tmp_path, capsys):
    (photos / "dog" / ODD).write_bytes((photos / "cat" / "3.png").read_bytes())
    out = tmp_path / "new" / "check.csv"
    assert run([str(photos), "--out", str(out)]) == 1
    assert "'dog' = train cat/3.png 'cat'" in capsys.readouterr().out
    (row,) = rows_of(out)
    assert row == {
        "severity": "wrong",
        "finding": "conflicting labels",
        "part": "train",
        "file_name": f"dog/{ODD}",
        "label": "dog",
        "other_part": "train",
        "other_file_name": "cat/3.png",
        "other_label": "cat",
        "detail": "the same content",
    }
    with Image.open(out.with_suffix(".png")) as picture:
        with_photo = picture.size
    (photos / "dog" / ODD).unlink()
    assert run([str(photos), "--out", str(out)]) == 0  # its own file is written anew
    assert rows_of(out) == []
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.size[1] < with_photo[1]


def test_a_screen_that_has_few_letters(photos, monkeypatch, tmp_path):
    (photos / "dog" / ODD).write_bytes(b"")
    with open(tmp_path / "screen", "w+", encoding="ascii") as screen:
        monkeypatch.setattr("sys.stdout", screen)
        assert run([str(photos)]) == 1
        screen.seek(0)
        assert r"""train dog/\udcff, "\U0001f600"\n.png 'dog' (is empty)""" in screen.read()


def test_a_table_with_all_options(photos, tmp_path):
    lines = ["img,class,part", *(f"cat/{i}.png,cat,train\ndog/{i}.png,dog,train" for i in range(10))]
    lines += ["dog/3.png,dog,val", "cat/1.png,?,train"]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    words = ["--data.image-column", "img", "--data.label-column", "class", "--data.split-column", "part"]
    words += ["--data.root", str(photos), "--data.unlabeled", "?", "--data.heldout", "val"]
    assert run([str(tmp_path / "labels.csv"), *words, "--workers", "1", "--out", str(tmp_path / "out.csv")]) == 1
    found = [(row["finding"], row["part"], row["file_name"], row["label"]) for row in rows_of(tmp_path / "out.csv")]
    assert found == [
        ("leak", "val", "dog/3.png", "dog"),
        ("duplicate", "train", "cat/1.png", "?"),
        ("class not measured", "val", "", "cat"),
        ("unlabeled", "train", "", "?"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "-1"], "--workers is -1: use 0 to 256"),
        (["--workers", "many"], "--workers"),
        (["--out", "found.txt"], r"found\.txt: give a file name that ends in \.csv"),
        (["--out", "labels.csv"], r"labels\.csv already holds something else"),
        (["--out", "photo.csv"], r"photo\.png already holds something else"),
        (["--out", "labels.csv/out.csv"], r"cannot be written \((File exists|Not a directory)\): choose another"),
        (["--data.unlabeled", "owl"], "no label is 'owl'"),
        (["--data.heldout", "test"], "is no part"),
        (["--epochs", "3"], "--epochs"),
    ],
)
def test_bad_input(photos, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("file_name,label\na.png,cat\n")
    Path("photo.png").write_bytes(b"of a friend")
    with pytest.raises(InputError, match=message):
        run([str(photos), *words])
    assert Path("labels.csv").read_text() == "file_name,label\na.png,cat\n"
    assert Path("photo.png").read_bytes() == b"of a friend"
