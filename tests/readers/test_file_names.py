"""Names in a table that are no files as they stand: found and said, or one line that says what to do."""

from pathlib import Path

import pytest
from PIL import Image

from mixnn.config import DataOptions
from mixnn.data.read import read
from mixnn.errors import InputError


def write(folder: Path, files: list[str], names: list[str], header: str = "path") -> str:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / file)
    rows = [f"{name},{word}" for name, word in zip(names, ["cat", "dog"] * len(names), strict=False)]
    (folder / "data.csv").write_text("\n".join([f"{header},label", *rows]) + "\n")
    return str(folder / "data.csv")


def found(source: str, **options: str) -> list[bool]:
    dataset = read(source, DataOptions(**options))
    return [Path(str(dataset.train.images.source(row))).is_file() for row in range(len(dataset.train))]


@pytest.mark.parametrize(
    ("names", "header", "told"),
    [
        (["in/1.jpg", "in/2.png"], "path", []),
        (
            [r"in\1.jpg", r"in\2.png"],
            "path",
            [r"backslashes in file names are taken for folders, 'in\\1.jpg' as 'in/1.jpg'"],
        ),
        (["in/1", "in/2"], "image_id", ["file names have no ending, 'in/1' is taken as 'in/1.jpg'"]),
        (
            [r"in\1", r"in\2"],
            "path",
            [
                r"backslashes in file names are taken for folders, 'in\\1' as 'in/1'",
                r"file names have no ending, 'in\\1' is taken as 'in/1.jpg'",
            ],
        ),
    ],
)
def test_found_and_said(names, header, told, tmp_path, capsys):
    source = write(tmp_path, ["in/1.jpg", "in/2.png"], names, header)
    assert found(source) == [True, True]
    assert read(source, DataOptions()).train.names == names  # as the table has them
    lines = [line for line in capsys.readouterr().err.splitlines() if "table" in line]
    assert lines[: len(told)] == [f"mixnn: table {source}: {line}" for line in told]


@pytest.mark.parametrize(
    ("names", "root", "told"),
    [
        (["1.jpg", "2.png"], "", "no file '1.jpg' in {0}, but in {0}/in: add --data.root {0}/in"),
        (["1", "2"], "", "no file '1' in {0}, but in {0}/in: add --data.root {0}/in"),
        (["in/1.jpg", "in/2.png"], "in", "no file 'in/1.jpg' in {0}/in, but in {0}: add --data.root {0}"),
    ],
)
def test_another_folder_is_told(names, root, told, tmp_path, capsys):
    source = write(tmp_path, ["in/1.jpg", "in/2.png"], names)
    options = {"root": str(tmp_path / root)} if root else {}
    assert found(source, **options) == [False, False]
    assert f"mixnn: table {source}: {told.format(tmp_path)}" in capsys.readouterr().err.splitlines()


def test_addresses_are_refused(tmp_path):
    source = write(tmp_path, [], ["https://a.org/1.jpg", "s3://b/2.jpg"])
    with pytest.raises(
        InputError, match=r"'https://a\.org/1.jpg' is an address: download the images, and write file names"
    ):
        read(source, DataOptions())


def test_what_is_nowhere_stays(tmp_path, capsys):
    assert found(write(tmp_path, [], ["a.jpg", "b.jpg"])) == [False, False]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["True", "False"], ["yes", "no"]])
def test_booleans_are_classes(words, tmp_path):
    source = write(tmp_path, ["1.jpg", "2.jpg"], ["1.jpg", "2.jpg"])
    text = Path(source).read_text().replace("cat", words[0]).replace("dog", words[1])
    Path(source).write_text(text)
    assert sorted(read(source, DataOptions()).classes) == sorted(words)
