"""`mixnn apply` on tables, arrays, and data that stays as it is; folders are in test_apply_folder.py."""

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from contract.command import SMALL, call, read_csv, succeed, write_cifar10, write_folder
from PIL import Image
from review_cases import labels_of, make_run, write_corrections

from mixnn.cli.train import parse
from mixnn.utils.files import read_yaml

NAMES = [f"{i:02d}.png" for i in range(24)]
LABELS = [["cat", "dog", "owl"][i % 3] for i in range(24)]
DECISIONS = [("00.png", "dog", "accept"), ("01.png", "dog", "keep"), ("02.png", "cat", "other"), ("03.png", "", "drop")]
AFTER = {"00.png": "dog", "01.png": "dog", "02.png": "cat"}
SUMMARY = "4 of 24 samples reviewed (accept 1, other 1, keep 1, drop 1): 2 labels changed; "


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    return write_corrections(tmp_path / "corrections.csv", *DECISIONS)


def table(kind: str, folder: Path) -> Path:
    """Columns around the two that count, in the form of `kind`."""
    folder.mkdir()
    file = folder / f"labels.{kind}"
    rows = [{"id": i, "file_name": name, "note": 'a, "b"', "label": LABELS[i]} for i, name in enumerate(NAMES)]
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=7)
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n\n" for row in rows), encoding="utf-8")
    else:
        with open(file, "w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return file


def rows_of(file: Path) -> list[dict[str, object]]:
    if file.suffix == ".parquet":
        return pyarrow.parquet.read_table(file).to_pylist()
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line]
    return list(csv.DictReader(text.splitlines(), delimiter="," if file.suffix == ".csv" else "\t"))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_table_keeps_all_but_the_labels(
    tmp_path: Path, decided: Path, monkeypatch: pytest.MonkeyPatch, kind: str, in_place: bool
) -> None:
    monkeypatch.setattr("mixnn.results.apply.table.BATCH", 5)
    file = table(kind, tmp_path / "data")
    before, content = rows_of(file), file.read_bytes()
    run = make_run(tmp_path / "run", file)
    out = file if in_place else tmp_path / f"new/clean.{kind}"
    result = succeed("apply", run.path, decided, *(["--in-place"] if in_place else ["--out", out]))
    assert result.out.startswith(SUMMARY)
    assert len(result.out.splitlines()) == 1
    expected = [row | {"original_label": row["label"]} for row in before if row["file_name"] != "03.png"]
    assert rows_of(out) == [row | {"label": AFTER.get(str(row["file_name"]), row["label"])} for row in expected]
    if in_place:
        assert file.with_name(f"{file.name}.bak").read_bytes() == content
    else:
        assert file.read_bytes() == content
        assert (
            f"to go on: mixnn train {out} --data.root {file.parent} --config {run.path}/config.yaml --out" in result.out
        )
    assert labels_of(out) == {name: AFTER.get(name, LABELS[i]) for i, name in enumerate(NAMES) if name != "03.png"}
    if kind in ("csv", "tsv"):
        assert out.read_bytes()[:40] == content[:25].rstrip() + out.read_bytes()[len(content[:25].rstrip()) : 40]
        assert out.read_bytes().startswith(b"\xef\xbb\xbf")
        assert out.read_bytes().count(b"\r\n") == len(before)


