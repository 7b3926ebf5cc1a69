"""From the words of a source to numbers: classes, labels that mean "don't know", which part is held out."""

import numpy as np
import pytest

from mixnn.data.dataset import Part, Samples, Source, build_dataset
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.words import sort_words
from mixnn.errors import InputError


def part(labels: list[str] | list[int]) -> Part:
    """Images that hold their own number."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    given = np.array(labels, dtype=np.int64) if labels and isinstance(labels[0], int) else labels
    return Part(images, given, [f"{i}.png" for i in range(len(labels))])


def numbers(samples: Samples) -> list[int]:
    """Which of the samples these are; image and name have to agree."""
    assert [f"{i}.png" for i in samples.images[:, 0, 0, 0]] == samples.names
    assert len(samples) == len(samples.names)
    return samples.images[:, 0, 0, 0].tolist()


def test_words():
    dataset = build_dataset(Source({"train": part(["owl", "cat", "owl", "dog"])}))
    assert dataset.classes == ["cat", "dog", "owl"]
    assert dataset.train.labels.tolist() == [2, 0, 2, 1]
    assert dataset.train.labels.dtype == np.int64
    assert (dataset.heldout, dataset.heldout_name, dataset.others) == (None, "none", {})
    assert dataset.label_words(dataset.train.labels) == ["owl", "cat", "owl", "dog"]


def test_a_fixed_list_of_classes():
    """Its order counts, for words as for numbers; a class may be without samples."""
    for labels in (["owl", "cat"], [0, 2]):
        dataset = build_dataset(Source({"train": part(labels)}, ["owl", "dog", "cat"]))
        assert (dataset.classes, dataset.train.labels.tolist()) == (["owl", "dog", "cat"], [0, 2])


def test_one_list_of_classes_for_all_parts():
    dataset = build_dataset(Source({"train": part(["b", "c"]), "test": part(["c", "a"])}))
    assert dataset.classes == ["a", "b", "c"]
    assert (dataset.train.labels.tolist(), dataset.heldout.labels.tolist()) == ([1, 2], [2, 0])


def test_numbers_are_sorted_by_value():
    assert sort_words({"10", "9", "2"}) == ["2", "9", "10"]
    assert sort_words({"10", "9", "x"}) == ["10", "9", "x"]
    dataset = build_dataset(Source({"train": part(["10", "", "9", "Skip"])}), unlabeled='Skip,""')
    assert dataset.classes == ["9", "10"]


def test_images_may_be_files():
    train = Part(ImageFiles("photos", ["a.png", "b.png"]), ["cat", "dog"], ["a.png", "b.png"])
    rows = build_dataset(Source({"train": train})).train[np.array([1])]
    assert (rows.images.source(0), rows.labels.tolist(), rows.names) == ("photos/b.png", [1], ["b.png"])


def test_rows_of_samples():
    samples = build_dataset(Source({"train": part(list("abcab"))})).train
    assert numbers(samples[np.array([4, 0])]) == [4, 0]
    assert samples[np.array([4, 0])].labels.tolist() == [1, 0]
    assert numbers(samples[:2]) == [0, 1]


# Labels that mean "don't know"


@pytest.mark.parametrize(
    ("option", "words", "classes", "labels"),
    [
        ("Skip", ["Skip"], ["Not, sure", "a", "b"], [1, -1, 2, 0, 1]),
        ('Skip, "Not, sure"', ["Skip", "Not, sure"], ["a", "b"], [0, -1, 1, -2, 0]),
        ('"Not, sure",Skip', ["Not, sure", "Skip"], ["a", "b"], [0, -2, 1, -1, 0]),
        ("Skip, a ,Skip", ["Skip", "a"], ["Not, sure", "b"], [-2, -1, 1, 0, -2]),
    ],
)
def test_unlabeled(option, words, classes, labels):
    given = ["a", "Skip", "b", "Not, sure", "a"]
    dataset = build_dataset(Source({"train": part(given)}), unlabeled=option)
    assert (dataset.unlabeled, dataset.classes) == (words, classes)
    assert dataset.train.labels.tolist() == labels
    assert dataset.label_words(dataset.train.labels) == given


def test_unlabeled_with_numbers():
    source = Source({"train": part([0, 1, 2, 1])}, ["owl", "Skip", "cat"])
    dataset = build_dataset(source, unlabeled="Skip")
    assert (dataset.classes, dataset.train.labels.tolist()) == (["owl", "cat"], [0, -1, 1, -1])


@pytest.mark.parametrize("options", [{}, {"unlabeled": ""}, {"missing": "keep"}])
def test_empty_labels_are_none(options):
    source = Source({"train": part(["cat", "dog", "", "cat"]), "val": part(["", "dog"])})
    dataset = build_dataset(source, **options)
    assert (dataset.classes, dataset.unlabeled) == (["cat", "dog"], [""])
    assert dataset.train.labels.tolist() == [0, 1, -1, 0]


# Parts


@pytest.mark.parametrize(
    ("names", "wanted", "measured", "others"),
    [
        (["train", "val", "test"], None, "test", ["val"]),
        (["train", "val", "more"], None, "val", ["more"]),
        (["train", "more"], None, "none", ["more"]),
        (["train", "val", "test"], "val", "val", ["test"]),
        (["more", "train"], "more", "more", []),
        (["train", "val", "test"], "train", "none", ["val", "test"]),  # some of it will be, see `prepare`
    ],
)
def test_which_part_is_held_out(names, wanted, measured, others):
    parts = {name: part(["a"] * (2 + row) + ["b"]) for row, name in enumerate(names)}
    dataset = build_dataset(Source(parts), heldout=wanted)
    assert (dataset.heldout_name, list(dataset.others)) == (measured, others)
    found = {"train": dataset.train, measured: dataset.heldout} | dataset.others
    for row, name in enumerate(names):
        assert len(found[name]) == 3 + row


def test_nobody_can_be_right_about_unlabeled_samples():
    source = Source({"train": part(["a", "b", "?"]), "test": part(["?", "b", "?", "a"]), "val": part(["?", "a"])})
    dataset = build_dataset(source, unlabeled="?")
    assert numbers(dataset.heldout) == [1, 3]
    assert dataset.heldout.labels.tolist() == [1, 0]
    assert dataset.others["val"].labels.tolist() == [-1, 0]  # kept apart as it is


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (Source({"train": part(["a", "b"])}), {"unlabeled": "c"}, r"unlabeled: no label is 'c': .* are 'a', 'b'"),
        (Source({"train": part(["a", "b"])}), {"unlabeled": ""}, "unlabeled: no label is ''"),
        (Source({"train": part(["a", "b"])}), {"heldout": "test"}, "heldout 'test' is no part .* name none"),
        (
            Source({"train": part(["a", "b"]), "val": part(["a"])}),
            {"heldout": "vel"},
            "'vel' is no part .* one of val$",
        ),
        (Source({"train": part([0, 2])}, ["a", "b"]), {}, "part 'train' has label 2, but 2 classes"),
        (Source({"train": part([0, -2])}, ["a", "b"]), {}, "part 'train' has label -2, but 2 classes"),
        (Source({"train": part(["a", "c"])}, ["a", "b"]), {}, "label 'c' of part 'train' is no class"),
    ],
)
def test_errors(source, options, message):
    with pytest.raises(InputError, match=message):
        build_dataset(source, **options)
