"""Noise for a whole data set: every kind, what depends on images, what comes from files, and the record of it."""

import hashlib
import json
import struct

import numpy as np
import pytest
from PIL import Image

from mixnn.data.dataset import Dataset, Samples
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.thumbnails import thumbnails
from mixnn.data.noise.injection import add_noise, check_noise, noise_record
from mixnn.data.noise.instance_dependent import corrupt_by_image, flip_rates
from mixnn.data.noise.transition import corrupt, transition_matrix
from mixnn.errors import InputError

CLASSES = ["cat", "dog", "owl"]


def some_images(n, seed=0):
    """Images of different colors, as photos are."""
    random = np.random.RandomState(seed)
    noise = random.randint(0, 40, size=(n, 32, 32, 3))
    return (random.randint(0, 216, size=(n, 1, 1, 3)) + noise).astype(np.uint8)


def dataset(n=60, classes=CLASSES, images=None, **fields):
    images = some_images(n) if images is None else images
    labels = np.arange(n, dtype=np.int64) % len(classes)
    return Dataset(list(classes), Samples(images, labels, [f"{i}.png" for i in range(n)]), **fields)


def never(samples):
    raise AssertionError("thumbnails are for instance noise only")


def test_labels_are_replaced_and_those_of_before_kept():
    data = dataset()
    noisy = add_noise(data, "symmetric:0.5", 7, never)
    expected = corrupt(data.train.labels, transition_matrix("symmetric", 0.5, CLASSES), 7)
    assert np.array_equal(noisy.train.labels, expected)
    assert np.array_equal(noisy.original, data.train.labels)
    assert (noisy.train.images is data.train.images, noisy.train.names) == (True, data.train.names)
    assert not np.array_equal(noisy.train.labels, noisy.original)


@pytest.mark.parametrize("noise", ["pairflip:1", "instance:1"])
def test_unlabeled_samples_keep_their_label(noise):
    data = dataset(unlabeled=["Skip", "Not sure"])
    data.train.labels[:2] = [-2, -1]
    noisy = add_noise(data, noise, 0, thumbnails).train.labels
    assert noisy[:2].tolist() == [-2, -1]
    assert (noisy[2:] >= 0).all()
    assert (noisy[2:] != data.train.labels[2:]).mean() > 0.8


def test_one_class_is_refused():
    with pytest.raises(InputError, match="the data has one class only"):
        add_noise(dataset(classes=["cat"]), "symmetric-exclusive:0.5", 0, never)


# Noise that depends on the image


def test_flip_rates_are_a_normal_distribution_cut_at_0_and_1():
    rates = flip_rates(100_000, 0.1, np.random.RandomState(0))
    assert ((rates >= 0) & (rates <= 1)).all()
    # The mean of a normal distribution cut one deviation below its middle: 0.1 + 0.1 φ(1) / Φ(1).
    assert rates.mean() == pytest.approx(0.1 + 0.1 * 0.24197 / 0.84134, abs=0.001)
    assert flip_rates(100_000, 0.5, np.random.RandomState(0)).std() == pytest.approx(0.1, abs=0.001)
    assert np.array_equal(flip_rates(10, 0.1, np.random.RandomState(0)), rates[:10])


def test_instance_noise_by_hand():
    """The algorithm of the paper, sample by sample."""
    images, labels, seed = some_images(30), np.arange(30) % 3, 4
    random_rates, random_labels, random_weights = (np.random.RandomState([seed, i]) for i in range(3))
    weights = random_weights.standard_normal((3, 32 * 32 * 3, 3))
    draws = random_labels.random_sample(30)
    rates = flip_rates(30, 0.6, random_rates)
    expected = []
    for image, label, rate, draw in zip(images, labels, rates, draws, strict=True):
        scores = {other: image.ravel().astype(float) @ weights[label][:, other] for other in range(3) if other != label}
        top = max(scores.values())
        total = sum(np.exp(score - top) for score in scores.values())
        probs = [rate * np.exp(scores[k] - top) / total if k in scores else 1 - rate for k in range(3)]
        expected.append(next(k for k in range(3) if draw < sum(probs[: k + 1])))
    assert corrupt_by_image(labels, images, rate=0.6, classes=3, seed=seed).tolist() == expected
    assert (expected != labels).any()