def test_a_folder_to_write_to_gets_a_file_of_that_name_and_the_data_stays(tmp_path: Path, decided: Path) -> None:
    file = table("csv", tmp_path / "data")  # the run knows it by its whole path
    content = file.read_bytes()
    succeed("apply", make_run(tmp_path / "run", file).path, decided, "--out", tmp_path / "clean")
    assert [path.name for path in (tmp_path / "clean").iterdir()] == ["labels.csv"]
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == ["labels.csv"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_second_round_keeps_what_was_said_first(tmp_path: Path, decided: Path, kind: str) -> None:
    file = table(kind, tmp_path / "data")
    clean, cleaner = tmp_path / f"data/clean.{kind}", tmp_path / f"data/cleaner.{kind}"
    succeed("apply", make_run(tmp_path / "a", file).path, decided, "--out", clean)
    again = write_corrections(tmp_path / "again.csv", ("00.png", "owl", "other"))
    run = make_run(tmp_path / "b", clean)
    result = succeed("apply", run.path, again, "--out", cleaner)
    assert "--data.root" not in result.out  # beside its images
    first, _, third = rows_of(cleaner)[:3]
    assert (first["label"], first["original_label"]) == ("owl", "cat")
    assert (third["label"], third["original_label"]) == ("cat", "owl")  # decided in the first round alone


def test_a_second_round_on_arrays_keeps_what_was_said_first(tmp_path: Path) -> None:
    images, labels = np.arange(24 * 8 * 8 * 3).reshape(24, 8, 8, 3).astype(np.uint8), np.arange(24) % 3
    np.savez(tmp_path / "0.npz", train_images=images, train_labels=labels)
    rounds = [[("train/00001", "", "drop"), ("train/00003", "1", "other")], [("train/00000", "2", "other")]]
    for i, rows in enumerate(rounds):
        run = make_run(tmp_path / f"run{i}", f"npz:{tmp_path / f'{i}.npz'}")
        succeed("apply", run.path, write_corrections(tmp_path / "c.csv", *rows), "--out", tmp_path / f"{i + 1}.npz")
    found = np.load(tmp_path / "2.npz")
    assert found["original_labels"].tolist() == np.delete(labels, 1).tolist()
    assert found["train_labels"].tolist()[:3] == [2, 2, 1]


def test_numbers_in_parquet_stay_numbers(tmp_path: Path) -> None:
    rows = [{"file_name": name, "label": i % 3} for i, name in enumerate(NAMES)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "labels.parquet")
    run = make_run(tmp_path / "run", tmp_path / "labels.parquet")
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "2", "other"))
    succeed("apply", run.path, decided, "--out", tmp_path / "clean.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "clean.parquet")
    assert found.column("label").to_pylist() == [2, *(i % 3 for i in range(1, 24))]
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "cow", "other"))
    result = call("apply", run.path, decided, "--out", tmp_path / "other.parquet", "--new-classes")
    assert (result.code, (tmp_path / "other.parquet").exists()) == (2, False)
    assert "its labels are int64, which cannot say 'cow'" in result.err


def test_hugging_face_still_knows_the_classes(tmp_path: Path) -> None:
    """Images inside, numbers with a list of names: the file is one of `datasets` before and after."""
    datasets = pytest.importorskip("datasets")
    images = [{"bytes": b"no image", "path": f"{i:02d}.png"} for i in range(24)]
    kinds = datasets.ClassLabel(names=["cat", "dog", "owl"])
    features = datasets.Features({"image": datasets.Image(), "label": kinds})
    content = {"image": images, "label": [i % 3 for i in range(24)]}
    datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "a.parquet")
    run = make_run(tmp_path / "run", tmp_path / "a.parquet")
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "owl", "accept"), ("01.png", "", "drop"))
    succeed("apply", run.path, decided, "--out", tmp_path / "b.parquet")
    found = datasets.Dataset.from_parquet(str(tmp_path / "b.parquet"), cache_dir=str(tmp_path / "cache"))
    assert found.features["label"] == kinds
    assert found["label"][:3] == [2, 2, 0]
    assert found["original_label"][:3] == ["cat", "owl", "cat"]
    assert found.select_columns("image").with_format("arrow")[0].column(0).to_pylist() == images[:1]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_floats_in_a_table_become_whole_numbers_in_all_rows(tmp_path: Path, kind: str) -> None:
    """Or `1` and `1.0` would be two classes afterwards."""
    table = {"file_name": NAMES, "label": [f"{i % 3}.0" for i in range(24)]}
    rows = pyarrow.Table.from_pydict(table).to_pylist()
    file = tmp_path / f"labels.{kind}"
    if kind == "csv":
        file.write_text("\n".join(["file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows)]) + "\n")
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pydict(table), file)
    run = make_run(tmp_path / "run", file)
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "2.0", "other"), ("01.png", "1", "keep"))
    succeed("apply", run.path, decided, "--out", tmp_path / f"clean.{kind}")
    expected = ["2", *(str(i % 3) for i in range(1, 24))]
    assert [row["label"] for row in rows_of(tmp_path / f"clean.{kind}")] == expected
    assert [row["original_label"] for row in rows_of(tmp_path / f"clean.{kind}")] == [str(i % 3) for i in range(24)]
    assert list(labels_of(tmp_path / f"clean.{kind}", root=str(tmp_path)).values()) == expected


