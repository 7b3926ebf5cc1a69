"""Arrays as they are published, and the many ways in which they are no images."""

from pathlib import Path

import numpy as np
import pytest

from mixnn.data.dataset import Dataset
from mixnn.data.readers import Columns, read_source
from mixnn.errors import InputError

GRAY = np.random.RandomState(0).randint(256, size=(6, 28, 28), dtype=np.uint8)
COLOR = np.random.RandomState(1).randint(256, size=(6, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 10])


def save(path: Path, **members: object) -> Path:
    np.savez_compressed(path, **{name: np.asarray(member) for name, member in members.items()})
    return path


def read(path: Path, **columns: str) -> Dataset:
    return read_source(f"npz:{path}", columns=Columns(**columns))


def medmnist(images: np.ndarray) -> dict[str, np.ndarray]:
    """As `medmnist` ships them: labels (N, 1), three parts."""
    parts = {"train": slice(0, 3), "val": slice(3, 5), "test": slice(3, 6)}
    labels = np.array([[0], [1], [1], [1], [0], [0]], dtype=np.uint8)
    members = {f"{name}_images": images[rows] for name, rows in parts.items()}
    return members | {f"{name}_labels": labels[rows] for name, rows in parts.items()}


@pytest.mark.parametrize("images", [GRAY, COLOR], ids=["gray", "color"])
def test_medmnist(tmp_path, images):
    dataset = read(save(tmp_path / "pneumoniamnist.npz", **medmnist(images)))
    assert dataset.classes == ["0", "1"]
    assert dataset.train.labels.tolist() == [0, 1, 1]
    assert dataset.train.names == ["train/00000", "train/00001", "train/00002"]
    assert (dataset.heldout_name, dataset.heldout.labels.tolist()) == ("test", [1, 0, 0])
    assert dataset.others["val"].names[1] == "val/00001"
    expected = images if images.ndim == 4 else np.stack([images] * 3, axis=3)
    assert np.array_equal(dataset.train.images, expected[:3])
    assert np.array_equal(dataset.heldout.images, expected[3:])
    assert dataset.train.images.dtype == np.uint8


@pytest.mark.parametrize(("image", "label"), [("images", "labels"), ("x", "y"), ("X", "Y"), ("data", "targets")])
def test_plain_arrays(tmp_path, image, label):
    dataset = read(save(tmp_path / "a.npz", **{image: COLOR, label: LABELS}))
    assert dataset.classes == ["0", "1", "2", "10"]  # by value
    assert dataset.train.labels.tolist() == [0, 1, 2, 0, 1, 3]
    assert np.array_equal(dataset.train.images, COLOR)
    assert dataset.heldout is None


def test_other_member_names(tmp_path):
    path = save(tmp_path / "a.npz", pixels=COLOR, images=GRAY, kind=LABELS, labels=LABELS[::-1])
    dataset = read(path, image="pixels", label="kind")
    assert np.array_equal(dataset.train.images, COLOR)
    assert dataset.label_words(dataset.train.labels) == list(map(str, LABELS))


def test_parts_as_keras_names_them(tmp_path):
    dataset = read(save(tmp_path / "mnist.npz", x_train=GRAY, y_train=LABELS, x_test=GRAY[:2], y_test=LABELS[:2]))
    assert (len(dataset.train), len(dataset.heldout), dataset.heldout_name) == (6, 2, "test")


def test_a_folder_of_npy_files(tmp_path):
    np.save(tmp_path / "images.npy", COLOR)
    np.save(tmp_path / "labels.npy", LABELS)
    assert np.array_equal(read(tmp_path).train.images, COLOR)


def test_class_names(tmp_path):
    dataset = read(save(tmp_path / "a.npz", images=COLOR, labels=[2, 0, 1, 1, 1, 0], classes=["owl", "cat", "dog"]))
    assert dataset.classes == ["owl", "cat", "dog"]
    assert dataset.train.labels.tolist() == [2, 0, 1, 1, 1, 0]
    words = np.array([b"cat", b"owl", b"owl", b"cat", b"dog", b"cat"])
    assert read(save(tmp_path / "a.npz", images=COLOR, labels=words)).classes == ["cat", "dog", "owl"]
    with pytest.raises(InputError, match="label 10, but 3 classes"):
        read(save(tmp_path / "a.npz", images=COLOR, labels=LABELS, class_names=["owl", "cat", "dog"]))


def test_colors_first_are_put_last(tmp_path):
    images = read(save(tmp_path / "a.npz", images=COLOR.transpose(0, 3, 1, 2), labels=LABELS)).train.images
    assert np.array_equal(images, COLOR)
    assert images.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embeddings(tmp_path, dtype):
    vectors = np.random.RandomState(0).randn(6, 5).astype(dtype)
    images = read(save(tmp_path / "a.npz", x=vectors, y=LABELS)).train.images
    assert images.dtype == np.float32
    assert np.array_equal(images, vectors.astype(np.float32))


