"""Hold-out, limit, noise and checks on what a reader gave."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixnn.data.dataset import Dataset, Samples, draw_stratified, fingerprint, prepare
from mixnn.errors import InputError


def samples(labels: list[int]) -> Samples:
    """Images that hold their own number."""
    n = len(labels)
    images = np.zeros((n, 4, 4, 3), dtype=np.uint8)
    images[:] = np.arange(n)[:, None, None, None]
    return Samples(images, np.array(labels, dtype=np.int64), [f"{i}.png" for i in range(n)])


def dataset(per_class: int = 20) -> Dataset:
    return Dataset(["cat", "dog", "owl"], samples([0, 1, 2] * per_class))


def numbers(some: Samples) -> list[int]:
    """Which of the samples these are; image and name have to agree."""
    assert [f"{i}.png" for i in some.images[:, 0, 0, 0]] == some.names
    return some.images[:, 0, 0, 0].tolist()


def test_rows_of_samples():
    some = samples([0, 1, 2, 0, 1])
    assert numbers(some[np.array([4, 0])]) == [4, 0]
    assert some[np.array([4, 0])].labels.tolist() == [1, 0]
    assert numbers(some[slice(2)]) == [0, 1]
    assert len(some[slice(2)]) == 2


def test_holdout_is_a_share_of_every_class():
    whole = dataset()
    result = prepare(whole, holdout=0.25)
    assert result.heldout_name == "holdout"
    assert np.bincount(result.heldout.labels).tolist() == [5, 5, 5]
    assert sorted(numbers(result.train) + numbers(result.heldout)) == list(range(60))
    for part in (result.train, result.heldout):
        assert numbers(part) == sorted(numbers(part))
        assert part.labels.tolist() == whole.train.labels[numbers(part)].tolist()


@given(st.lists(st.integers(2, 30), min_size=1, max_size=4), st.floats(0.01, 0.99), st.integers(0, 100))
@example([2, 3], 0.99, 0)
@example([2, 3], 0.01, 0)
def test_every_class_keeps_some_and_gives_some(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    held = draw_stratified(labels, share, seed)
    for label, count in enumerate(counts):
        own = held[labels == label].sum()
        assert 1 <= own <= count - 1
        assert abs(own - share * count) <= 1
    assert np.array_equal(held, draw_stratified(labels, share, seed))


def test_the_holdout_depends_on_the_seed():
    first, again, other = (numbers(prepare(dataset(), seed=seed).heldout) for seed in (0, 0, 1))
    assert first == again != other


def test_no_holdout_where_none_is_wanted_or_a_test_part_exists():
    assert prepare(dataset(), holdout=0).heldout is None
    test_part = samples([2, 1, 0])
    result = prepare(replace(dataset(), heldout=test_part, heldout_name="test"))
    assert result.heldout is test_part
    assert result.heldout_name == "test"
    assert len(result.train) == 60


def test_limit_takes_the_first_of_the_training_part():
    whole, limited = prepare(dataset(), seed=2), prepare(dataset(), limit=9, seed=2)
    assert numbers(limited.train) == numbers(whole.train)[:9]
    assert numbers(limited.heldout) == numbers(whole.heldout)
    assert len(prepare(dataset(), limit=1000, holdout=0).train) == 60


def test_noise_is_added_to_the_training_part_only():
    clean, noisy = prepare(dataset(), seed=2), prepare(dataset(), noise="pairflip:1", seed=2)
    assert clean.original is None
    assert np.array_equal(noisy.original, clean.train.labels)
    assert np.array_equal(noisy.train.labels, (clean.train.labels + 1) % 3)
    assert np.array_equal(noisy.heldout.labels, clean.heldout.labels)
    assert numbers(noisy.train) == numbers(clean.train)


def test_noise_depends_on_the_seed():
    first, again, other = (
        prepare(dataset(), holdout=0, noise="symmetric:0.5", seed=seed).train.labels for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": 1.0}, "--data.holdout is 1"),
        ({"holdout": -0.1}, "--data.holdout is -0.1"),
        ({"limit": 1}, "--limit is 1: use at least 2"),
        ({"limit": 2}, r"class 'owl' has no image among the first 2 \(--limit\).*larger --limit"),
        ({"noise": "symmetric:2"}, "the rate is 2"),
        ({"noise": "asymmetric:0.4"}, "use pairflip here"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        prepare(dataset(), **{"holdout": 0} | options)


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (["cat"], [0, 0], "the data has one class only"),
        (["cat", "dog"], [0, 0, 0], "class 'dog' has no image, at least 2"),
        (["cat", "dog"], [0, 1, 0], "class 'dog' has one image, at least 2"),
    ],
)
def test_too_few_images(classes, labels, message):
    with pytest.raises(InputError, match=message):
        prepare(Dataset(classes, samples(labels)))


def test_fingerprint_sees_everything_a_checkpoint_depends_on():
    some, classes = samples([0, 1, 0]), ["cat", "dog"]
    other_images = some.images.copy()
    other_images[2, 3, 3, 2] += 1
    changed = [
        fingerprint(replace(some, images=other_images), classes),
        fingerprint(replace(some, labels=np.array([0, 1, 1])), classes),
        fingerprint(replace(some, names=["0.png", "1.png", "x.png"]), classes),
        fingerprint(some, ["dog", "cat"]),
        fingerprint(some[slice(2)], classes),
    ]
    assert fingerprint(samples([0, 1, 0]), classes) == fingerprint(some, classes)
    assert len({fingerprint(some, classes), *changed}) == 6


def test_fingerprint_of_names_that_are_no_utf8():
    assert fingerprint(replace(samples([0]), names=["\udcff.png"]), ["cat"])