def test_labels_that_were_merged_stay_so(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    words = ["01", "1", "1", "2"] * 6
    file.write_text("\n".join(["file_name,label", *(f"{n},{w}" for n, w in zip(NAMES, words, strict=True))]) + "\n")
    run = make_run(tmp_path / "run", file, merge_similar_labels=True)
    assert run.read_classes() == ["1", "2"]
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "2", "other"), ("04.png", "1", "keep"))
    result = succeed("apply", run.path, decided, "--out", tmp_path / "clean.csv")
    config, *_ = parse(next_words(result.out)[1:])
    assert config.options.data.merge_similar_labels is True
    found = labels_of(tmp_path / "clean.csv", merge_similar_labels=True)
    assert list(found.values()) == ["2", *("2" if word == "2" else "1" for word in words[1:])]


@pytest.mark.parametrize("kind", ["float32", "bool"])
def test_arrays_of_floats_or_booleans(tmp_path: Path, kind: str) -> None:
    images, labels = np.arange(24 * 8 * 8 * 3).reshape(24, 8, 8, 3).astype(np.uint8), (np.arange(24) % 2).astype(kind)
    np.savez(tmp_path / "0.npz", x=images, y=labels)
    run = make_run(tmp_path / "run", f"npz:{tmp_path / '0.npz'}")
    other, kept = ("1", "1") if kind == "float32" else ("True", "True")
    decided = write_corrections(tmp_path / "c.csv", ("train/00000", other, "other"), ("train/00001", kept, "keep"))
    succeed("apply", run.path, decided, "--out", tmp_path / "1.npz")
    found = np.load(tmp_path / "1.npz")
    assert found["y"].dtype == found["original_labels"].dtype == kind
    assert found["y"].tolist() == [1, *(i % 2 for i in range(1, 24))]
    assert found["original_labels"].tolist() == labels.tolist()


@pytest.mark.parametrize("classes", [None, ["cat", "dog", "owl"]])
@pytest.mark.parametrize("folder", [False, True])
def test_arrays(tmp_path: Path, classes: list[str] | None, folder: bool) -> None:
    """MedMNIST's form: parts in one file, labels (N, 1); and a folder of .npy files."""
    images = np.arange(24 * 8 * 8 * 3).reshape(24, 8, 8, 3).astype(np.uint8)
    labels = (np.arange(24) % 3)[:, None].astype(np.uint8)
    arrays = {"train_images": images, "train_labels": labels, "train_ids": np.arange(24)}
    arrays |= {"test_images": images, "test_labels": labels} | (
        {} if classes is None else {"classes": np.array(classes)}
    )
    source = tmp_path / ("data" if folder else "data.npz")
    if folder:
        source.mkdir()
        for name, array in arrays.items():
            np.save(source / f"{name}.npy", array)
    else:
        np.savez(source, **arrays)
    run = make_run(tmp_path / "run", f"npz:{source}")
    words = classes or ["0", "1", "2"]
    rows = [("train/00000", words[1], "accept"), ("train/00002", "", "drop"), ("train/00003", words[0], "keep")]
    if classes is not None:
        rows += [("train/00004", "cow", "other"), ("train/00005", "cow", "other")]
    out = tmp_path / ("clean" if folder else "clean.npz")
    decided = write_corrections(tmp_path / "c.csv", *rows)
    succeed("apply", run.path, decided, "--out", out, *["--new-classes"] * (classes is not None))
    found = {file.stem: np.load(file) for file in out.iterdir()} if folder else dict(np.load(out))
    keep = np.arange(24) != 2
    after = labels.copy()
    after[0] = 1
    if classes is not None:
        after[4:6] = 3
    assert found["train_labels"].dtype == np.uint8
    assert np.array_equal(found["train_labels"], after[keep])
    assert np.array_equal(found["original_labels"], labels[keep, 0])
    assert np.array_equal(found["train_images"], images[keep])
    assert found["train_ids"].tolist() == np.arange(24)[keep].tolist()
    assert np.array_equal(found["test_images"], images)
    assert np.array_equal(found["test_labels"], labels)
    if classes is not None:
        assert found["classes"].tolist() == [*classes, "cow"]
    assert list(labels_of(f"npz:{out}").values())[:4] == [words[1], words[1], words[0], "cow" if classes else "1"]


