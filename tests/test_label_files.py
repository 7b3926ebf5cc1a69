"""Labels from a file beside the data: every form that is published, and no program in any of them."""

import json
import os
import pickle
import re

import numpy as np
import pytest
import torch

from mixnn.data.dataset import Dataset, LabelArray, Part, Samples, Source, build_dataset
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.labels.agreement import P_VALUE, agreement, in_order
from mixnn.data.labels.files import read_label_file
from mixnn.errors import InputError

NAMES = ["train/00000", "b, c.png", "ü.png", "d.png"]
CLASSES = ["cat", "dog", "big, owl"]
LABELS = [2, 0, 1, 2]
WORDS = [CLASSES[label] for label in LABELS]
CSV = '﻿label,note,file_name\r\ncat,x,"b, c.png"\r\n\r\n"big, owl",,d.png\r\n"big, owl",,train/00000\r\n'


DATASET = Dataset(CLASSES, Samples(np.zeros((4, 2), np.float32), np.array(LABELS), NAMES))


def read(spec: object) -> np.ndarray:
    return read_label_file(str(spec), DATASET, "--data.labels")[0]


def refused(spec: object) -> str:
    with pytest.raises(InputError) as caught:
        read(spec)
    message = str(caught.value)
    assert message.startswith(f"--data.labels {spec}: ")
    assert "\n" not in message
    return message


def test_csv_goes_by_name(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(CSV + "dog,,ü.png\r\nno class,,other.png\r\n", encoding="utf-8")
    assert read(file).tolist() == LABELS
    assert read(file).dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV, "no row for 1 of 4 training samples, first 'ü.png'"),
        ("file_name,label\n", "no row for 4 of 4 training samples, first 'train/00000'"),
        (CSV + "owl,,ü.png\n", "label 'owl' is no class: correct it; the classes are 'cat', 'dog', 'big, owl'"),
        (CSV + "dog,,d.png\n", "two labels for 'd.png', 'big, owl' and 'dog'"),
        (CSV + "dog\n", "line 6: 1 values for 3 columns"),
        ("file_name,given_label\n", "no column label"),
        ("", "is empty: write the columns file_name,label into its first line"),
        ('file_name,label\n"' + "x" * 200_000, "line 2: no CSV (field larger"),
    ],
)
def test_csv_errors(tmp_path, content, message):
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    assert message in refused(tmp_path / "labels.csv")


def test_numpy_files(tmp_path):
    for content in (
        *(np.array(LABELS, dtype=kind) for kind in (np.uint8, ">i8", np.float32)),
        *(np.array(WORDS), np.array(LABELS)[:, None]),
    ):
        np.save(tmp_path / "a.npy", content)
        assert read(tmp_path / "a.npy").tolist() == LABELS
        assert read(tmp_path / "a.npy").dtype == np.int64
    np.savez(tmp_path / "one.npz", noisy=LABELS, matrix=np.eye(4), others=[0, 1])
    assert read(tmp_path / "one.npz").tolist() == LABELS  # the only array that can be labels
    np.savez(tmp_path / "two.npz", noisy=LABELS, clean=[0, 0, 0, 0], loss=np.zeros(4), words=np.array([b"dog"] * 4))
    assert read(tmp_path / "two.npz:noisy").tolist() == LABELS
    assert read(tmp_path / "two.npz:words").tolist() == [1, 1, 1, 1]
    assert "several arrays fit (noisy, clean, words): name one as two.npz:KEY" in refused(tmp_path / "two.npz")
    assert "no array 'worse' (there are noisy, clean, loss, words)" in refused(tmp_path / "two.npz:worse")
    assert read(tmp_path / "two.npz:loss").tolist() == [0, 0, 0, 0]  # whole numbers
    os.rename(tmp_path / "a.npy", tmp_path / "12:30.npy")
    assert read(tmp_path / "12:30.npy").tolist() == LABELS
    assert ".npy files have no keys" in refused(tmp_path / "12:30.npy:key")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([0, 1, 2], "3 labels for 4 training samples"),
        ([[0, 1, 2, 0]], "labels have shape (1, 4)"),
        (np.zeros((4, 2), int), "labels have shape (4, 2)"),
        ([0, 1, 3, 0], "label 3 (sample 2) is no class: use 0 to 2"),
        ([0, -1, 3, 0], "label -1 (sample 1) is no class"),
        ([0.0, 1.5, 2.0, 0.0], "label 1.5 (sample 1) is no whole number: save integers or words"),
        ([0.0, 1.0, float("nan"), 0.0], "label -1 (sample 2) is no class"),
        ([0.0, 1.0, 1e300, 0.0], "label 1e+300 (sample 2) is no whole number"),
        ([0.0, 1.0, 2j, 0.0], "labels have dtype complex128"),
        (["cat", "dog", "owl", "cat"], "label 'owl' is no class"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, content, message):
    np.save(tmp_path / "a.npy", np.array(content))
    assert message in refused(tmp_path / "a.npy")


