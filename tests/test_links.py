"""Symbolic links that lead out of the data: followed and told, and never written through."""

import os
import shutil
from pathlib import Path

import pytest
from contract.command import SMALL, call, read_csv, succeed, write_folder
from contract.refusal import assert_refused
from review_cases import make_run, write_corrections

FEW = [*SMALL, "--network", "mini", "--method", "ce", "--epochs", "1", "--data.holdout", "0"]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Two images of red are links to files elsewhere, one of them relative; all of blue is a link to a folder."""
    photos = write_folder(tmp_path / "photos", per_class=4)
    store = tmp_path / "store"
    store.mkdir()
    shutil.move(photos / "blue", store / "blue")
    (photos / "blue").symlink_to("../store/blue")
    for i, target in enumerate((store / "00.png", "../../store/01.png")):
        shutil.move(photos / f"red/{i:02d}.png", store)
        (photos / f"red/{i:02d}.png").symlink_to(target)
    return photos


def everything(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def told(photos: Path, count: int = 6) -> str:
    real = photos.parent / "store/blue/00.png"
    return f"mixnn: {count} images are read from outside the data, by links, such as {photos}/blue/00.png -> {real}\n"


def test_they_are_followed_and_told(linked: Path, tmp_path: Path) -> None:
    (linked / "green/inside.png").symlink_to("00.png")  # which leads nowhere else
    assert told(linked) in call("check", linked, "--workers", "0").err
    assert told(linked) in succeed("train", linked, *FEW, "--out", tmp_path / "run").err
    assert len(read_csv(tmp_path / "run/labels.csv")) == 13


@pytest.mark.parametrize("kind", ["metadata.csv", "list.csv"])
def test_tables_tell_them_too(linked: Path, kind: str) -> None:
    names = [f"{color}/0{i}.png" for color in ("blue", "green", "red") for i in range(4)]
    text = "file_name,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names)
    (linked / kind).write_text(text)
    assert told(linked) in call("check", linked / kind if kind == "list.csv" else linked, "--workers", "0").err


def test_a_data_folder_that_is_a_link_itself_is_inside(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", per_class=3)
    (tmp_path / "photos").symlink_to("real")
    assert "outside" not in succeed("check", tmp_path / "photos", "--workers", "0").err


def test_what_apply_links_is_told(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", per_class=4)
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "accept"))
    succeed("apply", make_run(tmp_path / "run", photos).path, decided, "--out", tmp_path / "new", "--mode", "symlink")
    assert "mixnn: 12 images are read from outside the data, by links" in call("check", tmp_path / "new").err


@pytest.mark.parametrize(
    ("decision", "folder"),
    [
        (("blue/00.png", "red", "other"), "photos/blue"),  # out of the linked folder
        (("green/00.png", "blue", "other"), "photos/blue"),  # into it
        (("blue/00.png", "", "drop"), "photos/blue"),
    ],
)
def test_in_place_moves_nothing_through_a_linked_folder(
    linked: Path, tmp_path: Path, decision: tuple[str, str, str], folder: str
) -> None:
    before = everything(tmp_path)
    run = make_run(tmp_path / "run", linked)
    decided = write_corrections(tmp_path / "c.csv", ("green/01.png", "red", "accept"), decision)
    result = call("apply", run.path, decided, "--in-place")
    *_, last = result.err.splitlines()
    real = tmp_path / "store/blue"
    assert result.code == 2
    assert last == f"mixnn: --in-place: {tmp_path / folder} is outside of {linked}, by a link to {real}: give --out"
    assert {name: text for name, text in everything(tmp_path).items() if name in before} == before
    assert not (linked / "corrections_applied.csv").exists()


def test_in_place_moves_links_and_not_what_they_lead_to(linked: Path, tmp_path: Path) -> None:
    before = everything(tmp_path / "store")
    run = make_run(tmp_path / "run", linked)
    rows = [("red/00.png", "green", "other"), ("red/01.png", "", "drop")]
    succeed("apply", run.path, write_corrections(tmp_path / "c.csv", *rows), "--in-place")
    assert everything(tmp_path / "store") == before
    assert os.readlink(linked / "green/00-red.png") == str(tmp_path / "store/00.png")
    assert (tmp_path / "photos-dropped/red/01.png").read_bytes() == before["01.png"]
    assert sorted(os.listdir(linked / "red")) == ["02.png", "03.png"]


def test_in_place_refuses_a_place_for_dropped_images_elsewhere(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", per_class=4)
    (tmp_path / "away").mkdir()
    (tmp_path / "photos-dropped").symlink_to("away")
    run = make_run(tmp_path / "run", photos)
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "", "drop"))
    assert_refused(call("apply", run.path, decided, "--in-place"), f"by a link to {tmp_path / 'away/red'}")
    assert (photos / "red/00.png").exists()


@pytest.mark.parametrize("where", ["file", "folder"])
def test_in_place_writes_no_table_through_a_link(tmp_path: Path, where: str) -> None:
    photos, away = write_folder(tmp_path / "photos", per_class=4), tmp_path / "away"
    text = "file_name,label\n" + "".join(f"{c}/0{i}.png,{c}\n" for c in ("blue", "green", "red") for i in range(4))
    if where == "file":
        away.mkdir()
        (away / "metadata.csv").write_text(text)
        (photos / "metadata.csv").symlink_to(away / "metadata.csv")
        named = f"{photos}/metadata.csv is a link to {away}/metadata.csv, which stays as it is: give --out"
    else:
        shutil.move(photos, away)
        (away / "metadata.csv").write_text(text)
        photos.mkdir()
        (photos / "train").symlink_to(away)
        named = f"{photos}/train is outside of {photos}, by a link to {away}: give --out"
    run = make_run(tmp_path / "run", photos)
    inside = "" if where == "file" else "train/"
    decided = write_corrections(tmp_path / "c.csv", (f"{inside}red/00.png", "blue", "other"))
    result = call("apply", run.path, decided, "--in-place")
    assert (result.code, named in result.err) == (2, True), result.err
    assert (away / "metadata.csv").read_text() == text
    assert not (away / "metadata.csv.bak").exists()


def test_in_place_writes_no_list_through_a_link(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", per_class=4)
    text = "file_name,label\n" + "".join(f"{c}/0{i}.png,{c}\n" for c in ("blue", "green", "red") for i in range(4))
    (tmp_path / "master.csv").write_text(text)
    (photos / "list.csv").symlink_to(tmp_path / "master.csv")
    run = make_run(tmp_path / "run", photos / "list.csv")
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "other"))
    assert_refused(call("apply", run.path, decided, "--in-place"), "list.csv is a link to", "give --out")
    assert (tmp_path / "master.csv").read_text() == text