def test_data_that_stays_as_it_is_gets_a_list(tmp_path: Path) -> None:
    data = write_cifar10(tmp_path / "cifar")
    run = make_run(tmp_path / "run", f"cifar10:{data}", holdout=0.1)
    decided = write_corrections(tmp_path / "c.csv", ("train/00000", "ship", "accept"), ("train/00001", "", "drop"))
    result = succeed("apply", run.path, decided, "--out", tmp_path / "clean")
    listed = tmp_path / "clean/labels.csv"
    assert (
        f"to go on: mixnn train cifar10:{data} --data.labels {listed} --config {run.path}/config.yaml --out"
        in result.out
    )
    assert read_csv(listed)[:2] == [
        {"file_name": "train/00000", "label": "ship", "original_label": "airplane"},
        {"file_name": "train/00001", "label": "", "original_label": "automobile"},
    ]
    found = labels_of(f"cifar10:{data}", labels=str(listed))
    assert found["train/00000"] == "ship"
    assert len(found) == 99
    decided = write_corrections(tmp_path / "c.csv", ("train/00000", "boat", "other"))
    result = call("apply", run.path, decided, "--out", tmp_path / "other", "--new-classes")
    assert (result.code, "the classes of this data cannot become more" in result.err) == (2, True)


def test_noise_for_an_experiment_counts_as_given(tmp_path: Path) -> None:
    """What was reviewed is what the run was given, and that is what the cleaned data begins with."""
    file = table("csv", tmp_path / "data")
    noisy = np.arange(1, 25) % 3
    run = make_run(tmp_path / "run", file, noisy=noisy)
    decided = write_corrections(tmp_path / "c.csv", ("00.png", "cat", "accept"), ("01.png", "owl", "keep"))
    succeed("apply", run.path, decided, "--out", tmp_path / "data/clean.csv")
    rows = rows_of(tmp_path / "data/clean.csv")
    words = [["cat", "dog", "owl"][label] for label in noisy]
    assert [row["label"] for row in rows] == ["cat", *words[1:]]
    assert [row["original_label"] for row in rows] == words
    result = call("apply", run.path, decided, "--in-place")
    assert (result.code, "the run had other labels than" in result.err) == (2, True)


def test_decisions_add_up_over_rounds(tmp_path: Path, decided: Path) -> None:
    """A run that was given decisions: they count in what its own review makes of the data."""
    file = table("csv", tmp_path / "data")
    run = make_run(tmp_path / "run", file, corrections=str(decided))
    again = write_corrections(tmp_path / "again.csv", ("02.png", "owl", "other"), ("05.png", "cat", "accept"))
    succeed("apply", run.path, again, "--out", tmp_path / "data/clean.csv")
    rows = {row["file_name"]: row for row in rows_of(tmp_path / "data/clean.csv")}
    assert "03.png" not in rows
    assert [rows[name]["label"] for name in ("00.png", "02.png", "05.png")] == ["dog", "owl", "cat"]
    assert [rows[name]["original_label"] for name in ("00.png", "02.png", "05.png")] == ["cat", "owl", "owl"]


