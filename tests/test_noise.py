"""Label noise: what it does is the published benchmark, and it never changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixnn.data.noise.transition import CIFAR100_SUPERCLASSES, corrupt, parse_noise, parse_rate, transition_matrix
from mixnn.errors import InputError

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR100 = ["apple", *(f"fine{i:02d}" for i in range(1, 99)), "worm"]
REAL_CIFAR100 = sorted(name for row in CIFAR100_SUPERCLASSES for name in row)
SOME = ["a", "b", "c", "d"]

# The labels 0 … 9, 0 … 9 with the rate 0.5 and the seed 1, once and for all.
GOLDEN = {
    "symmetric": [0, 4, 0, 3, 2, 1, 3, 6, 7, 9, 0, 3, 2, 7, 0, 5, 6, 7, 2, 3],
    "symmetric-exclusive": [0, 4, 0, 3, 2, 1, 3, 6, 7, 9, 0, 4, 2, 7, 0, 5, 6, 7, 2, 3],
    "asymmetric": [0, 1, 0, 3, 4, 3, 6, 7, 8, 9, 0, 1, 0, 5, 4, 5, 6, 7, 8, 1],
    "pairflip": [0, 2, 2, 3, 4, 5, 6, 7, 8, 9, 0, 2, 2, 4, 4, 6, 6, 8, 8, 0],
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_labels(kind):
    labels = np.tile(np.arange(10), 2)
    assert corrupt(labels, transition_matrix(kind, 0.5, CIFAR10), seed=1).tolist() == GOLDEN[kind]


def test_golden_labels_of_100_classes():
    noisy = corrupt(np.arange(0, 100, 7), transition_matrix("asymmetric", 0.5, CIFAR100), seed=1)
    assert noisy.tolist() == [0, 8, 10, 21, 28, 35, 42, 45, 56, 64, 70, 78, 80, 92, 98]


def test_every_label_is_drawn_from_its_row_by_inversion():
    """The same by hand: the first class whose cumulated probability is above the draw."""
    transition = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.6, 0.0, 0.4]])
    labels = np.arange(60) % 3
    draws = np.random.RandomState(5).random_sample(60)
    expected = []
    for label, draw in zip(labels, draws, strict=True):
        reached = 0.0
        for other in range(3):
            reached += transition[label, other]
            if draw < reached:
                expected.append(other)
                break
    assert corrupt(labels, transition, seed=5).tolist() == expected


@given(st.sampled_from([*GOLDEN]), st.floats(0, 1), st.sampled_from([CIFAR10, CIFAR100]))
def test_rows_of_the_transition_matrix_are_probabilities(kind, rate, classes):
    transition = transition_matrix(kind, rate, classes)
    assert transition.shape == (len(classes), len(classes))
    assert (transition >= 0).all()
    np.testing.assert_allclose(transition.sum(1), 1)


@given(st.integers(0, 40), st.integers(0, 5))
def test_the_first_labels_are_the_same_however_many_follow(n, seed):
    labels, transition = np.arange(40) % 4, transition_matrix("symmetric", 0.5, SOME)
    assert np.array_equal(corrupt(labels[:n], transition, seed), corrupt(labels, transition, seed)[:n])


@given(st.sets(st.integers(0, 39)), st.integers(0, 5))
def test_unlabeled_samples_stay_and_change_nothing_for_others(unlabeled, seed):
    labels, transition = np.arange(40) % 4, transition_matrix("symmetric-exclusive", 0.5, SOME)
    rows = np.array(sorted(unlabeled), dtype=np.int64)
    expected, partly = corrupt(labels, transition, seed), labels.copy()
    partly[rows] = expected[rows] = -1 - rows % 2
    assert np.array_equal(corrupt(partly, transition, seed), expected)


@given(st.sampled_from(["symmetric", "symmetric-exclusive", "pairflip"]), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_same_seed_same_labels(kind, rate, seed):
    labels, transition = np.arange(40) % 4, transition_matrix(kind, rate, SOME)
    noisy = corrupt(labels, transition, seed)
    assert np.array_equal(noisy, corrupt(labels, transition, seed))
    assert noisy.dtype == np.int64
    assert ((noisy >= 0) & (noisy < 4)).all()


def test_another_seed_gives_other_labels():
    labels, transition = np.arange(40) % 4, transition_matrix("symmetric", 0.5, SOME)
    assert not np.array_equal(corrupt(labels, transition, 0), corrupt(labels, transition, 1))


@pytest.mark.parametrize("kind", GOLDEN)
def test_rate_zero_changes_nothing(kind):
    labels = np.arange(50) % 10
    assert np.array_equal(corrupt(labels, transition_matrix(kind, 0.0, CIFAR10), 0), labels)


@pytest.mark.parametrize(
    ("kind", "rate", "classes", "wrong"),
    [
        ("symmetric", 0.8, CIFAR10, 0.72),  # a tenth of the redrawn labels comes out right
        ("symmetric", 0.5, CIFAR100, 0.495),
        ("symmetric-exclusive", 0.8, CIFAR10, 0.8),
        ("asymmetric", 0.4, CIFAR10, 0.2),  # half of the classes are confused
        ("asymmetric", 0.4, CIFAR100, 0.4),
        ("asymmetric-superclass", 0.4, REAL_CIFAR100, 0.4),
        ("pairflip", 0.45, CIFAR10, 0.45),
    ],
)
def test_measured_rates(kind, rate, classes, wrong):
    n, c = 40_000, len(classes)
    labels, transition = np.arange(n) % c, transition_matrix(kind, rate, classes)
    noisy = corrupt(labels, transition, seed=3)
    assert (noisy != labels).mean() == pytest.approx(wrong, abs=4 * np.sqrt(wrong * (1 - wrong) / n))
    if c == 10:  # 100 × 100 entries would be a handful of samples each
        counts = np.zeros((c, c))
        np.add.at(counts, (labels, noisy), 1)
        expected = transition * n / c
        assert (np.abs(counts - expected) <= 5 * np.sqrt(expected * (1 - transition)) + 1e-6).all()


def test_asymmetric_map_of_cifar10():
    transition = transition_matrix("asymmetric", 0.4, CIFAR10)
    wrong = {a: b for i, a in enumerate(CIFAR10) for j, b in enumerate(CIFAR10) if i != j and transition[i, j] > 0}
    assert wrong == {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}
    assert {transition[CIFAR10.index(a), CIFAR10.index(b)] for a, b in wrong.items()} == {0.4}


def test_asymmetric_map_goes_by_name_not_by_place():
    classes = sorted(CIFAR10, reverse=True)
    transition = transition_matrix("asymmetric", 1.0, classes)
    assert transition[classes.index("deer")].argmax() == classes.index("horse")
    assert transition[classes.index("ship")].argmax() == classes.index("ship")


def test_asymmetric_map_of_cifar100_is_a_circle_in_each_block_of_five():
    transition = transition_matrix("asymmetric", 1.0, CIFAR100)
    assert transition.argmax(1).tolist() == [5 * block + place for block in range(20) for place in (1, 2, 3, 4, 0)]


def test_superclasses_of_cifar100():
    """Five fine labels each, in order; the data's own coarse labels say the same of all 100."""
    assert len(REAL_CIFAR100) == len(set(REAL_CIFAR100)) == 100
    assert [len(row) for row in CIFAR100_SUPERCLASSES] == [5] * 20
    assert all(row == sorted(row) for row in CIFAR100_SUPERCLASSES)  # fine labels are in order of their names


