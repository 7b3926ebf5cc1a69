"""Clothing1M in the authors' layout: parts, both places of the lists and of the images, and damage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixnn.data.images.decoder import decode
from mixnn.data.readers import read_source
from mixnn.errors import InputError

# Some keys have both labels, as in the original; the noisy list then leaves them out.
NOISY = {"images/0/10/1,2.jpg": 3, "images/7/97/3,4.jpg": 13, "images/7/98/5,6.jpg": 3, "images/9/1/both.jpg": 0}
CLEAN = {"images/9/1/both.jpg": 1, "images/1/1/val.jpg": 2, "images/2/1/test.jpg": 13}
LISTS = {
    "noisy_label_kv.txt": [f"{key} {label}" for key, label in NOISY.items()],
    "clean_label_kv.txt": [f"{key} {label}" for key, label in CLEAN.items()],
    "noisy_train_key_list.txt": ["images/7/98/5,6.jpg", "images/0/10/1,2.jpg", "images/7/97/3,4.jpg"],
    "clean_train_key_list.txt": ["images/9/1/both.jpg"],
    "clean_val_key_list.txt": ["images/1/1/val.jpg"],
    "clean_test_key_list.txt": ["images/2/1/test.jpg"],
}


def write_clothing1m(root: Path, lists: str = ".", images: str = ".") -> Path:
    (root / lists).mkdir(parents=True, exist_ok=True)
    for name, lines in LISTS.items():
        (root / lists / name).write_text("\n".join(lines) + "\n")
    for key, label in (NOISY | CLEAN).items():
        file = root / images / key.removeprefix("images/")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * label, 0, 0)).save(file)
    return root


@pytest.mark.parametrize("lists", [".", "annotations"])
@pytest.mark.parametrize("images", ["images", "."])
def test_parts(tmp_path, lists, images):
    dataset = read_source(f"clothing1m:{write_clothing1m(tmp_path, lists, images)}")
    assert len(dataset.classes) == 14
    assert dataset.label_words(dataset.train.labels) == ["Chiffon", "Chiffon", "Underwear"]
    assert dataset.heldout_name == "test"
    assert dataset.heldout.labels.tolist() == [13]
    assert {name: part.labels.tolist() for name, part in dataset.others.items()} == {"val": [2], "clean_train": [1]}
    for part in (dataset.train, dataset.heldout, *dataset.others.values()):
        assert part.labels.dtype == np.int64
        reds = [decode(part.images.source(row), 8)[0, 0, 0] for row in range(len(part))]
        assert np.abs(np.array(reds, dtype=int) - 10 * part.labels).max() <= 3  # JPEG is not exact


def test_names_of_classes_are_the_authors(tmp_path):
    names = [f"class {i}" for i in range(14)]
    (write_clothing1m(tmp_path) / "category_names_eng.txt").write_text("\n".join(names))
    assert read_source(f"clothing1m:{tmp_path}").classes == names


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("noisy_label_kv.txt", None, r"noisy_label_kv\.txt cannot be read .*: give the folder of Clothing1M"),
        ("clean_val_key_list.txt", None, r"clean_val_key_list\.txt cannot be read"),
        ("clean_test_key_list.txt", " \n", r"clean_test_key_list\.txt is empty"),
        (
            "noisy_train_key_list.txt",
            "images/0/10/1,2.jpg\nimages/0/gone.jpg\n",
            r"list\.txt, line 2: .*gone.* no label",
        ),
        ("noisy_train_key_list.txt", "images/1/1/val.jpg\n", r"line 1: .*val.* has no label in noisy_label_kv\.txt"),
        ("noisy_label_kv.txt", "images/a.jpg 1\n\nimages/b.jpg\n", r"kv\.txt, line 3: 'images/b\.jpg' is not a file"),
        ("noisy_label_kv.txt", "images/a.jpg 14\n", "line 1: .* label from 0 to 13"),
        ("category_names_eng.txt", "Shirt\n", "has 1 names for 14 classes"),
    ],
)
def test_damage(tmp_path, file, content, message):
    write_clothing1m(tmp_path)
    (tmp_path / file).unlink(missing_ok=True)
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_source(f"clothing1m:{tmp_path}")


def test_the_folder_of_the_lists_alone(tmp_path):
    write_clothing1m(tmp_path, "annotations", "images")
    with pytest.raises(InputError, match=r"annotations holds no folder images: give the folder of Clothing1M"):
        read_source(f"clothing1m:{tmp_path / 'annotations'}")