def test_whole_floats_and_booleans_are_labels(tmp_path):
    """As a table program, or a comparison, leaves them."""
    labels = [0.0, 10.0, 2.0, 2.0, 10.0, 0.0]
    dataset = read(save(tmp_path / "a.npz", x=COLOR, y=np.array(labels, np.float32)))
    assert (dataset.classes, dataset.train.labels.tolist()) == (["0", "2", "10"], [0, 2, 1, 1, 2, 0])
    dataset = read(save(tmp_path / "b.npz", x=COLOR, y=np.array([1.0, 0, 2, 2, 1, 0]), classes=["cat", "dog", "owl"]))
    assert (dataset.classes, dataset.train.labels.tolist()) == (["cat", "dog", "owl"], [1, 0, 2, 2, 1, 0])
    dataset = read(save(tmp_path / "c.npz", x=COLOR, y=np.array(labels) > 1))
    assert (dataset.classes, dataset.train.labels.tolist()) == (["False", "True"], [0, 1, 1, 1, 1, 0])
    dataset = read(save(tmp_path / "d.npz", x=COLOR, y=np.array(labels) > 1, classes=["dog", "cat"]))
    assert (dataset.classes, dataset.train.labels.tolist()) == (["dog", "cat"], [0, 1, 1, 1, 1, 0])
    path = save(tmp_path / "e.npz", x=COLOR, y=np.array([1.0, 0, np.nan, 2, 1, 0]), classes=["cat", "dog", "owl"])
    dataset = read_source(f"npz:{path}", unlabeled='""')
    assert (dataset.classes, dataset.train.labels.tolist()) == (["cat", "dog", "owl"], [1, 0, -1, 2, 1, 0])


def test_numbers_in_arrays_are_called_by_themselves(tmp_path):
    """So that nobody has to say in which order the classes are; numbers that are text may be in two."""
    labels = np.arange(12).repeat(2)
    images = np.zeros((24, 8, 8, 3), np.uint8)
    assert read(save(tmp_path / "a.npz", x=images, y=labels)).number_orders == [[str(i) for i in range(12)]]
    assert len(read(save(tmp_path / "b.npz", x=images, y=labels.astype(str))).number_orders) == 2
    names = [f"class {i}" for i in range(12)]
    assert read(save(tmp_path / "c.npz", x=images, y=labels, classes=names)).number_orders == [names]
    with pytest.raises(
        InputError, match=r"--data\.class-order text: this data says the order of its classes: leave it away"
    ):
        read_source(f"npz:{tmp_path / 'a.npz'}", class_order="text")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GRAY.astype(complex), LABELS, "dtype complex128: save pixels as numbers, best as uint8 from 0 to 255"),
        (
            np.where(GRAY > 5, np.nan, 0.5),
            LABELS,
            r"NaN or infinity in 6 rows, the first is 0: leave these samples out, or make them anew",
        ),
        (np.zeros((6, 28, 28, 28), np.uint8), LABELS, r"shape \(6, 28, 28, 28\).*without depth"),
        (np.zeros((6, 1, 28, 28, 28), np.uint8), LABELS, "without depth"),
        (np.zeros((6, 8, 8, 4), np.uint8), LABELS, "transparency"),
        (np.zeros((6, 784), np.uint8), LABELS, r"shape \(6, 784\) and dtype uint8: images are"),
        (np.zeros((0, 8, 8, 3), np.uint8), [], "holds no image"),
        (np.array([[0, 1], [np.nan, 0], [0, np.inf]]), [0, 1, 1], "NaN or infinity in 2 rows, the first is 1"),
        (np.array([[0, 1e300]]), [0], "NaN or infinity in 1 rows"),
        (COLOR, LABELS[:4], "4 labels for 6 images"),
        (COLOR, np.zeros((6, 14), np.uint8), r"shape \(6, 14\): one label for each sample"),
        (COLOR, LABELS * 0.5, "has 0.5, which is no whole number: save labels as integers or text"),
        (COLOR, LABELS * 1j, "dtype complex128: save labels as integers or text"),
        (COLOR, np.array([object()] * 6), "Python objects, which are never unpickled"),
        (np.array([None] * 6), LABELS, "Python objects, which are never unpickled"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, images, labels, message):
    with pytest.raises(InputError, match=message):
        read(save(tmp_path / "a.npz", images=images, labels=labels))


def test_missing_members(tmp_path):
    path = save(tmp_path / "a.npz", train_images=GRAY, train_labels=LABELS, test_images=GRAY)
    with pytest.raises(InputError, match=r"no labels for 'test' .it has train_images, .*add them as test_labels"):
        read(path)
    with pytest.raises(InputError, match=r"--data\.image-column: .* has no 'pixels' \(it has train_images, "):
        read(path, image="pixels")
    with pytest.raises(InputError, match=r"--data\.split-column 'part' goes with tables"):
        read(path, split="part")
    with pytest.raises(InputError, match=r"'classes' of .* is no list of different names"):
        read(save(tmp_path / "a.npz", images=GRAY, labels=LABELS, classes=["a", "a"]))


def test_damaged_files(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match=r"a\.npz cannot be read .No such file"):
        read(path)
    whole = save(path, images=COLOR, labels=LABELS).read_bytes()
    flipped = bytes([*whole[:5000], whole[5000] ^ 255, *whole[5001:]])
    for content in (b"", b"<html>404</html>", whole[: len(whole) // 2], flipped):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npz cannot be read"):
            read(path)
    np.save(tmp_path / "images.npy", COLOR)
    with pytest.raises(InputError, match="no labels for 'train'"):
        read(tmp_path)
