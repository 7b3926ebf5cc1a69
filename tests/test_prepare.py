"""Hold-out, limit, and checks on what a source gave."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixnn.data.dataset import Dataset, Part, Samples, Source, build_dataset, comes_by_class
from mixnn.data.split import check_counts, draw_stratified, fingerprint, long_tail, prepare, stratified_part
from mixnn.errors import InputError


def samples(labels: list[int]) -> Samples:
    """Images that hold their own number."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    return Samples(images, np.array(labels, dtype=np.int64), [f"{i}.png" for i in range(len(labels))])


def dataset(per_class: int = 20, unlabeled: int = 0) -> Dataset:
    return Dataset(["cat", "dog", "owl"], samples([0, 1, 2] * per_class + [-1] * unlabeled), unlabeled=["?"])


def numbers(some: Samples) -> list[int]:
    """Which of the samples these are; image and name have to agree."""
    assert [f"{i}.png" for i in some.images[:, 0, 0, 0]] == some.names
    return some.images[:, 0, 0, 0].tolist()


def test_holdout_is_a_share_of_every_class():
    whole = dataset()
    result = prepare(whole, holdout=0.25)
    assert result.heldout_name == "holdout"
    assert np.bincount(result.heldout.labels).tolist() == [5, 5, 5]
    assert sorted(numbers(result.train) + numbers(result.heldout)) == list(range(60))
    for part in (result.train, result.heldout):
        assert numbers(part) == sorted(numbers(part))
        assert part.labels.tolist() == whole.train.labels[numbers(part)].tolist()


def test_unlabeled_samples_stay_in_training():
    result = prepare(dataset(unlabeled=7), holdout=0.5)
    assert (result.train.labels == -1).sum() == 7
    assert np.bincount(result.heldout.labels).tolist() == [10, 10, 10]


def test_the_holdout_has_the_labels_from_before_the_noise():
    clean = dataset()
    wrong = replace(clean.train, labels=(clean.train.labels + 1) % 3)
    result = prepare(replace(clean, train=wrong, original=clean.train.labels), holdout=0.25, seed=2)
    plain = prepare(clean, holdout=0.25, seed=2)
    for part in (result, plain):  # the same samples, whatever the noise
        assert numbers(part.heldout) == numbers(plain.heldout)
        assert np.array_equal(part.heldout.labels, plain.heldout.labels)
    assert np.array_equal(result.original, plain.train.labels)
    assert np.array_equal(result.train.labels, (plain.train.labels + 1) % 3)


@given(st.lists(st.integers(2, 30), min_size=1, max_size=4), st.floats(0.01, 0.99), st.integers(0, 100))
@example([2, 3], 0.99, 0)
@example([2, 3], 0.01, 0)
def test_every_class_keeps_some_and_gives_some(counts, share, seed):
    labels = np.repeat(np.arange(-1, len(counts)), [3, *counts])
    held = draw_stratified(labels, share, seed)
    assert not held[labels < 0].any()
    for label, count in enumerate(counts):
        own = held[labels == label].sum()
        assert 1 <= own <= count - 1
        assert abs(own - share * count) <= 1
    assert np.array_equal(held, draw_stratified(labels, share, seed))


def test_the_holdout_depends_on_the_seed():
    first, again, other = (numbers(prepare(dataset(), seed=seed).heldout) for seed in (0, 0, 1))
    assert first == again != other


def test_no_holdout_where_none_is_wanted_or_a_part_is_held_out():
    assert prepare(dataset(), holdout=0).heldout is None
    test_part = samples([2, 1, 0])
    result = prepare(replace(dataset(), heldout=test_part, heldout_name="test"))
    assert result.heldout is test_part
    assert result.heldout_name == "test"
    assert len(result.train) == 60


def test_limit_takes_the_first_of_the_training_part():
    noisy = replace(dataset(), original=np.roll(dataset().train.labels, 1))
    whole, limited = prepare(noisy, seed=2), prepare(noisy, limit=9, seed=2)
    assert numbers(limited.train) == numbers(whole.train)[:9]
    assert limited.original.tolist() == whole.original[:9].tolist()
    assert numbers(limited.heldout) == numbers(whole.heldout)
    assert len(prepare(dataset(), limit=1000, holdout=0).train) == 60


def test_imbalance_thins_the_right_classes_out():
    """By the labels of before the noise, the first samples of each staying, and ahead of the limit."""
    clean = dataset(unlabeled=2)
    right = clean.train.labels
    noisy = replace(clean, train=replace(clean.train, labels=np.roll(right, 1)), original=right)
    result = prepare(noisy, holdout=0, imbalance=4)
    assert np.bincount(result.original[:-2]).tolist() == [20, 10, 5]
    assert numbers(result.train)[:18] == [*range(17), 18]  # five owls, then none
    assert result.original[-2:].tolist() == [-1, -1]
    assert result.train.labels.tolist() == noisy.train.labels[numbers(result.train)].tolist()
    assert numbers(prepare(noisy, holdout=0, imbalance=4, limit=7).train) == numbers(result.train)[:7]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0] * 16 + [1] * 12 + [2] * 10, True),
        ([*range(3)] * 10, False),  # one of each in turn, as the first of a published list may be
        (np.random.RandomState(0).randint(0, 10, 50_000), False),
        (np.repeat(np.arange(500), 2), True),
        ([0, 1, 2, 3], False),  # one of each: there is nothing to tell by
        ([0] * 5, False),
        ([], False),
        ([0] * 20 + [1] * 20 + [0] * 20 + [1] * 20, True),  # two lists, one behind the other
    ],
)
def test_data_that_comes_by_class_is_known(labels, expected):
    assert comes_by_class(np.array(labels, dtype=np.int64)) is expected


