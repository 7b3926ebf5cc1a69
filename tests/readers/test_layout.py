"""What folders are taken for: parts above classes or below, wrappers, labels of a table; and what is said of it."""

from pathlib import Path

import pytest
from test_folder import content, make, write

from mixnn.data.dataset import Source
from mixnn.data.readers import Columns
from mixnn.data.readers.folder import read_folder
from mixnn.data.readers.table import read_csv, read_tsv
from mixnn.errors import InputError

KAGGLE = [f"seg_{part}/seg_{part}/{name}/{i}.jpg" for part in ("train", "test") for name in "ab" for i in range(2)]
BELOW = ["bottle/train/good/1.png", "bottle/test/good/2.png", "cable/train/good/1.png", "cable/test/cut/2.png"]


def read(root: Path, layout: str | None = None, **columns: str) -> Source:
    return read_folder(str(root), Columns(layout=layout, **columns))


def told(source: Source, root: Path) -> list[str]:
    return [note.replace(str(root), "DATA") for note in source.notes]


# Parts


def test_kaggle_parts(tmp_path):
    make(tmp_path, *KAGGLE, *(f"seg_pred/seg_pred/{i}.jpg" for i in range(3)))
    source = read(tmp_path)
    assert set(source.parts) == {"train", "test"}
    assert content(source) == {name: name.split("/")[2] for name in KAGGLE[:4]}
    assert content(source, "test") == {name: name.split("/")[2] for name in KAGGLE[4:]}
    assert told(source, tmp_path) == [
        "DATA/seg_pred/seg_pred has no class folders: 3 images are passed over",
        "parts of DATA: seg_train/seg_train is train, seg_test/seg_test is test; "
        "--data.layout classes takes each folder for a class",
    ]


@pytest.mark.parametrize(
    ("train", "test", "split"),
    [
        ("training_set", "test_set", "test"),
        ("training_set/training_set", "test_set/test_set", "test"),
        ("TrainSet", "TestSet", "test"),
        ("train2017", "val2017", "val"),
        ("my train", "eval.images", "val"),
        ("train/images", "test/images", "test"),
        ("train", "predictions", "pred"),
    ],
)
def test_names_of_parts(tmp_path, train, test, split):
    make(tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/1.jpg", f"{test}/cat/1.jpg", f"{test}/dog/1.jpg")
    source = read(tmp_path)
    assert content(source) == {f"{train}/cat/1.jpg": "cat", f"{train}/dog/1.jpg": "dog"}
    assert content(source, split) == {f"{test}/cat/1.jpg": "cat", f"{test}/dog/1.jpg": "dog"}
    assert len(source.notes) == 1


def test_usual_parts_are_no_news(tmp_path):
    assert read(make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "Test/cat/1.jpg")).notes == []


