"""What `mixnn apply` does not do: each time one line, exit code 2, and nothing written."""

from pathlib import Path

import pytest
from contract.command import call, succeed, write_folder
from review_cases import make_run, write_corrections


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("refusals")
    photos = write_folder(root / "photos", per_class=4)
    make_run(root / "run", photos)
    write_corrections(root / "good.csv", ("red/00.png", "blue", "accept"), ("red/01.png", "red", "keep"))
    write_corrections(root / "strange.csv", ("train/00001", "blue", "accept"))
    write_corrections(root / "cow.csv", ("red/00.png", "cow", "other"))
    write_corrections(root / "kept.csv", ("red/00.png", "blue", "keep"))
    write_corrections(root / "twice.csv", ("red/00.png", "blue", "other"), ("red/00.png", "", "drop"))
    write_corrections(root / "empty.csv")
    (root / "full").mkdir()
    (root / "full/file").write_text("here")
    (root / "labels.csv").write_text(
        "file_name,label\n" + "".join(f"red/{i:02d}.png,{'ab'[i % 2]}\n" for i in range(4))
    )
    make_run(root / "table", root / "labels.csv", root=str(photos))
    write_corrections(root / "table.corrections", ("red/00.png", "b", "accept"))
    return root


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run good.csv", "give --out for a place to write to, or --in-place, and not both"),
        ("run good.csv --out new --in-place", "and not both"),
        ("photos good.csv --out new", "photos is not a run directory"),
        ("run missing.csv --out new", "missing.csv cannot be read (No such file or directory)"),
        (
            "run strange.csv --out new",
            "1 of 1 files that the data has not, first 'train/00001': corrections of another",
        ),
        (
            "run cow.csv --out new",
            "red/00.png is 'cow', which is no class: correct it; they are 'blue', 'green', 'red'",
        ),
        (
            "run kept.csv --out new",
            "keeps red/00.png as 'blue', but the run was given 'red': corrections of another run",
        ),
        ("run twice.csv --out new", "line 3: red/00.png is decided twice, other blue and drop: keep one"),
        ("run empty.csv --out new", "empty.csv has no rows"),
        ("run good.csv --out full", "--out full already holds files: choose a new place"),
        ("run good.csv --out good.csv", "--out good.csv already holds a file"),
        ("run good.csv --out photos/new", "--out photos/new lies inside the data"),
        ("run good.csv --out good.csv/new", "good.csv/new cannot be written (File exists)"),
        ("run good.csv --out new --mode move", "--mode"),
        ("run good.csv --out new --source nowhere", "nowhere does not exist"),
        ("run good.csv --out new --source full", "has no sub-folders"),
        ("run good.csv --out new --in-plaec", "did you mean --in-place?"),
        ("run", "CORRECTIONS"),
        ("table table.corrections --out labels.csv", "--out labels.csv already holds a file"),
        ("table table.corrections --out full", "--out full already holds files"),
    ],
)
def test_one_line(place: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    result = call("apply", *words.split())
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert sorted(place.rglob("*")) == before


def test_labels_that_are_others_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_folder(tmp_path / "photos", per_class=4)
    run = make_run(tmp_path / "run", photos)
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "accept"))
    (photos / "green/03.png").unlink()
    result = call("apply", run.path, decided, "--out", tmp_path / "new")
    assert (result.code, "the data has no 'green/03.png', which the run was trained on" in result.err) == (2, True)
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(6)))
    run = make_run(tmp_path / "second", table)
    decided = write_corrections(tmp_path / "c.csv", ("0.png", "b", "accept"))
    succeed("apply", run.path, decided, "--in-place")
    result = call("apply", run.path, decided, "--out", tmp_path / "new.csv")  # of what it made itself
    assert (result.code, "the data says 'b' of 0.png, but the run was given 'a'" in result.err) == (2, True)
    result = call("apply", make_run(tmp_path / "third", table).path, decided, "--in-place")
    assert (result.code, "labels.csv.bak, which exists: move it away" in result.err) == (2, True)


def test_in_place_is_for_tables_and_folders(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "demo:")
    name = run.read_table(run.labels)[0]["file_name"]
    decided = write_corrections(tmp_path / "c.csv", (name, "", "drop"))
    result = call("apply", run.path, decided, "--in-place")
    assert (result.code, "--in-place changes tables and folders, not demo: give --out" in result.err) == (2, True)


def test_data_that_was_moved(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", per_class=4)
    run = make_run(tmp_path / "run", photos)
    photos.rename(tmp_path / "elsewhere")
    decided = write_corrections(tmp_path / "c.csv", ("red/00.png", "blue", "accept"))
    assert call("apply", run.path, decided, "--out", tmp_path / "new").code == 2
    succeed("apply", run.path, decided, "--out", tmp_path / "new", "--source", tmp_path / "elsewhere")
    assert (tmp_path / "new/blue/00-red.png").is_file()
