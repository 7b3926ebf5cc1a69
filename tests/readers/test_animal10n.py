"""ANIMAL-10N in the authors' layout: labels from file names, a fair order, and damage."""

from pathlib import Path

import pytest
from PIL import Image

from mixnn.data.images.decoder import decode
from mixnn.data.readers import read_source
from mixnn.errors import InputError

FILES = ["training/0_00002.jpg", "training/0_00001.jpg", "training/9_00001.jpg", "testing/3_00042.jpg"]


def write_animal10n(root: Path) -> Path:
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    for name in ("training/._0_00001.jpg", "training/notes.txt"):
        (root / name).touch()
    return root


@pytest.mark.parametrize("inside", [".", "raw_image", "raw_image_ver/raw_image"])
def test_parts(tmp_path, inside):
    write_animal10n(tmp_path / inside)
    dataset = read_source(f"animal10n:{tmp_path}")
    assert (len(dataset.classes), dataset.heldout_name) == (10, "test")
    assert dataset.train.names == ["training/0_00001.jpg", "training/9_00001.jpg", "training/0_00002.jpg"]
    assert dataset.label_words(dataset.train.labels) == ["Cat", "Guinea pig", "Cat"]
    assert dataset.label_words(dataset.heldout.labels) == ["Coyote"]
    assert decode(dataset.train.images.source(1), 8).shape == (8, 8, 3)


@pytest.mark.parametrize("name", ["training/cat_1.jpg", "testing/10_1.jpg", "testing/3.jpg"])
def test_a_file_without_label(tmp_path, name):
    (write_animal10n(tmp_path) / name).touch()
    with pytest.raises(InputError, match=f"{name} does not begin with a label"):
        read_source(f"animal10n:{tmp_path}")


def test_missing_folders(tmp_path):
    root = write_animal10n(tmp_path / "animals")
    with pytest.raises(InputError, match="holds no folder training: give the folder of ANIMAL-10N"):
        read_source(f"animal10n:{root / 'training'}")
    (root / "testing" / "3_00042.jpg").unlink()
    with pytest.raises(InputError, match="testing has no images"):
        read_source(f"animal10n:{root}")
    (root / "testing").rmdir()
    with pytest.raises(InputError, match="testing cannot be read"):
        read_source(f"animal10n:{root}")
