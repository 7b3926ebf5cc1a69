"""`mixnn corrupt`: labels to share, their record, and that both come back as the same labels."""

import csv
import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from mixnn.cli.corrupt import run
from mixnn.data.images.thumbnails import thumbnails
from mixnn.data.noise.injection import add_noise
from mixnn.data.readers import read_source
from mixnn.errors import InputError

PER_CLASS = 20
CLASSES = ["cat", "dog", "not sure", "owl"]


@pytest.fixture
def photos(tmp_path):
    random = np.random.RandomState(0)
    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(PER_CLASS):
            pixels = random.randint(0, 256, size=3) // 2 + random.randint(0, 128, size=(40, 40, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}, {name}.png")
    return tmp_path / "photos"


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("noise", ["pairflip:0.5", "instance:0.5"])
def test_the_files(photos, tmp_path, capsys, noise):
    out = tmp_path / "new" / "labels.csv"
    assert run([str(photos), "--noise", noise, "--seed", "3", "--out", str(out)]) == 0
    noisy = add_noise(read_source(str(photos)), noise, 3, thumbnails)  # what `train` does with the same words

    rows = rows_of(out)
    assert [row["file_name"] for row in rows] == noisy.train.names
    assert [row["label"] for row in rows] == noisy.label_words(noisy.train.labels)
    record = json.loads((tmp_path / "new" / "noise.json").read_text(encoding="utf-8"))
    places = np.array([record["classes"].index(row["label"]) for row in rows], dtype="<i8")
    assert record["labels_sha256"] == hashlib.sha256(places.tobytes()).hexdigest()
    changed = [i for i, row in enumerate(rows) if row["label"] != row["file_name"].split("/")[0]]
    assert record["flipped"] == changed
    assert 0.2 < record["flipped_share"] == len(changed) / len(rows) < 0.8
    counts = np.array(record["transition_counts"])
    assert counts.sum(1).tolist() == [PER_CLASS] * len(CLASSES)
    with Image.open(tmp_path / "new" / "noise.png") as picture:
        assert picture.format == "PNG"

    line = capsys.readouterr().out
    np.fill_diagonal(counts, 0)
    a, b = divmod(int(counts.argmax()), len(CLASSES))
    most = f"most often {CLASSES[a]} → {CLASSES[b]} {counts.max()}"
    assert line.startswith(f"{len(changed) / len(rows):.2%} of 80 labels are flipped, {most}")

    # The same labels again, from the file.
    again = add_noise(read_source(str(photos)), f"file:{out}", 0, thumbnails)
    assert np.array_equal(again.train.labels, noisy.train.labels)


def test_unlabeled_samples_keep_their_word(photos, tmp_path):
    out = tmp_path / "labels.csv"
    words = [str(photos), "--noise", "pairflip:1", "--data.unlabeled", "not sure", "--out", str(out)]
    assert run(words) == 0
    rows = rows_of(out)
    following = {"cat": "dog", "dog": "owl", "owl": "cat", "not sure": "not sure"}
    assert all(row["label"] == following[row["file_name"].split("/")[0]] for row in rows)
    assert sum(row["label"] == "not sure" for row in rows) == PER_CLASS
    record = json.loads((tmp_path / "noise.json").read_text(encoding="utf-8"))
    assert (record["samples"], record["unlabeled"], record["flipped_share"]) == (80, PER_CLASS, 1.0)
    dataset = read_source(str(photos), unlabeled="not sure")
    again = add_noise(dataset, f"file:{out}", 0, thumbnails)
    assert [row["label"] for row in rows] == again.label_words(again.train.labels)


def test_on_top_of_other_labels(photos, tmp_path):
    names = read_source(str(photos)).train.names
    given = tmp_path / "given.csv"
    given.write_text(
        "\n".join(["file_name,label", *(f'"{name}",{"cat" if i % 2 else "dog"}' for i, name in enumerate(names))])
    )
    out = tmp_path / "labels.csv"
    assert run([str(photos), "--data.labels", str(given), "--noise", "pairflip:1", "--out", str(out)]) == 0
    assert [row["label"] for row in rows_of(out)] == ["dog" if i % 2 else "not sure" for i in range(len(names))]