def test_superclass_map_is_a_circle_in_each_superclass():
    transition = transition_matrix("asymmetric-superclass", 1.0, REAL_CIFAR100)
    wrong = {name: REAL_CIFAR100[row.argmax()] for name, row in zip(REAL_CIFAR100, transition, strict=True)}
    circle = ["aquarium_fish", "flatfish", "ray", "shark", "trout", "aquarium_fish"]
    assert [wrong[name] for name in circle[:-1]] == circle[1:]
    assert wrong["willow_tree"] == "maple_tree"
    assert sorted(wrong.values()) == REAL_CIFAR100


def test_asymmetric_superclass_is_undefined_for_other_classes():
    with pytest.raises(InputError, match="is defined for CIFAR-100 classes: use pairflip here"):
        transition_matrix("asymmetric-superclass", 0.4, CIFAR10)


def test_pairflip_map():
    assert transition_matrix("pairflip", 1.0, SOME).argmax(1).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    "classes",
    [
        SOME,
        [f"bird {i}" for i in range(100)],  # a hundred, but not those of CIFAR-100
        # STL-10 has CIFAR-10's five confused classes, but no automobile to confuse the trucks with.
        ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"],
    ],
)
def test_asymmetric_is_undefined_for_other_classes(classes):
    with pytest.raises(InputError, match="use pairflip here"):
        transition_matrix("asymmetric", 0.4, classes)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("symmetric:0.5", ("symmetric", "0.5")),
        ("matrix:some/t.csv", ("matrix", "some/t.csv")),
        ("file:noise.npz:worse", ("file", "noise.npz:worse")),
    ],
)
def test_parse(text, parsed):
    assert parse_noise(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian:0.5", "kind 'gaussian' is unknown; use one of symmetric"),
        ("", "kind '' is unknown"),
        ("matrix:", "no file is named; write it as matrix:FILE"),
        ("file", "no file is named; write it as file:FILE"),
        ("symmetric", "'symmetric': no rate is given; write it as symmetric:0.5"),
    ],
)
def test_parse_errors(text, message):
    with pytest.raises(InputError, match=message):
        parse_noise(text)


@pytest.mark.parametrize(("text", "rate"), [("0.5", 0.5), ("1", 1.0), ("0", 0.0)])
def test_rate(text, rate):
    assert parse_rate("pairflip", text) == rate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half", "symmetric:half: 'half' is not a rate"),
        ("1.5", "the rate is 1.5; use a number from 0 to 1"),
        ("-0.1", "the rate is -0.1"),
        ("nan", "the rate is nan"),
    ],
)
def test_rate_errors(text, message):
    with pytest.raises(InputError, match=message):
        parse_rate("symmetric", text)
