"""Food-101N in the authors' layout, with and without Food-101 near it, and damage."""

from pathlib import Path

import pytest
from PIL import Image

from mixnn.data.images.decoder import decode
from mixnn.data.readers import read_source
from mixnn.errors import InputError

META = {
    "classes.txt": "class_name\nwaffles\napple_pie\n",
    "imagelist.tsv": "class_name/key\nwaffles/a1.jpg\napple_pie/b2.jpg\nwaffles/c3.jpg\n",
    "verified_train.tsv": "class_name/key\tverification_label\nwaffles/a1.jpg\t1\n",
    "verified_val.tsv": "class_name/key\tverification_label\napple_pie/b2.jpg\t1\nwaffles/c3.jpg\t0\n",
}


def write_images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)


def write_food101n(root: Path) -> Path:
    (root / "meta").mkdir(parents=True)
    for name, text in META.items():
        (root / "meta" / name).write_text(text)
    write_images(root / "images", "waffles/a1.jpg", "apple_pie/b2.jpg", "waffles/c3.jpg")
    return root


def write_food101(root: Path) -> None:
    (root / "meta").mkdir(parents=True)
    (root / "meta" / "test.txt").write_text("apple_pie/1011328\nwaffles/17\n")
    write_images(root / "images", "apple_pie/1011328.jpg", "waffles/17.jpg")


def test_without_food101(tmp_path):
    dataset = read_source(f"food101n:{write_food101n(tmp_path / 'Food-101N_release')}")
    assert dataset.classes == ["waffles", "apple_pie"]
    assert dataset.train.names == ["images/waffles/a1.jpg", "images/apple_pie/b2.jpg", "images/waffles/c3.jpg"]
    assert dataset.train.labels.tolist() == [0, 1, 0]
    assert decode(dataset.train.images.source(1), 8).shape == (8, 8, 3)
    assert dataset.heldout is None  # the verified images are training images too
    assert dataset.others["verified_val"].names == ["images/apple_pie/b2.jpg"]
    assert dataset.others["verified_val"].labels.tolist() == [1]


@pytest.mark.parametrize("place", ["food-101", "Food-101N_release/food-101"])
def test_food101_beside_or_inside(tmp_path, place):
    root = write_food101n(tmp_path / "Food-101N_release")
    write_food101(tmp_path / place)
    for path in (root, tmp_path):
        dataset = read_source(f"food101n:{path}")
        assert (dataset.heldout_name, dataset.heldout.labels.tolist()) == ("test", [1, 0])
        assert dataset.heldout.images.source(0) == str(tmp_path / place / "images/apple_pie/1011328.jpg")
        assert decode(dataset.heldout.images.source(0), 8).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("classes.txt", None, r"classes\.txt cannot be read .*: give the folder Food-101N_release"),
        ("imagelist.tsv", None, r"imagelist\.tsv cannot be read"),
        ("imagelist.tsv", "class_name/key\nwaffles/a1.jpg\nwaffles\n", r"imagelist\.tsv, line 3: 'waffles' is not"),
        ("imagelist.tsv", "class_name/key\npizza/a1.jpg\n", "line 2: 'pizza/a1.jpg' is not a class"),
        (
            "verified_val.tsv",
            "class_name/key\tlabel\nwaffles/a1.jpg\n",
            r"verified_val\.tsv, line 2: .* tab and 0 or 1",
        ),
    ],
)
def test_damage(tmp_path, file, content, message):
    write_food101n(tmp_path)
    (tmp_path / "meta" / file).unlink()
    if content is not None:
        (tmp_path / "meta" / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_source(f"food101n:{tmp_path}")


def test_food101_without_its_list(tmp_path):
    write_food101n(tmp_path)
    (tmp_path / "food-101").mkdir()
    with pytest.raises(InputError, match=r"test\.txt cannot be read .*: unpack food-101"):
        read_source(f"food101n:{tmp_path}")
