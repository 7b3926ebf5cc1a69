"""Label noise, the same for the same seed on every machine. Must not know: images, files, torch.

What is drawn here is class-conditional: a transition matrix says how each class is mislabeled. The other
kinds are drawn elsewhere (`instance_dependent.py`) or read (`injection.py`); all are named here, once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

# What each kind means, and where it comes from; R is the rate. These sentences stand in noise.json.
RATED = {
    "symmetric": "with probability R, redrawn evenly from all classes, the right one included"
    " (the benchmark of DivideMix, arXiv 2002.07394)",
    "symmetric-exclusive": "with probability R, redrawn evenly from the other classes"
    " (the symmetry flipping of Co-teaching, arXiv 1804.06872)",
    "asymmetric": "with probability R, a similar class: for CIFAR-10 truck→automobile, bird→airplane, deer→horse,"
    " cat↔dog (arXiv 1609.03683); for CIFAR-100 the next class inside each block of five consecutive fine labels,"
    " the last one's next is the first, as published code does",
    "asymmetric-superclass": "with probability R, the next class of CIFAR-100 inside the same superclass,"
    " in order of fine labels, the last one's next is the first (as arXiv 1609.03683 words it)",
    "pairflip": "with probability R, the next class in order, the last one's next is the first"
    " (the pair flipping of Co-teaching, arXiv 1804.06872)",
    "instance": "with a probability of each sample's own, normal around R with deviation 0.1, redrawn outside 0–1;"
    " the wrong class by a softmax over random projections of the image, others for each class"
    " (algorithm 2 of arXiv 2006.07836)",
}
FROM_FILE = {
    "matrix": "drawn from the row of its class in a given transition matrix",
    "file": "taken from a given label file",
}
KINDS = (*RATED, *FROM_FILE)

# truck→automobile, bird→airplane, deer→horse, cat↔dog (Patrini et al., arXiv 1609.03683)
CIFAR10_CONFUSED = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}
# The 20 superclasses of CIFAR-100, each in order of fine labels.
CIFAR100_SUPERCLASSES = [
    row.split()
    for row in """
    beaver dolphin otter seal whale
    aquarium_fish flatfish ray shark trout
    orchid poppy rose sunflower tulip
    bottle bowl can cup plate
    apple mushroom orange pear sweet_pepper
    clock keyboard lamp telephone television
    bed chair couch table wardrobe
    bee beetle butterfly caterpillar cockroach
    bear leopard lion tiger wolf
    bridge castle house road skyscraper
    cloud forest mountain plain sea
    camel cattle chimpanzee elephant kangaroo
    fox porcupine possum raccoon skunk
    crab lobster snail spider worm
    baby boy girl man woman
    crocodile dinosaur lizard snake turtle
    hamster mouse rabbit shrew squirrel
    maple_tree oak_tree palm_tree pine_tree willow_tree
    bicycle bus motorcycle pickup_truck train
    lawn_mower rocket streetcar tank tractor
    """.strip().splitlines()
]


def parse_noise(text: str) -> tuple[str, str]:
    """`kind:value` as (kind, value); the value is a rate or a file.

    Raises:
        InputError: unknown kind, or nothing behind the colon.
    """
    kind, _, value = text.partition(":")
    if kind not in KINDS:
        raise InputError(f"--noise {text!r}: kind {kind!r} is unknown; use one of {', '.join(KINDS)}, as symmetric:0.5")
    if not value:
        lacks, form = ("file is named", "FILE") if kind in FROM_FILE else ("rate is given", "0.5")
        raise InputError(f"--noise {text!r}: no {lacks}; write it as {kind}:{form}")
    return kind, value


def parse_rate(kind: str, value: str) -> float:
    """The rate of a kind that has one.

    Raises:
        InputError: no number from 0 to 1.
    """
    try:
        rate = float(value)
    except ValueError:
        raise InputError(
            f"--noise {kind}:{value}: {value!r} is not a rate; write a number from 0 to 1, as {kind}:0.5"
        ) from None
    if not 0 <= rate <= 1:
        raise InputError(f"--noise {kind}:{value}: the rate is {rate:g}; use a number from 0 to 1")
    return rate


def transition_matrix(kind: str, rate: float, classes: Sequence[str]) -> NDArray[np.float64]:
    """T (C, C), rows sum to one: T[a, b] is the probability that class a is labeled b; see `RATED`.

    Raises:
        InputError: "asymmetric" or "asymmetric-superclass" is not defined for these classes.
    """
    c = len(classes)
    keep = (1 - rate) * np.eye(c)
    if kind == "symmetric":
        return keep + rate / c
    if kind == "symmetric-exclusive":
        return keep + rate / (c - 1) * (1 - np.eye(c))
    return keep + rate * np.eye(c)[_confused_with(kind, list(classes))]


def _confused_with(kind: str, classes: list[str]) -> NDArray[np.int64]:
    """(C,), the one class that each is mislabeled as; itself where it never is."""
    place = np.arange(len(classes))
    if kind == "pairflip":
        return (place + 1) % len(classes)
    if kind == "asymmetric-superclass":
        following = {name: row[(i + 1) % 5] for row in CIFAR100_SUPERCLASSES for i, name in enumerate(row)}
        if set(classes) == set(following):
            return np.array([classes.index(following[name]) for name in classes])
        raise InputError("--noise asymmetric-superclass is defined for CIFAR-100 classes: use pairflip here")
    if {*CIFAR10_CONFUSED, *CIFAR10_CONFUSED.values()} <= set(classes):
        return np.array([classes.index(CIFAR10_CONFUSED.get(name, name)) for name in classes])
    if len(classes) == 100 and (classes[0], classes[-1]) == ("apple", "worm"):
        return place - place % 5 + (place + 1) % 5
    raise InputError("--noise asymmetric is defined for CIFAR-10 and CIFAR-100 classes: use pairflip here")


def corrupt(labels: NDArray[np.int64], transition: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Draw a label for each sample from its class's row: (N,) -> (N,); labels below 0 stay.

    The draw uses NumPy's frozen `RandomState`, whose numbers never change with versions. Each place has a
    draw of its own: the first n labels are the same, however many follow.
    """
    draws = np.random.RandomState(seed).random_sample(len(labels))
    noisy = labels.copy()
    for label, row in enumerate(transition.cumsum(1)):
        in_class = labels == label
        noisy[in_class] = np.minimum(np.searchsorted(row, draws[in_class], side="right"), len(row) - 1)
    return noisy