def test_json_list(tmp_path):
    for content in (LABELS, WORDS, [float(label) for label in LABELS], [2, 0.0, 1, 2.0]):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert read(tmp_path / "a.json").tolist() == LABELS
    for content in ({"a": 1}, [0, "cat", 1, 2], [True, 1, 0, 0], [[0], [1], [2], [0]], []):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert "no list of integers, or of words" in refused(tmp_path / "a.json")


@pytest.mark.parametrize("new_format", [True, False])
def test_pt_of_arrays(tmp_path, new_format):
    """CIFAR-N's layout: a dict of arrays; by a NumPy before 2.0, which called its modules otherwise."""
    file = tmp_path / "CIFAR-10_human.pt"
    content = {"clean_label": np.zeros(4, dtype=np.int64), "worse_label": np.array(LABELS), "t": torch.tensor(LABELS)}
    content |= {"list": LABELS, "words": np.array(WORDS), "time": np.zeros(4)}
    torch.save(content, file, _use_new_zipfile_serialization=new_format)
    for key in ("worse_label", "t", "list", "words"):
        assert read(f"{file}:{key}").tolist() == LABELS
    assert "several arrays fit (clean_label, worse_label, t, list, words)" in refused(file)
    assert "there are clean_label, worse_label, t, list, words, time" in refused(f"{file}:aggre")
    if not new_format:  # no checksum in the way
        raw = file.read_bytes()
        assert b"numpy._core.multiarray\n_reconstruct" in raw
        file.write_bytes(raw.replace(b"numpy._core.multiarray\n_reconstruct", b"numpy.core.multiarray\n_reconstruct"))
        assert read(f"{file}:worse_label").tolist() == LABELS


class Attack:
    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.trace,)


def test_no_program_is_run(tmp_path):
    trace = tmp_path / "trace"
    attack = Attack(str(trace))
    torch.save({"labels": attack}, tmp_path / "a.pt")
    torch.save({"labels": attack}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"labels": np.array([attack], dtype=object)}, tmp_path / "objects.pt")
    np.save(tmp_path / "a.npy", np.array([attack], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", labels=np.array([attack], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(attack))
    for name in ("a.pt", "old.pt", "objects.pt"):
        assert "could be a program" in refused(f"{tmp_path / name}:labels")
    for name in ("a.npy", "a.npz", "pickle.npy"):
        assert "Python objects, which are never unpickled" in refused(tmp_path / name)
    assert not trace.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)  # it would have
    assert trace.exists()


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.npz", "a.pt", "a.json"])
def test_damaged_and_missing_files(tmp_path, name):
    assert re.search(r"no file .*/a\.\w+: give a \.csv", refused(tmp_path / name))
    np.savez(tmp_path / "whole.npz", labels=np.arange(4000))
    for content in (b"", b"\xff\xfe\0\0", (tmp_path / "whole.npz").read_bytes()[:2000]):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)


def test_unknown_endings_are_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"")
    assert "files ending in '.mat' are unknown" in refused(tmp_path / "a.mat")


# Whether an array is in the order of the data, and what its numbers stand for


