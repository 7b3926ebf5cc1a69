"""Image folders: class folders, parts, Hugging Face's metadata; links, odd names, and what is answered to bad ones."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from mixnn.data.dataset import Source
from mixnn.data.readers import Columns
from mixnn.data.readers.folder import read_folder
from mixnn.errors import InputError


def make(root: Path, *names: str) -> Path:
    """Files that nobody opens; a name with a slash at the end is a folder."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def content(source: Source, split: str = "train") -> dict[str, str]:
    """name -> label of a part; its files are those of its names."""
    part = source.parts[split]
    assert len(part.images) == len(part.labels) == len(part.names)
    return dict(zip(part.names, part.labels, strict=True))


# Class folders


def test_class_folders(tmp_path):
    """Class by class, and by path within; nothing hidden, nothing else."""
    make(tmp_path, "cat/c.png", "cat/a.png", "cat/b.png", "owl/z.png", "owl/deep/er/a.JPG", "owl/deep.er/b.webp")
    make(tmp_path, "cat/.hidden.png", "cat/.cache/x.png", ".git/x.png", "cat/notes.txt", "readme.md", "cat/empty/")
    source = read_folder(str(tmp_path), Columns())
    expected = ["cat/a.png", "cat/b.png", "cat/c.png", "owl/z.png", "owl/deep.er/b.webp", "owl/deep/er/a.JPG"]
    assert list(content(source)) == expected
    assert list(content(source).values()) == ["cat"] * 3 + ["owl"] * 3
    images = source.parts["train"].images
    assert [images.source(row) for row in range(6)] == [str(tmp_path / name) for name in expected]
    assert all(os.path.exists(images.source(row)) for row in range(6))


def test_the_order_is_that_of_torchvision(tmp_path):
    """Whoever makes an array of labels or features goes by `ImageFolder`: its order of folders, files and places."""
    make(tmp_path, "10/b.png", "10/a b.png", "10/B.png", "10/x/a.png", "10/x y/a.png", "10/x.png", "10/x/y/c.png")
    make(tmp_path, "9/z.png", "9/a/b.png", "Zoo/2.png", "Zoo/10.png", "ape/é.png", "ape/e.png", "ape/e/1.png")
    theirs = [  # as `make_dataset` of torchvision has it
        os.path.relpath(os.path.join(root, file), tmp_path)
        for word in sorted(os.listdir(tmp_path))
        for root, _, files in sorted(os.walk(tmp_path / word))
        for file in sorted(files)
    ]
    found = content(read_folder(str(tmp_path), Columns()))
    assert list(found) == theirs
    assert list(found.values()) == [name.split("/")[0] for name in theirs]


def test_odd_names(tmp_path):
    names = ["a, b/with space.png", 'a, b/"quoted".png', "🐈/🐈.png", "🐈/" + os.fsdecode(b"\xff\xfe.png")]
    source = read_folder(str(make(tmp_path, *names)), Columns())
    assert content(source) == {name: name.split("/")[0] for name in names}


def test_links_are_followed_but_never_in_a_loop(tmp_path):
    make(tmp_path / "data", "cat/a.png", "dog/b.png", "dog/in/c.png")
    make(tmp_path / "store", "d.png", "owl/e.png")
    for link, target in {
        "cat/self": ".",
        "cat/up": "..",  # would give the dogs to the cats
        "cat/dogs": "../dog",
        "cat/more": "../../store",
        "cat/again": "../../store",  # without the owls in it, which have a class of their own
        "dog/in/out": "../../dog",
        "dog/loop": "loop",
        "owl": "../store/owl",
        "all": ".",
    }.items():
        (tmp_path / "data" / link).symlink_to(target)
    (tmp_path / "data/dog/gone.png").symlink_to("nothing.png")  # one image that cannot be read
    assert content(read_folder(str(tmp_path / "data"), Columns())) == {
        "cat/a.png": "cat",
        "cat/again/d.png": "cat",
        "dog/b.png": "dog",
        "dog/gone.png": "dog",
        "dog/in/c.png": "dog",
        "owl/e.png": "owl",
    }


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gone", "gone does not exist"),
        ("cat/a.png", "is a file: give a folder of images, or csv:"),
        ("cat", "cat/? has no sub-folders: put the images of each class into a folder of its own"),
        (".", r"class folder .*dog has no images: put some there, or move it out of the data$"),
    ],
)
def test_folder_errors(tmp_path, place, message):
    make(tmp_path, "cat/a.png", "dog/notes.txt")
    with pytest.raises(InputError, match=message):
        read_folder(str(tmp_path / place), Columns())