def test_train_and_check_take_what_was_written(tmp_path: Path) -> None:
    """From a real run to a real run on the cleaned table, by the command that `apply` prints."""
    photos = write_folder(tmp_path / "photos")
    names = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    file = tmp_path / "labels.csv"
    file.write_text("path,kind\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names))
    options = ["--data.label-column", "kind", "--data.root", photos, "--data.holdout", "0"]
    few = [*SMALL, "--network", "mini", "--method", "ce", "--epochs", "1"]
    succeed("train", file, "--out", tmp_path / "run", *options, *few)
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "accept"), ("red/01.png", "", "drop"))
    out = tmp_path / "clean/labels.csv"
    result = succeed("apply", tmp_path / "run", decided, "--out", out)
    command = result.out.split("mixnn ")[1].split()
    assert command[:2] == ["train", str(out)]
    succeed(*command[:-1], tmp_path / "second", "--data.holdout", "0", *few)
    given = {row["file_name"]: row["given_label"] for row in read_csv(tmp_path / "second/labels.csv")}
    assert given == {name: name.split("/")[0] for name in names if name != "red/01.png"} | {"red/00.png": "blue"}
    succeed("check", out, *options[:-2], "--workers", "0")


def next_words(out: str) -> list[str]:
    """What `apply` says goes on, but for the program's name."""
    return shlex.split(out.strip().partition("to go on: ")[2])[1:]


@pytest.mark.slow
def test_what_goes_on_keeps_the_settings_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = write_folder(tmp_path / "photos")
    own = [*SMALL, "--network", "mini", "--epochs", 2, "--lr", "0.03", "--data.holdout", "0.25", "--seed", 7]
    own += ["--method", "gce", "--gce.q", "0.4", "--noise", "symmetric:0.1"]
    succeed("train", photos, "--out", "run", *own)
    decided = write_corrections(tmp_path / "corrections.csv", ("red/05.png", "blue", "other"))
    words = next_words(succeed("apply", "run", decided, "--out", "clean").out)
    assert words == ["train", "clean", "--noise", "null", "--config", "run/config.yaml", "--out", "runs/cleaned"]
    succeed(*words)
    before, after = read_yaml("run/config.yaml"), read_yaml("runs/cleaned/config.yaml")
    assert (before["network"], before["epochs"], before["data"]["holdout"], before["gce"]) == (
        "mini",
        2,
        0.25,
        {"q": 0.4} | before["gce"],
    )
    assert after == before | {"source": "clean", "noise": None}


@pytest.mark.slow
def test_what_goes_on_leaves_away_what_was_made_for_the_data_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = table("csv", tmp_path / "data")
    labels = write_corrections(tmp_path / "earlier.csv", ("05.png", "dog", "other"))
    np.save(tmp_path / "rows.npy", np.random.RandomState(0).normal(size=(24, 4)) + 5 * np.eye(3, 4)[np.arange(24) % 3])
    for name in NAMES:
        Image.new("RGB", (8, 8)).save(file.parent / name)
    own = ["--features", "rows.npy", "--seed", 3, "--data.image-size", 16, "--data.corrections", labels]
    succeed("find", file, "--out", "run", *own)
    decided = write_corrections(tmp_path / "corrections.csv", *DECISIONS)
    words = next_words(succeed("apply", "run", decided, "--out", "clean").out)
    assert words[:2] == ["find", "clean/labels.csv"]
    options = ["--data.corrections", "null", "--data.root", str(file.parent), "--features", "null"]
    assert words[2:] == [*options, "--config", "run/config.yaml", "--out", "runs/cleaned"]
    rows = np.random.RandomState(0).normal(size=(23, 4)) + 5 * np.eye(3, 4)[np.delete(np.arange(24) % 3, 3)]
    np.save(tmp_path / "others.npy", rows)
    succeed(*words, "--features", "others.npy")
    after, before = read_yaml("runs/cleaned/config.yaml"), read_yaml("run/config.yaml")
    data = before["data"] | {"corrections": None, "root": str(file.parent)}
    assert after == before | {"source": "clean/labels.csv", "features": "others.npy", "data": data}