def folders(counts: dict[str, int], **options: str) -> Dataset:
    names = [f"{word}/{i:02d}.png" for word, count in counts.items() for i in range(count)]
    labels = [name.split("/")[0] for name in names]
    return build_dataset(Source({"train": Part(ImageFiles("photos", names), labels, names)}), **options)


PETS = folders({"cat": 16, "dog": 12, "owl": 10})


def one_of_each_in_turn(dataset: Dataset) -> np.ndarray:
    """Its labels in another order, which a table of `file_name,label` would not mind."""
    place = [int(name.split("/")[1][:2]) for name in dataset.train.names]
    return dataset.train.labels[np.lexsort((dataset.train.labels, place))]


def test_an_array_in_the_order_of_the_data_is_taken_and_told(tmp_path):
    labels = PETS.train.labels.copy()
    labels[::3] = np.random.RandomState(0).randint(0, 3, len(labels[::3]))
    np.save(tmp_path / "l.npy", labels)
    found, array = read_label_file(str(tmp_path / "l.npy"), PETS, "--data.labels")
    assert found.tolist() == labels.tolist()
    assert array == LabelArray(f"--data.labels {tmp_path / 'l.npy'}", ["cat", "dog", "owl"], 28, 38)
    words = "agrees with 28 of 38 labels of the data; 0 is 'cat', 1 is 'dog', 2 is 'owl'"
    assert str(array) == f"--data.labels {tmp_path / 'l.npy'} {words}"
    np.save(tmp_path / "w.npy", np.array(PETS.label_words(labels)))
    _, array = read_label_file(str(tmp_path / "w.npy"), PETS, "--data.labels")
    assert str(array) == f"--data.labels {tmp_path / 'w.npy'} agrees with 28 of 38 labels of the data"
    (tmp_path / "l.csv").write_text("\n".join(["file_name,label", *(f"{name},cat" for name in PETS.train.names)]))
    assert read_label_file(str(tmp_path / "l.csv"), PETS, "--data.labels")[1] is None  # it goes by name


@pytest.mark.parametrize("form", ["npy", "npz:y", "json", "pt:y", "words"])
def test_an_array_in_another_order_is_refused(tmp_path, form):
    labels, file = one_of_each_in_turn(PETS), tmp_path / f"l.{form.split(':')[0]}"
    if form == "words":
        file = tmp_path / "l.npy"
        np.save(file, np.array(PETS.label_words(labels)))
    elif form == "npy":
        np.save(file, labels)
    elif form == "npz:y":
        np.savez(file, y=labels, clean=labels)
    elif form == "json":
        file.write_text(json.dumps(labels.tolist()))
    else:
        torch.save({"y": labels}, file)
    spec = f"{file}:y" if ":y" in form else str(file)
    with pytest.raises(InputError) as caught:
        read_label_file(spec, PETS, "--noise file")
    assert str(caught.value) == (
        f"--noise file {spec}: it agrees with 11 of 38 labels of the data, no more than by chance (13): give a .csv "
        "with the columns file_name,label; or, if the order is that of the data, from 'cat/00.png' to 'owl/09.png', "
        "add --data.labels-order given"
    )
    found, array = read_label_file(spec, PETS, "--noise file", in_order=True)
    assert found.tolist() == labels.tolist()
    assert (array.agree, array.compared) == (11, 38)


def test_few_labels_or_one_class_say_nothing_about_their_order():
    assert in_order(np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0]))
    assert in_order(np.zeros(100, int), np.arange(100) % 3)  # the data has stand-ins for labels
    assert not in_order(np.array([0, 1, 1, 0]), np.array([1, 0, 0, 1]))
    assert in_order(np.full(50, -1), np.arange(50) % 3)  # or none
    assert agreement(np.array([0, -1, 1, 2]), np.array([0, 1, -1, 1])) == (1, 2, 0.5, 1)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("n", "classes"), [(1000, 10), (50_000, 10), (50_000, 100), (20_000, 1000)])
def test_noise_as_published_is_known_to_be_in_order(n, classes, rate):
    random = np.random.RandomState(0)
    own = random.randint(0, classes, n)
    given = np.where(random.rand(n) < rate, random.randint(0, classes, n), own)
    assert in_order(own, given)
    assert not in_order(np.sort(own), given)