def test_a_class_name_that_is_no_text(tmp_path):
    make(tmp_path, "cat/a.png", os.fsdecode(b"\xff/a.png"))
    with pytest.raises(InputError, match=r"\\udcff' has a name that is not UTF-8: rename it"):
        read_folder(str(tmp_path), Columns())


def test_a_folder_that_cannot_be_listed(tmp_path):
    make(tmp_path, "cat/a.png", "cat/shut/b.png")
    target = tmp_path / "cat/shut"
    target.chmod(0)
    root = os.geteuid() == 0  # who may list it all the same
    if root:
        for folder in (tmp_path, *(one for one in tmp_path.parents if one.name.startswith(("pytest-", "popen-")))):
            folder.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match=r"folder .*cat/shut/? cannot be listed \(Permission denied\)"):
            read_folder(str(tmp_path), Columns())
    finally:
        if root:
            os.seteuid(0)
        target.chmod(0o755)


def test_file_names_have_no_other_root(tmp_path):
    with pytest.raises(InputError, match=r"--data\.root 'elsewhere' does not go with a folder"):
        read_folder(str(make(tmp_path, "cat/a.png")), Columns(root="elsewhere"))


def test_columns_go_with_a_metadata_file(tmp_path):
    with pytest.raises(
        InputError, match=r"--data\.label-column 'kind' does not go with .*, which has no metadata file"
    ):
        read_folder(str(make(tmp_path, "cat/a.png")), Columns(label="kind"))


