"""`mixnn apply` on folders of images: each file at its class, nested as it was, and none of them lost."""

import os
from pathlib import Path

import pytest
from contract.command import SMALL, call, read_csv, succeed, write_folder
from review_cases import labels_of, make_run, write_corrections


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = write_folder(tmp_path / "photos", per_class=4)
    (root / "red/deep/er").mkdir(parents=True)
    (root / "red/00.png").rename(root / "red/deep/er/00.png")
    (root / "notes.txt").write_text("of nobody's business")
    return root


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    rows = [("red/deep/er/00.png", "blue", "accept"), ("red/01.png", "blue", "other"), ("green/02.png", "", "drop")]
    return write_corrections(tmp_path / "corrections.csv", *rows, ("blue/03.png", "blue", "keep"))


MOVED = {"red/deep/er/00.png": "blue/deep/er/00.png", "red/01.png": "blue/01-red.png", "green/02.png": ""}


def contents(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*.png")}


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_files_go_to_their_class(photos: Path, decided: Path, tmp_path: Path, mode: str) -> None:
    before = contents(photos)
    run, out = make_run(tmp_path / "run", photos), tmp_path / "new/clean"
    result = succeed("apply", run.path, decided, "--out", out, "--mode", mode)
    assert f"2 labels changed; to go on: mixnn train {out} --config {run.path}/config.yaml --out" in result.out
    assert contents(photos) == before
    assert contents(out) == {
        MOVED.get(name, name): content for name, content in before.items() if MOVED.get(name, name)
    }
    found = out / "blue/01-red.png"
    assert found.is_symlink() == (mode == "symlink")
    assert found.samefile(photos / "red/01.png") == (mode != "copy")
    record = read_csv(out / "corrections_applied.csv")
    assert list(record[0]) == ["file_name", "label", "original_label", "decision", "original_file_name"]
    assert sorted(tuple(row.values()) for row in record) == [
        ("", "", "green", "drop", "green/02.png"),
        ("blue/01-red.png", "blue", "red", "other", "red/01.png"),
        ("blue/03.png", "blue", "blue", "keep", "blue/03.png"),
        ("blue/deep/er/00.png", "blue", "red", "accept", "red/deep/er/00.png"),
    ]
    assert labels_of(out) == {name: name.split("/")[0] for name in contents(out)}
    assert os.listdir(out.parent) == ["clean"]  # nothing half-made


def test_a_run_on_the_cleaned_folder_sees_the_labels(photos: Path, decided: Path, tmp_path: Path) -> None:
    few = [*SMALL, "--network", "mini", "--method", "ce", "--epochs", "1", "--data.holdout", "0"]
    succeed("train", photos, "--out", tmp_path / "run", *few)
    succeed("apply", tmp_path / "run", decided, "--out", tmp_path / "clean")
    succeed("train", tmp_path / "clean", "--out", tmp_path / "second", *few)
    given = {row["file_name"]: row["given_label"] for row in read_csv(tmp_path / "second/labels.csv")}
    assert given == {name: name.split("/")[0] for name in contents(tmp_path / "clean")}
    assert given["blue/01-red.png"] == "blue"
    succeed("check", tmp_path / "clean", "--workers", "0")


def test_in_place(photos: Path, decided: Path, tmp_path: Path) -> None:
    before = contents(photos)
    result = succeed("apply", make_run(tmp_path / "run", photos).path, decided, "--in-place")
    assert f"changed in place: {photos}" in result.out
    assert contents(photos) == {MOVED.get(name, name): file for name, file in before.items() if MOVED.get(name, name)}
    assert contents(tmp_path / "photos-dropped") == {"green/02.png": before["green/02.png"]}
    assert (photos / "notes.txt").exists()
    assert not (photos / "red/deep").exists()
    assert len(read_csv(photos / "corrections_applied.csv")) == 4
    # The run is one of the data as it was.
    result = call("apply", tmp_path / "run", decided, "--in-place")
    assert (result.code, ", which the run was trained on: give the run's data" in result.err) == (2, True)
    again = write_corrections(tmp_path / "again.csv", ("blue/01-red.png", "red", "other"))
    succeed("apply", make_run(tmp_path / "other", photos).path, again, "--in-place")
    assert contents(photos)["red/01-red.png"] == before["red/01.png"]
    assert len(read_csv(photos / "corrections_applied-2.csv")) == 1


def test_a_class_that_is_emptied_in_place_is_gone(photos: Path, tmp_path: Path) -> None:
    rows = [(f"green/{i:02d}.png", "red", "other") for i in range(4)]
    run = make_run(tmp_path / "run", photos)
    succeed("apply", run.path, write_corrections(tmp_path / "c.csv", *rows), "--in-place")
    assert sorted(set(labels_of(photos).values())) == ["blue", "red"]


def test_parts_and_new_classes(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_folder(tmp_path / "data" / part, per_class=4)
    run, out = make_run(tmp_path / "run", tmp_path / "data"), tmp_path / "clean"
    rows = [("train/red/00.png", "big, pink", "other"), ("train/red/01.png", "big, pink", "other")]
    decided = write_corrections(tmp_path / "c.csv", *rows)
    assert "'big, pink', which is no class" in call("apply", run.path, decided, "--out", out).err
    succeed("apply", run.path, decided, "--out", out, "--new-classes")
    assert sorted(os.listdir(out / "train")) == ["big, pink", "blue", "green", "red"]
    assert contents(out / "val") == contents(tmp_path / "data/val")
    assert labels_of(out)["train/big, pink/00.png"] == "big, pink"
    for name in ("a/b", "..", ".hidden"):
        decided = write_corrections(tmp_path / "c.csv", ("train/red/00.png", name, "other"))
        result = call("apply", run.path, decided, "--out", tmp_path / "other", "--new-classes")
        assert (result.code, "cannot be the name of a folder" in result.err) == (2, True)
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("part", ["", "train/"])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_folder_with_a_table(tmp_path: Path, part: str, in_place: bool) -> None:
    """The table says the labels, so that the images stay where they are."""
    root = write_folder(tmp_path / "data" / part / "images", per_class=4).parent
    names = sorted(str(file.relative_to(root)) for file in root.rglob("*.png"))
    rows = "".join(f"{name},{name.split('/')[1]},x\n" for name in names)
    (root / "metadata.csv").write_text(f"file_name,label,note\n{rows}../outside.png,red,y\n")
    (root.parent / "outside.png").write_bytes(b"not ours")
    run = make_run(tmp_path / "run", tmp_path / "data")
    first, second = f"{part}images/red/00.png", f"{part}images/red/01.png"
    decided = write_corrections(tmp_path / "c.csv", (first, "blue", "accept"), (second, "", "drop"))
    before = contents(tmp_path / "data")
    succeed("apply", run.path, decided, *(["--in-place"] if in_place else ["--out", tmp_path / "new/clean"]))
    out = tmp_path / ("data" if in_place else "new/clean")
    assert contents(out) == (before if in_place else {name: file for name, file in before.items() if name != second})
    found = read_csv(out / part / "metadata.csv")
    assert list(found[0]) == ["file_name", "label", "note", "original_label"]
    assert len(found) == len(names)
    assert labels_of(out)[first] == "blue"
    assert second not in labels_of(out)
    assert (root / "metadata.csv.bak").exists() == in_place
    assert not (tmp_path / "new/outside.png").exists()


def test_a_link_that_cannot_be_made(
    photos: Path, decided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", fail)
    run = make_run(tmp_path / "run", photos)
    result = call("apply", run.path, decided, "--out", tmp_path / "clean", "--mode", "hardlink")
    assert (result.code, "Invalid cross-device link): use --mode copy" in result.err) == (2, True)
    assert not (tmp_path / "clean").exists()