def test_a_test_part_without_labels_is_passed_over(tmp_path):
    source = read(make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/test/1.jpg", "test/test/2.jpg"))
    assert set(source.parts) == {"train"}
    assert told(source, tmp_path) == ["DATA/test/test has no class folders: 2 images are passed over"]


def test_a_part_with_one_class_of_nested_folders_is_no_wrapper(tmp_path):
    source = read(make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/old/1.jpg"))
    assert content(source, "test") == {"test/cat/old/1.jpg": "cat"}


@pytest.mark.parametrize("strange", ["extra/1.jpg", "annotations/a.xml", "ground_truth/cat/1.jpg"])
def test_what_lies_beside_parts_is_asked_about(tmp_path, strange):
    make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "seg_test/cat/1.jpg", strange)
    name = strange.split("/")[0]
    question = (
        f"has 'seg_test', 'train', called like parts of the data, beside '{name}': --data.layout classes takes every "
        "folder for a class, --data.layout parts passes over what is no part"
    )
    with pytest.raises(InputError, match=question):
        read(tmp_path)
    source = read(tmp_path, "parts")
    assert set(source.parts) == {"train", "test"}
    count = "0 images are" if strange.endswith("xml") else "1 image is"
    assert told(source, tmp_path)[0] == f"'{name}' in DATA: {count} passed over, as in no part"
    if not strange.endswith("xml"):
        assert set(content(read(tmp_path, "classes")).values()) == {name, "train", "seg_test"}


def test_classes_called_like_parts(tmp_path):
    make(tmp_path, "valid/1.jpg", "invalid/1.jpg")
    with pytest.raises(InputError, match="has 'valid', called like parts of the data, beside 'invalid'"):
        read(tmp_path)
    assert set(content(read(tmp_path, "classes")).values()) == {"valid", "invalid"}
    both = make(tmp_path / "both", "positive_test/1.jpg", "negative_test/1.jpg")
    with pytest.raises(InputError, match=r"or --data.layout classes where these are classes"):
        read(both)
    assert set(content(read(both, "classes")).values()) == {"positive_test", "negative_test"}


def test_a_layout_that_does_not_fit(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg")
    with pytest.raises(InputError, match=r"--data.layout parts: no folder in .* is called like a part: leave it away"):
        read(tmp_path, "parts")
    with pytest.raises(InputError, match=r"--data.layout metadata: .* has no metadata.csv, .jsonl or .parquet"):
        read(tmp_path, "metadata")


# Parts below classes


def test_parts_below_classes(tmp_path):
    source = read(make(tmp_path, *BELOW))
    assert content(source) == {"bottle/train/good/1.png": "bottle", "cable/train/good/1.png": "cable"}
    assert content(source, "test") == {"bottle/test/good/2.png": "bottle", "cable/test/cut/2.png": "cable"}
    assert told(source, tmp_path) == [
        "parts below the classes of DATA: test is test, train is train; --data.layout classes takes a class together"
    ]
    assert set(content(read(tmp_path, "classes"))) == set(BELOW)


@pytest.mark.parametrize("more", ["bottle/ground_truth/cut/1.png", "cable/3.png"])
def test_what_lies_beside_parts_below_classes_is_asked_about(tmp_path, more):
    make(tmp_path, *BELOW, more)
    first, second, _ = [*more.split("/"), ""][:3]
    with pytest.raises(InputError, match=f"called like parts of the data, beside '{first}/{second}': --data.layout"):
        read(tmp_path)
    source = read(tmp_path, "parts")
    assert set(content(source)) == {BELOW[0], BELOW[2]}
    assert told(source, tmp_path)[0] == f"'{first}/{second}' in DATA: 1 image is passed over, as in no part"
    assert set(content(read(tmp_path, "classes"))) == {*BELOW, more}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/test/1.png", "b/test/1.png"], "has test below its classes, but no train beside them"),
        (["a/train/1.png", "a/test/1.png", "b/test/1.png"], "class folder .*/b has no images"),
    ],
)
def test_parts_below_classes_without_train(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        read(make(tmp_path, *names))


# Wrappers


@pytest.mark.parametrize("wrapper", ["photos", "data/images", "archive"])
def test_wrappers(tmp_path, wrapper):
    root = make(tmp_path / "photos", f"{wrapper}/cat/1.jpg", f"{wrapper}/dog/1.jpg", "__MACOSX/x/._1.jpg", "readme.md")
    source = read(root)
    assert content(source) == {f"{wrapper}/cat/1.jpg": "cat", f"{wrapper}/dog/1.jpg": "dog"}
    assert told(source, root) == [f"the data is taken from {wrapper}/, the only folder in DATA"]


def test_a_wrapper_around_parts_or_a_table(tmp_path):
    source = read(make(tmp_path / "a", "x/train/cat/1.jpg", "x/train/dog/1.jpg", "x/test/cat/1.jpg"))
    assert (len(content(source)), len(content(source, "test"))) == (2, 1)
    write(tmp_path / "b/x/metadata.csv", "file_name,label\n1.jpg,cat\nin/2.jpg,dog\n")
    source = read(make(tmp_path / "b", "x/1.jpg", "x/in/2.jpg"))
    assert content(source) == {"x/1.jpg": "cat", "x/in/2.jpg": "dog"}
    assert [source.parts["train"].images.source(i) for i in range(2)] == [
        str(tmp_path / "b/x/1.jpg"),
        str(tmp_path / "b/x/in/2.jpg"),
    ]


def test_a_part_alone_and_a_loop(tmp_path):
    source = read(make(tmp_path / "seg_test", "seg_test/cat/1.jpg", "seg_test/dog/1.jpg"))
    assert set(content(source)) == {"seg_test/cat/1.jpg", "seg_test/dog/1.jpg"}
    make(tmp_path / "loop", "in/")
    (tmp_path / "loop/in/again").symlink_to("..")
    with pytest.raises(InputError, match="has no"):
        read(tmp_path / "loop")


# What is passed over


def test_images_and_tables_beside_class_folders(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg", "a.png", "b.png", "notes.txt")
    write(tmp_path / "train.csv", "id,label\n")
    assert told(read(tmp_path), tmp_path) == [
        "'a.png', 'b.png' in DATA: 2 images are passed over, as in no class folder",
        "not read: 'train.csv' in DATA; to take labels of a table, give it as DATA, with --data.root DATA",
    ]


def test_no_class_folders_but_a_table(tmp_path):
    make(tmp_path, "1.jpg")
    write(tmp_path / "labels.csv", "file_name,label\n")
    with pytest.raises(InputError, match=r"has no sub-folders: give .*labels.csv as DATA if it has the labels"):
        read(tmp_path)


# Tables beside folders


def test_folders_win_unless_a_column_is_called_label(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg")
    write(tmp_path / "metadata.csv", "file_name,camera\ncat/1.jpg,nikon\ndog/2.jpg,canon\n")
    source = read(tmp_path)
    assert content(source) == {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}
    assert told(source, tmp_path) == [
        "DATA/metadata.csv has no column called label, only 'file_name', 'camera': the folders are the classes; "
        "--data.label-column NAME takes a column"
    ]
    for columns in ({"label": "camera"}, {"layout": "metadata"}):
        source = read(tmp_path, **columns)
        assert content(source) == {"cat/1.jpg": "nikon", "dog/2.jpg": "canon"}
        assert told(source, tmp_path) == [
            "labels are those of DATA/metadata.csv, not of the folders: --data.layout classes takes these"
        ]
    write(tmp_path / "metadata.csv", "file_name,Label\ncat/1.jpg,x\ndog/2.jpg,y\n")
    assert content(read(tmp_path)) == {"cat/1.jpg": "x", "dog/2.jpg": "y"}
    source = read(tmp_path, "classes")
    assert content(source) == {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}
    assert told(source, tmp_path) == ["DATA/metadata.csv is not read: --data.layout classes"]


def test_folders_win_inside_parts_too(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "test/cat/1.jpg", "test/dog/2.jpg")
    write(tmp_path / "train/metadata.csv", "file_name,camera\ncat/1.jpg,nikon\ndog/2.jpg,canon\n")
    write(tmp_path / "metadata.csv", "file_name,camera\ntrain/cat/1.jpg,nikon\ntrain/dog/2.jpg,canon\n")
    source = read(tmp_path)
    assert content(source) == {"train/cat/1.jpg": "cat", "train/dog/2.jpg": "dog"}
    assert sum("the folders are the classes" in note for note in source.notes) == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_images_that_a_table_does_not_list(tmp_path, suffix):
    make(tmp_path, *(f"{i:02d}.jpg" for i in range(40)))
    rows = [(f"{i:02d}.jpg", "ab"[i % 2]) for i in range(24)] + [("gone.jpg", "a"), ("./away.jpg", "b")]
    if suffix == "csv":
        write(tmp_path / "metadata.csv", "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    else:
        lines = "".join(f'{{"file_name": "{name}", "label": "{label}"}}\n' for name, label in rows)
        write(tmp_path / "metadata.jsonl", lines)
    source = read(tmp_path)
    assert len(content(source)) == 26
    assert told(source, tmp_path) == [
        f"DATA/metadata.{suffix} lists 24 of 40 images: 16 images are passed over, such as 24.jpg",
        f"DATA/metadata.{suffix} has 2 rows without a file, such as gone.jpg",
    ]


def test_folders_of_a_table_that_look_like_parts(tmp_path):
    names = ["train/1.jpg", "train/2.jpg", "test/1.jpg", "more/1.jpg", "2.jpg"]
    make(tmp_path, *names)
    write(tmp_path / "metadata.csv", "file_name,label\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(names)))
    question = "has images in 'train', 'test', called like parts of the data, beside 'more', 'images in no folder': add"
    with pytest.raises(InputError, match=question):
        read(tmp_path)
    assert len(content(read(tmp_path, "metadata"))) == 5
    write(tmp_path / "metadata.csv", "file_name,label\ntest/1.jpg,a\nval/1.jpg,b\n")
    with pytest.raises(InputError, match="has images in 'test', 'val', called like parts of the data, but none to tr"):
        read(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_lists_called_like_parts(tmp_path, ending):
    """Only the one that is given is read, which is said."""
    sign = "," if ending == "csv" else "\t"
    for name in ("train", "my_test", "sample_submission"):
        write(tmp_path / f"{name}.{ending}", f"file_name{sign}label\na.png{sign}x\nb.png{sign}y\n")
    read_list = {"csv": read_csv, "tsv": read_tsv}[ending]
    assert told(read_list(str(tmp_path / f"train.{ending}"), Columns()), tmp_path) == [
        f"not read: my_test.{ending} beside DATA/train.{ending}; to measure on one, put both into one table with a "
        "column split"
    ]
    assert read_list(str(tmp_path / f"sample_submission.{ending}"), Columns()).notes == []


def test_no_column_of_parts_asks_for_no_table(tmp_path):
    for name in ("cat/1.jpg", "dog/2.jpg"):
        write(tmp_path / name, "")
    write(tmp_path / "metadata.csv", "file_name,camera\ncat/1.jpg,nikon\ndog/2.jpg,canon\n")
    with pytest.raises(InputError, match=r"--data.split-column 'none' does not go with"):
        read_folder(str(tmp_path), Columns(split="none"))
