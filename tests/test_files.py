"""Images that are still encoded: where they come from, which are selected, and when they count as changed."""

import builtins
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.images.encoded import EncodedImages, ImageBytes, ImageFiles, Names, Selection, pick


@pytest.fixture
def root(tmp_path):
    for name in ("a.png", "b.png", "sub/c.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return tmp_path / "photos"


def touch(path: Path, content: str | None = None, later: int = 0) -> None:
    """Other contents, at a time `later` nanoseconds after that of the file."""
    status = path.stat()
    if content is not None:
        path.write_text(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later))


# Names


@pytest.mark.parametrize("name", ["a.png", "sub/c.png", "sub/../a.png", "sub/../sub/./c.png", "a..b.png", "..a.png"])
def test_a_name_inside_is_a_path(root, name):
    assert ImageFiles(root, [name]).source(0) == os.path.join(root, name)


@pytest.mark.parametrize("name", ["../x.png", "sub/../../x.png", "/etc/passwd", "..", "../photos2/a.png"])
def test_a_name_that_leads_out_is_a_bad_image(root, name):
    with pytest.raises(BadImage, match=r"lies outside .*photos; to allow it, give --data\.root a folder above"):
        ImageFiles(root, [name]).source(0)
    assert ImageFiles(root, [name], keep_inside=False).source(0) == os.path.join(root, name)


def test_an_absolute_name_inside_is_a_path(root):
    assert ImageFiles(root, [str(root / "a.png")]).source(0) == str(root / "a.png")


@pytest.mark.parametrize("name", ["zero\0byte.png", "gone.png", "x" * 5000, ""])
def test_an_impossible_name_has_a_stamp_and_a_reason(root, name):
    files = ImageFiles(root, ["a.png", name])
    assert files.stamp() == files.stamp()
    with pytest.raises(BadImage):
        decode(files.source(1), 8)


def test_names_that_are_not_utf8(root):
    name = os.fsdecode(b"\xff\xe4.png")
    before = ImageFiles(root, [name]).stamp()
    Path(root, name).write_text("content")
    assert Path(ImageFiles(root, [name]).source(0)).read_text() == "content"
    assert ImageFiles(root, [name]).stamp() != before


# Selections


def test_a_selection_of_a_selection(root):
    files = ImageFiles(root, [f"{i}.png" for i in range(10)])
    some = files[3:8][np.array([4, 0, 0])]
    assert (len(some), some.rows.tolist(), some.rows.dtype) == (3, [7, 3, 3], np.int64)
    assert some.base is files
    assert [some.source(i) for i in range(3)] == [files.source(row) for row in (7, 3, 3)]
    assert len(files[:0]) == 0


def test_pick_takes_what_an_array_takes():
    words = ["a", "b", "c", "d"]
    for rows in (slice(1, None, 2), np.array([3, 0, 0]), np.array([], dtype=np.int64)):
        assert pick(words, rows) == np.array(words)[rows].tolist()


@pytest.mark.parametrize(
    "make", [lambda root: ImageFiles(root, ["a.png", "b.png"]), lambda _: ImageBytes([b"", b"x"], "")]
)
def test_images_travel_to_other_processes(root, make):
    images: EncodedImages = make(root)
    for sent in (images, images[1:]):
        arrived = pickle.loads(pickle.dumps(sent))
        assert (arrived.stamp(), len(arrived)) == (sent.stamp(), len(sent))
        assert arrived.source(len(sent) - 1) == sent.source(len(sent) - 1)


def test_bytes_of_a_table():
    images = ImageBytes([b"one", None], "table.parquet, Monday")
    assert (len(images), images.source(0), images[:1].source(0)) == (2, b"one", b"one")
    with pytest.raises(BadImage, match="holds no image"):
        images.source(1)


# Stamps


def test_a_stamp_stays_as_long_as_nothing_changes(root, monkeypatch):
    names = ["a.png", "b.png", "gone.png"]
    stamp = ImageFiles(root, names).stamp()
    assert ImageFiles(str(root), tuple(names)).stamp() == stamp
    monkeypatch.chdir(root.parent)
    assert ImageFiles("photos", names).stamp() == stamp  # however the folder is called


@pytest.mark.parametrize(
    "change",
    [
        lambda root: touch(root / "a.png", "longer than it was before"),
        lambda root: touch(root / "b.png", later=1),
        lambda root: (root / "a.png").unlink(),
        lambda root: (root / "gone.png").write_text(""),
        lambda root: (root / "a.png").rename(root / "b.png"),
    ],
    ids=["size", "time", "removed", "added", "renamed"],
)
def test_a_stamp_changes_with_the_files(root, change):
    files = ImageFiles(root, ["a.png", "b.png", "gone.png"])
    before = files.stamp()
    change(root)
    assert files.stamp() != before


def test_stamps_differ_by_folder_names_order_and_what_may_lead_out(root):
    stamps = [
        ImageFiles(root, ["a.png", "b.png"]).stamp(),
        ImageFiles(root, ["b.png", "a.png"]).stamp(),
        ImageFiles(root, ["a.png"]).stamp(),
        ImageFiles(root, ["a.png", "a.png"]).stamp(),
        ImageFiles(root, []).stamp(),
        ImageFiles(root / "sub", ["a.png", "b.png"]).stamp(),
        ImageFiles(root, ["a.png", "b.png"], keep_inside=False).stamp(),
    ]
    assert len(set(stamps)) == len(stamps)


def test_contents_are_not_read_for_a_stamp(root, monkeypatch):
    """A million files are stamped in seconds; the time of change, which nobody can set, tells another content."""
    before = ImageFiles(root, ["a.png"]).stamp()
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    touch(root / "a.png", "CONTENT OF A.PNG")
    monkeypatch.delattr(builtins, "open")
    assert ImageFiles(root, ["a.png"]).stamp() != before


def test_stamps_of_selections_and_tables():
    column = ImageBytes([b"1", b"2", b"3"], "Monday")
    stamps = [
        column.stamp(),
        column[:].stamp(),
        column[:2].stamp(),
        column[np.array([1, 0])].stamp(),
        ImageBytes([b"1", b"2"], "Monday").stamp(),
        ImageBytes([b"1", b"2", b"3"], "Tuesday").stamp(),
    ]
    assert len(set(stamps)) == len(stamps)
    assert column[:2].stamp() == Selection(column, np.array([0, 1])).stamp()


def test_names_are_as_in_a_list():
    listed = ["a.png", "", "ä/😀.jpg", os.fsdecode(b"\xff\xfe.jpg"), "a.png"]
    names = Names(listed)
    assert list(names) == listed
    assert (len(names), names[-1], names[1:4], names[::-2]) == (5, "a.png", listed[1:4], listed[::-2])
    with pytest.raises(IndexError):
        names[5]
    assert list(Names([])) == []