@pytest.mark.slow
def test_instance_noise_has_its_rate_and_depends_on_the_image():
    n = 10_000
    labels, images = np.zeros(n, dtype=np.int64), some_images(n)[:, :4, :4]
    images[n // 2 :] = images[: n // 2]  # each image twice
    noisy = corrupt_by_image(labels, images, rate=0.4, classes=5, seed=0)
    assert (noisy != 0).mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.4 * 0.6 / n))
    assert len(np.unique(noisy)) > 2
    # Whether two samples flip is chance, but when both do, the same image nearly always goes to the same class.
    first, second = noisy[: n // 2], noisy[n // 2 :]
    both = (first != 0) & (second != 0)
    assert (first == second)[both].mean() > 0.9
    assert (first == np.roll(second, 1))[both & np.roll(second != 0, 1)].mean() < 0.7


def test_instance_noise_at_a_rate_of_zero_is_none():
    data = dataset()
    assert np.array_equal(add_noise(data, "instance:0", 0, thumbnails).train.labels, data.train.labels)


def test_instance_noise_is_the_same_however_many_samples_follow():
    labels, images = np.arange(40) % 3, some_images(40)
    whole = corrupt_by_image(labels, images, rate=0.5, classes=3, seed=1)
    assert np.array_equal(corrupt_by_image(labels[:15], images[:15], rate=0.5, classes=3, seed=1), whole[:15])
    assert not np.array_equal(corrupt_by_image(labels, images, rate=0.5, classes=3, seed=2), whole)


def test_embeddings_are_used_as_they_are():
    embeddings = np.random.RandomState(0).standard_normal((60, 8)).astype(np.float32)
    data = dataset(images=embeddings)
    noisy = add_noise(data, "instance:0.5", 3, never).train.labels
    expected = corrupt_by_image(data.train.labels, embeddings, rate=0.5, classes=3, seed=3)
    assert np.array_equal(noisy, expected)
    assert not np.array_equal(noisy, data.train.labels)


def test_thumbnails_of_arrays():
    small = some_images(5)
    assert thumbnails(dataset(5, images=small).train) is small
    wide = np.zeros((3, 64, 100, 3), dtype=np.uint8)
    wide[:, :, 18:82] = 200  # the middle
    middle = thumbnails(dataset(3, images=wide).train)
    assert (middle.shape, middle.dtype) == ((3, 32, 32, 3), np.uint8)
    assert (middle[:, :, 2:-2] == 200).all()  # resampling looks a little beyond the edges


def test_thumbnails_of_files(tmp_path, capsys):
    names = [f"{i}.png" for i in range(300)]
    for i, name in enumerate(names):
        Image.new("RGB", (40, 40), (i % 256, 0, 255)).save(tmp_path / name)
    (tmp_path / names[7]).write_bytes(b"no image")
    (tmp_path / names[9]).unlink()
    told = []
    result = thumbnails(dataset(300, images=ImageFiles(tmp_path, names)).train, lambda *now: told.append(now))
    expected = np.zeros((300, 32, 32, 3), dtype=np.uint8)
    expected[..., 0], expected[..., 2] = (np.arange(300) % 256)[:, None, None], 255
    expected[[7, 9]] = 0
    assert np.array_equal(result, expected)
    assert told[-1] == (300, 300)
    assert capsys.readouterr().err == "mixnn: 2 of 300 images cannot be read; noise takes them as black\n"


# A matrix of one's own


def save(path, content):
    if isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "\ufeff0.6,0.4,0\r\n0, 1, 0\r\n\r\n0.3333,0.3333,0.3333\r\n"),
        ("t.npy", np.array([[0.6, 0.4, 0], [0, 1, 0], [1 / 3] * 3], dtype=np.float32)),
    ],
)
def test_matrix(tmp_path, name, content):
    noise = f"matrix:{save(tmp_path / name, content)}"
    check_noise(noise)
    data = dataset(3000)
    noisy = add_noise(data, noise, 1, never)
    matrix = np.array([[0.6, 0.4, 0], [0, 1, 0], [1 / 3] * 3])
    assert np.array_equal(noisy.train.labels, corrupt(data.train.labels, matrix, 1))
    assert np.array(noise_record(noisy, noise, 1)["definition"]["matrix"]) == pytest.approx(matrix)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "0.5,0.5\n0.5,0.4\n", r"row 2 sums to 0.9: make it one"),
        ("t.csv", "1.5,-0.5\n0,1\n", r"row 1 holds -0.5: probabilities are 0 or more"),
        ("t.csv", "nan,1\n0,1\n", r"row 1 holds nan"),
        ("t.csv", "inf,1\n0,1\n", r"row 1 sums to inf"),
        ("t.csv", "a,b\n1,0\n0,1\n", r"t\.csv holds no matrix of numbers \(could not convert string to float: 'a'\)"),
        ("t.csv", "1,0\n1\n", r"t\.csv, line 2: 1 values for 2 columns"),
        ("t.csv", "1,0\n0,1\n1,0\n", r"has the shape \(3, 2\): give a row and a column for each class"),
        ("t.csv", "", r"has the shape \(0,\)"),
        ("t.npy", np.ones((2, 2, 2)), r"has the shape \(2, 2, 2\)"),
        ("t.npy", np.array([["a", "b"], ["c", "d"]]), "holds no matrix of numbers"),
        ("t.npy", "no array", r"--noise matrix: .*t\.npy cannot be read"),
    ],
)
def test_matrix_errors(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        check_noise(f"matrix:{save(tmp_path / name, content)}")


def test_a_matrix_for_other_classes(tmp_path):
    noise = f"matrix:{save(tmp_path / 't.npy', np.eye(4))}"
    check_noise(noise)
    with pytest.raises(InputError, match="is for 4 classes, the data has 3: give another"):
        add_noise(dataset(), noise, 0, never)


# A label file


def test_file(tmp_path):
    data = dataset(4)
    noise = f"file:{save(tmp_path / 'l.npy', np.array([2, 1, 2, 1]))}"
    check_noise(noise)
    noisy = add_noise(data, noise, 0, never)
    assert noisy.train.labels.tolist() == [2, 1, 2, 1]
    assert noisy.original.tolist() == [0, 1, 2, 0]


def test_a_file_with_words_that_mean_unknown(tmp_path):
    data = dataset(3, unlabeled=["Skip", "Not sure"])
    data.train.labels[1] = -2
    text = "file_name,label\n2.png,cat\n1.png,Not sure\n0.png,owl\n"
    noise = f"file:{save(tmp_path / 'l.csv', text)}"
    assert add_noise(data, noise, 0, never).train.labels.tolist() == [2, -2, 0]
    data.train.labels[1] = 0
    with pytest.raises(InputError, match=r"1\.png has a label in the data, but 'Not sure' in the file: give it one"):
        add_noise(data, noise, 0, never)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("gaussian:0.5", "is unknown"),
        ("instance:2", "the rate is 2"),
        ("matrix:gone.csv", r"matrix:gone\.csv cannot be read \(No such file or directory\): give a \.csv or \.npy"),
        ("file:gone.npz:key", r"file:gone\.npz:key: no such file"),
    ],
)
def test_typing_errors_are_found_without_data(noise, message):
    with pytest.raises(InputError, match=message):
        check_noise(noise)


# The record


def test_record():
    data = dataset(5, unlabeled=["Skip"])
    data.train.labels[4] = -1
    noisy = add_noise(data, "pairflip:1", 3, never)
    record = noise_record(noisy, "pairflip:1", 3)
    labels = [1, 2, 0, 1, -1]
    meaning = record["definition"].pop("meaning")
    assert "next class" in meaning
    assert record == {
        "definition": {"noise": "pairflip:1", "kind": "pairflip", "rate": 1.0},
        "seed": 3,
        "classes": CLASSES,
        "samples": 5,
        "unlabeled": 1,
        "flipped_share": 1.0,
        "transition_counts": [[0, 2, 0], [0, 0, 1], [1, 0, 0]],
        "flipped": [0, 1, 2, 3],
        "labels_sha256": hashlib.sha256(struct.pack("<5q", *labels)).hexdigest(),
    }


def test_names_that_are_no_utf8_do_not_break_the_record():
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    data = dataset(classes=[odd, "thé"])
    text = json.dumps(noise_record(add_noise(data, "pairflip:0.5", 0, never), "pairflip:0.5", 0), ensure_ascii=False)
    assert json.loads(text.encode("utf-8"))["classes"] == [r"caf\xe9", "thé"]