def test_the_test_errs_as_often_as_it_says():
    """Of orders by chance, a thousandth passes; of 600 more than five has a probability of 0.0003."""
    random, own = np.random.RandomState(0), np.repeat([0, 1, 2], [16, 12, 10])
    assert sum(in_order(own, random.permutation(own)) for _ in range(600)) <= 5
    assert P_VALUE == 0.001


NUMBERED = {str(i): 3 for i in range(12)}


def test_numbers_of_classes_that_are_numbers(tmp_path):
    """torchvision sorts folders as text: 0, 1, 10, 11, 2 …"""
    by_value, by_text = folders(NUMBERED, class_order="value"), folders(NUMBERED, class_order="text")
    assert by_value.classes == [str(i) for i in range(12)]
    assert by_text.classes == sorted(by_value.classes)
    theirs = np.array([by_text.classes.index(name.split("/")[0]) for name in by_text.train.names])
    np.save(tmp_path / "l.npy", theirs)
    spec = str(tmp_path / "l.npy")
    with pytest.raises(InputError) as caught:
        read_label_file(spec, folders(NUMBERED), "--data.labels")
    assert str(caught.value) == (
        f"--data.labels {spec}: 2 stands for '2' if classes are sorted by value, for '10' if as text, as torchvision "
        "does; then 6 or 36 of 36 labels agree with the data: say which by --data.class-order value or text"
    )
    found, array = read_label_file(spec, by_text, "--data.labels")
    assert found.tolist() == by_text.train.labels.tolist()
    assert str(array).startswith(
        f"--data.labels {spec} agrees with 36 of 36 labels of the data; 0 is '0', 1 is '1', 2 is '10'"
    )
    np.save(tmp_path / "w.npy", np.array(by_text.label_words(by_text.train.labels)))
    found, _ = read_label_file(str(tmp_path / "w.npy"), folders(NUMBERED), "--data.labels")  # words say it
    assert found.tolist() == by_value.train.labels.tolist()


def test_orders_that_do_not_differ_are_not_asked_about(tmp_path):
    for names in ([str(i) for i in range(10)], [f"{i:02d}" for i in range(12)], ["a", "b"]):
        dataset = folders(dict.fromkeys(names, 3))
        np.save(tmp_path / "l.npy", dataset.train.labels)
        assert (
            read_label_file(str(tmp_path / "l.npy"), dataset, "--data.labels")[0].tolist()
            == dataset.train.labels.tolist()
        )


def test_a_folder_that_means_unknown_has_a_number_too(tmp_path):
    """Here it comes last; torchvision knows nothing of it, and gives it the number of its name."""
    counts = {"Not sure": 4, "cat": 8, "dog": 8}
    np.save(tmp_path / "l.npy", np.repeat([0, 1, 2], [4, 8, 8]))
    with pytest.raises(
        InputError, match="0 stands for 'cat' if classes are sorted by value, for 'Not sure' if as text"
    ):
        read_label_file(str(tmp_path / "l.npy"), folders(counts, unlabeled="Not sure"), "--data.labels")
    dataset = folders(counts, unlabeled="Not sure", class_order="text")
    found, array = read_label_file(str(tmp_path / "l.npy"), dataset, "--data.labels")
    assert found.tolist() == [2] * 4 + [0] * 8 + [1] * 8
    assert (array.agree, array.compared, array.numbers) == (16, 16, ["Not sure", "cat", "dog"])


def test_labels_that_are_one_as_numbers(tmp_path):
    dataset = folders({"1": 3, "2": 3})
    (tmp_path / "l.csv").write_text(
        "\n".join(
            [
                "file_name,label",
                *(
                    f"{name},{label}"
                    for name, label in zip(dataset.train.names, ["1.0", "01", "1", "2", "2.0", "1e0"], strict=True)
                ),
            ]
        )
    )
    assert read_label_file(str(tmp_path / "l.csv"), dataset, "--data.labels")[0].tolist() == [0, 0, 0, 1, 1, 0]
