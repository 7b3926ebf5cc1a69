"""WebVision 1.0 and its mini set in the authors' layout, with and without ILSVRC-12 near it, and damage."""

from pathlib import Path

import pytest
from PIL import Image

from mixnn.data.images.decoder import decode
from mixnn.data.readers import read_source
from mixnn.errors import InputError

SYNSETS = [f"n{1440764 + i:08d}" for i in range(60)]
FILES = {
    "train_filelist_google.txt": ["google/q0001/a.jpg 0", "google/q0050/b.jpg 49", "google/q0051/c.jpg 50"],
    "train_filelist_flickr.txt": ["flickr/q0001/d.jpg 0", "flickr/q0060/e.jpg 59"],
    "val_filelist.txt": ["val000001.jpg 49", "val000002.jpg 59", "val000003.jpg 0"],
    "synsets.txt": [f"{synset} crane, a bird, or a machine" for synset in SYNSETS],
}


def write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(file, "JPEG")


def write_webvision(root: Path, train: str = "{}", val: str = "val_images_256") -> Path:
    (root / "info").mkdir(parents=True)
    for name, lines in FILES.items():
        (root / "info" / name).write_text("\n".join(lines) + "\n")
        for line in lines if "filelist" in name else []:
            file = line.split()[0]
            engine = file.partition("/")[0]
            write_image(root / (val if name.startswith("val") else train.format(engine + "_resized_256")) / file)
    return root


def write_imagenet(root: Path) -> None:
    for synset in SYNSETS:
        write_image(root / synset / f"ILSVRC2012_val_{synset}.JPEG")
        (root / synset / "._ILSVRC2012_val.JPEG").touch()


@pytest.mark.parametrize(("train", "val"), [(".", "val_images_256"), ("{}", "val_images")])
def test_full_and_mini(tmp_path, train, val):
    root = write_webvision(tmp_path / "webvision", train, val)
    full, mini = read_source(f"webvision:{root}"), read_source(f"mini-webvision:{root}")
    assert (len(full.classes), full.classes[0]) == (60, "n01440764 crane")
    assert full.train.labels.tolist() == [0, 49, 50, 0, 59]
    assert full.heldout.labels.tolist() == [49, 59, 0]
    assert mini.classes == full.classes[:50]
    assert mini.train.labels.tolist() == [0, 49]
    assert [Path(name).name for name in mini.train.names] == ["a.jpg", "b.jpg"]
    assert (mini.heldout_name, mini.heldout.labels.tolist(), mini.others) == ("test", [49, 0], {})
    for part in (full.train, full.heldout, mini.train, mini.heldout):
        for row, name in enumerate(part.names):
            assert part.images.source(row) == str(root / name)
            assert decode(part.images.source(row), 8).shape == (8, 8, 3)


@pytest.mark.parametrize("place", ["webvision/imagenet/val", "imagenet/val", "ILSVRC2012/val", "imagenet_val"])
def test_imagenet_inside_or_beside(tmp_path, monkeypatch, place):
    root = write_webvision(tmp_path / "webvision", ".")
    write_imagenet(tmp_path / place)
    monkeypatch.chdir(root)
    for path in (root, "."):
        mini = read_source(f"mini-webvision:{path}")
        assert mini.heldout_name == "test"
        assert mini.others["imagenet"].labels.tolist() == list(range(50))
        assert mini.others["imagenet"].names[49] == f"{SYNSETS[49]}/ILSVRC2012_val_{SYNSETS[49]}.JPEG"
        assert decode(mini.others["imagenet"].images.source(49), 8).shape == (8, 8, 3)
    mini = read_source(f"mini-webvision:{root}", heldout="imagenet")
    assert (mini.heldout_name, len(mini.heldout), list(mini.others)) == ("imagenet", 50, ["test"])
    assert len(read_source(f"webvision:{root}").others["imagenet"]) == 60


def test_imagenet_lacks_a_class(tmp_path):
    root = write_webvision(tmp_path, ".")
    write_imagenet(root / "imagenet/val")
    for file in (root / "imagenet/val" / SYNSETS[7]).iterdir():
        file.unlink()
    with pytest.raises(InputError, match=f"{SYNSETS[7]} has no images: sort ILSVRC-12's"):
        read_source(f"mini-webvision:{root}")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("synsets.txt", None, r"synsets\.txt cannot be read .*: give the folder of WebVision 1\.0"),
        ("synsets.txt", "n01440764 tench\n", "has 1 lines, one for each class are needed"),
        ("train_filelist_google.txt", None, r"train_filelist_google\.txt cannot be read"),
        ("val_filelist.txt", None, r"val_filelist\.txt cannot be read"),
        ("val_filelist.txt", "val000001.jpg 1\nval000002.jpg\n", r"val_filelist\.txt, line 2: 'val000002\.jpg' is not"),
        ("train_filelist_google.txt", "google/a.jpg 60\n", "line 1: .* label from 0 to 59"),
    ],
)
def test_damage(tmp_path, file, content, message):
    write_webvision(tmp_path, ".")
    (tmp_path / "info" / file).unlink()
    if content is not None:
        (tmp_path / "info" / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_source(f"mini-webvision:{tmp_path}")


@pytest.mark.parametrize("folder", ["google", "flickr", "val_images_256"])
def test_missing_images(tmp_path, folder):
    (write_webvision(tmp_path, ".") / folder).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"holds no folder {folder}: unpack {folder}.*tar there"):
        read_source(f"webvision:{tmp_path}")
    if folder == "flickr":
        assert len(read_source(f"mini-webvision:{tmp_path}").train) == 2