def test_the_limit_of_data_that_comes_by_class_is_a_fair_part():
    words = ["cat"] * 80 + ["dog"] * 40 + ["owl"] * 2
    part = Part(
        np.arange(122, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3), words, [f"{i}.png" for i in range(122)]
    )
    whole = build_dataset(Source({"train": part}))
    assert whole.by_class
    some = prepare(whole, holdout=0, limit=30)
    assert np.bincount(some.train.labels).tolist() == [19, 10, 1]
    assert numbers(some.train) == sorted(numbers(some.train))
    assert numbers(some.train)[18] > 50  # from all over the class
    assert numbers(prepare(whole, holdout=0, limit=30, seed=3).train) == numbers(some.train)
    assert set(numbers(prepare(whole, holdout=0, limit=20).train)) < set(numbers(some.train))
    assert np.bincount(prepare(whole, holdout=0, limit=3).train.labels).tolist() == [1, 1, 1]
    with pytest.raises(InputError, match=r"has no image among 2 \(--limit\)"):
        prepare(whole, holdout=0, limit=2)
    noisy = replace(
        whole, train=replace(whole.train, labels=np.roll(whole.train.labels, 40)), original=whole.train.labels
    )
    assert numbers(prepare(noisy, holdout=0, limit=30).train) == numbers(some.train)  # whatever the noise
    assert numbers(prepare(replace(whole, by_class=False), holdout=0, limit=121).train) == [*range(121)]


def test_a_stratified_part_has_no_favorites():
    labels = np.repeat([0, 1, 2], [16, 12, 10])
    assert np.bincount(labels[stratified_part(labels, 19)]).tolist() == [8, 6, 5]
    assert stratified_part(labels, 38).tolist() == [*range(38)]


def test_the_long_tail_of_cifar10():
    labels = np.arange(50_000) % 10
    counts = np.bincount(labels[long_tail(labels, 10, 50)])
    assert counts.tolist() == [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]
    assert len(long_tail(labels, 10, 1)) == 50_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": 1.0}, r"--data\.holdout is 1"),
        ({"holdout": -0.1}, r"--data\.holdout is -0.1"),
        ({"holdout": float("nan")}, r"--data\.holdout is nan"),
        ({"limit": 1}, "--limit is 1: use at least 2"),
        ({"limit": 2}, r"class 'owl' has no image among the first 2 \(--limit\).*larger --limit"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        prepare(dataset(), **{"holdout": 0} | options)


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (["cat"], [0, 0], "the data has one class only"),
        (["cat", "dog"], [0, 0, 0, -1, -1], "class 'dog' has no image, at least 2"),
        (["cat", "dog"], [0, 1, 0, -1], "class 'dog' has one image, at least 2"),
    ],
)
def test_too_few_images(classes, labels, message):
    with pytest.raises(InputError, match=message):
        prepare(Dataset(classes, samples(labels), unlabeled=["?"]))


def test_counts_are_those_of_the_labels_before_the_noise():
    noisy = Dataset(["cat", "dog"], samples([0, 0, 0, 0]), original=np.array([0, 1, 0, 1]))
    check_counts(noisy, "")
    with pytest.raises(InputError, match="class 'dog' has no image"):
        check_counts(replace(noisy, original=None), "")


def test_fingerprint_sees_everything_a_checkpoint_depends_on():
    some, checksums, classes = samples([0, 1, 0]), np.array([5, 6, 7], dtype=np.uint32), ["cat", "dog"]
    same = fingerprint(samples([0, 1, 0]), checksums.copy(), list(classes))
    assert same == fingerprint(some, checksums, classes)
    changed = [
        fingerprint(some, checksums[::-1].copy(), classes),
        fingerprint(replace(some, labels=np.array([0, 1, 1])), checksums, classes),
        fingerprint(replace(some, names=["0.png", "1.png", "x.png"]), checksums, classes),
        fingerprint(some, checksums, ["dog", "cat"]),
        fingerprint(some[:2], checksums[:2], classes),
    ]
    assert len({same, *changed}) == 6


def test_fingerprint_of_names_that_are_no_utf8():
    plain, odd = (replace(samples([0]), names=[name]) for name in ("a.png", "\udcff.png"))
    checksums = np.zeros(1, dtype=np.uint32)
    assert fingerprint(plain, checksums, ["cat"]) != fingerprint(odd, checksums, ["cat"])