# Parts


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "VALID", "Testing"),
        ("train", "validation", "test"),
        ("TRAIN", "dev", "t"),
    ],
)
def test_parts(tmp_path, train, val, test):
    test = "test" if test == "t" else test
    make(tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/x/2.jpg", f"{val}/cat/1.jpg", f"{test}/dog/3.jpg", "notes.txt")
    source = read_folder(str(tmp_path), Columns())
    assert next(iter(source.parts)) == "train"
    assert content(source) == {f"{train}/cat/1.jpg": "cat", f"{train}/dog/x/2.jpg": "dog"}
    assert content(source, "val") == {f"{val}/cat/1.jpg": "cat"}
    assert content(source, "test") == {f"{test}/dog/3.jpg": "dog"}
    assert os.path.exists(source.parts["test"].images.source(0))


def test_train_may_be_the_name_of_a_class(tmp_path):
    make(tmp_path, "bus/1.jpg", "train/1.jpg", "test/1.jpg")
    with pytest.raises(
        InputError, match=r"has 'test', 'train', called like parts of the data, beside 'bus': --data.lay"
    ):
        read_folder(str(tmp_path), Columns())
    assert set(content(read_folder(str(tmp_path), Columns(layout="classes"))).values()) == {"bus", "train", "test"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/cat/1.jpg", "test/cow/1.jpg"], r"test/? has class 'cow', which train has not"),
        (
            ["train/cat/1.jpg", "bus/cat/1.jpg"],
            "has 'train', called like parts of the data, beside 'bus': --data.layout",
        ),
        (
            ["train/cat/1.jpg", "val/cat/1.jpg", "dev/cat/1.jpg"],
            "has 'dev' and 'val', both for val: put their images into one",
        ),
        (["test/cat/1.jpg", "val/cat/1.jpg"], "has test, val, but no train beside them: add it"),
        (["train/1.jpg", "test/1.jpg"], r"train/? has no sub-folders"),  # no classes called train and test
        (["train/cat/1.jpg", "train/dog/"], "class folder .*train/dog has no images"),
    ],
)
def test_part_errors(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        read_folder(str(make(tmp_path, *names)), Columns())


# Hugging Face's metadata


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("label", ["label", "breed"])  # by name, or because it is the only other
def test_metadata(tmp_path, suffix, label):
    path = tmp_path / f"metadata.{suffix}"
    if suffix == "csv":
        write(path, f"file_name,{label}\na.png,cat\nin/b.png,dog\n")
    elif suffix == "jsonl":
        write(path, f'{{"file_name": "a.png", "{label}": "cat"}}\n{{"{label}": "dog", "file_name": "in/b.png"}}\n')
    else:
        pyarrow.parquet.write_table(pa.table({"file_name": ["a.png", "in/b.png"], label: ["cat", "dog"]}), path)
    source = read_folder(str(make(tmp_path, "a.png", "in/b.png")), Columns())
    assert content(source) == {"a.png": "cat", "in/b.png": "dog"}
    assert [os.path.exists(source.parts["train"].images.source(row)) for row in range(2)] == [True, True]


def test_metadata_in_each_part(tmp_path):
    write(tmp_path / "train/metadata.csv", "file_name,label\na.png,cat\nb.png,dog\n")
    write(tmp_path / "test/metadata.jsonl", '{"file_name": "a.png", "label": "dog"}\n')
    make(tmp_path, "train/a.png", "train/b.png", "test/a.png", "val/cat/v.png")
    source = read_folder(str(tmp_path), Columns())
    assert content(source) == {"train/a.png": "cat", "train/b.png": "dog"}
    assert content(source, "test") == {"test/a.png": "dog"}
    assert content(source, "val") == {"val/cat/v.png": "cat"}
    assert source.parts["test"].images.source(0) == str(tmp_path / "test/a.png")


def test_metadata_on_the_top_of_parts(tmp_path):
    write(tmp_path / "metadata.csv", "file_name,label\ntrain/a.png,cat\ntest/a.png,dog\ntrain/b.png,dog\n")
    source = read_folder(str(tmp_path), Columns())
    assert content(source) == {"train/a.png": "cat", "train/b.png": "dog"}
    assert content(source, "test") == {"test/a.png": "dog"}


def test_metadata_with_a_column_of_parts(tmp_path):
    text = "file_name,label,split,fine\ntrain/a.png,cat,test,tabby\ntrain/b.png,dog,train,pug\n"
    write(tmp_path / "metadata.csv", text)
    source = read_folder(str(tmp_path), Columns(label="fine"))
    assert (content(source), content(source, "test")) == ({"train/b.png": "pug"}, {"train/a.png": "tabby"})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"metadata.csv": "file_name,x,y\na.png,1,2\n"},
            "no label column .*it has 'file_name', 'x', 'y': .*label-column",
        ),
        ({"metadata.csv": "", "metadata.jsonl": ""}, "metadata.csv and .*metadata.jsonl stand side by side"),
        ({"metadata.jsonl": '{"file_name": "a.png"}\n'}, "no label column"),
        ({"metadata.jsonl": '{"file_name": "a.png", "label": "a"}\n{"file'}, "metadata.jsonl, line 2: no JSON"),
        (
            {"metadata.jsonl": '{"file_name": "a.png", "label": "a"}\n\n{"label": "a"}'},
            "line 3: the file name is empty",
        ),
        ({"metadata.jsonl": '{"file_name": "a.png", "label": ["a"]}'}, "line 1: 'label' is list, neither"),
        ({"metadata.jsonl": "[1]"}, "line 1: a list, not an object"),
        ({"metadata.jsonl": '{"file_name": "\\ud800.png", "label": "a"}'}, "line 1: no JSON"),
        ({"metadata.jsonl": "\n"}, "metadata.jsonl has no rows"),
    ],
)
def test_metadata_errors(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(InputError, match=message):
        read_folder(str(tmp_path), Columns())