def test_a_file_that_is_listed_twice_has_two_draws(photos, tmp_path):
    table = tmp_path / "list.csv"
    rows = [f'"{name}/{i}, {name}.png",{name}' for i in range(10) for name in CLASSES] * 2
    table.write_text("\n".join(["file_name,label", *rows]) + "\n")
    out = tmp_path / "labels.csv"
    assert run([str(table), "--noise", "symmetric:0.5", "--out", str(out), "--data.root", str(photos)]) == 0
    again = add_noise(read_source(str(table)), f"file:{out}", 0, thumbnails)
    labels = again.label_words(again.train.labels)
    assert labels == [row["label"] for row in rows_of(out)]
    assert labels[:40] != labels[40:]


def test_tables_with_other_columns(photos, tmp_path):
    """The list names files below the photos; labels of the test part are left alone."""
    table = tmp_path / "list.csv"
    lines = [f'"{name}/{i}, {name}.png",{name},{"test" if i < 5 else "train"}' for name in CLASSES for i in range(20)]
    table.write_text("\n".join(["path,what,part", *lines]) + "\n")
    words = [str(table), "--noise", "symmetric:0.5", "--out", str(tmp_path / "labels.csv"), "--data.root", str(photos)]
    words += ["--data.image-column", "path", "--data.label-column=what", "--data.split-column", "part"]
    assert run(words) == 0
    assert len(rows_of(tmp_path / "labels.csv")) == 15 * len(CLASSES)


def test_same_words_same_bytes_but_nothing_is_overwritten_unasked(photos, tmp_path):
    words = [str(photos), "--noise", "symmetric:0.5", "--seed", "1", "--out"]
    for folder in ("a", "b"):
        run([*words, str(tmp_path / folder / "labels.csv")])
    for name in ("labels.csv", "noise.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with pytest.raises(InputError, match=r"labels\.csv exists: choose another folder, or add --overwrite"):
        run([*words, str(tmp_path / "a" / "labels.csv")])
    with pytest.raises(InputError, match=r"noise\.json exists"):
        run([*words, str(tmp_path / "a" / "other.csv")])
    before = (tmp_path / "a" / "labels.csv").read_bytes()
    words[words.index("1")] = "2"
    assert run([*words, str(tmp_path / "a" / "labels.csv"), "--overwrite"]) == 0
    assert (tmp_path / "a" / "labels.csv").read_bytes() != before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone", "--noise", "symetric:0.5", "--out", "l.csv"], "kind 'symetric' is unknown"),  # before any reading
        (["gone", "--noise", "symmetric:0.5", "--out", "labels"], "--out labels: name a .csv file, as labels.csv"),
        (["gone", "--noise", "symmetric:0.5", "--out", "l.csv", "--seed", "-1"], "--seed is -1: use 0 to 4294967295"),
        ([], "required: DATA, --noise, --out"),
        (["gone", "--noise", "symmetric:0.5"], "required: --out"),
        (["gone", "--noise", "symmetric:0.5", "--out", "l.csv"], "gone"),
    ],
)
def test_errors(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run(words)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"labels\.csv cannot be written \((Not a directory|File exists)\)"):
        run([str(photos), "--noise", "symmetric:0.5", "--out", str(tmp_path / "file" / "labels.csv")])


def test_names_that_are_no_utf8(photos, tmp_path, capsys):
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    (photos / "owl" / "3, owl.png").rename(photos / "owl" / f"{odd}.png")
    assert run([str(photos), "--noise", "pairflip:0.9", "--out", str(tmp_path / odd / "first.csv")]) == 0
    assert b"owl/caf\xe9.png," in (tmp_path / odd / "first.csv").read_bytes()
    words = ["--noise", f"file:{tmp_path / odd / 'first.csv'}", "--out", str(tmp_path / "second.csv")]
    assert run([str(photos), *words]) == 0
    assert (tmp_path / "second.csv").read_bytes() == (tmp_path / odd / "first.csv").read_bytes()
    first, second = (json.loads((path / "noise.json").read_bytes()) for path in (tmp_path / odd, tmp_path))
    assert r"caf\xe9/first.csv" in second["definition"]["noise"]
    assert first["labels_sha256"] == second["labels_sha256"]
    assert r"caf\udce9/first.csv" in capsys.readouterr().out
