"""Label noise, the same for the same seed on every machine. Must not know: images, files, torch.

All kinds here are class-conditional: a transition matrix says how each class is mislabelled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError

# truck→automobile, bird→airplane, deer→horse, cat↔dog (Patrini et al., arXiv 1609.03683)
CIFAR10_CONFUSED = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}
KINDS = ("symmetric", "symmetric-exclusive", "asymmetric", "pairflip")


def parse_noise(text: str) -> tuple[str, float]:
    """`kind:rate` as (kind, rate).

    Raises:
        InputError: unknown kind, or a rate outside 0–1.
    """
    kind, _, rate_text = text.partition(":")
    if kind not in KINDS:
        raise InputError(f"--noise {text!r}: kind {kind!r} is unknown; use one of {', '.join(KINDS)}, as symmetric:0.5")
    try:
        rate = float(rate_text)
    except ValueError:
        raise InputError(f"--noise {text!r}: {rate_text!r} is not a rate; write it as {kind}:0.5") from None
    if not 0 <= rate <= 1:
        raise InputError(f"--noise {text!r}: the rate is {rate:g}; use a number from 0 to 1")
    return kind, rate


def transition_matrix(kind: str, rate: float, classes: Sequence[str]) -> NDArray[np.float64]:
    """T (C, C), rows sum to one: T[a, b] is the probability that class a is labelled b.

    * symmetric: redrawn with probability `rate` from all C classes, the right one included.
    * symmetric-exclusive: redrawn from the other C - 1.
    * asymmetric: CIFAR-10's five confused classes; with 100 classes the next one inside each block
      of five consecutive labels; both are the published benchmarks.
    * pairflip: the next class, round the circle.

    Raises:
        InputError: "asymmetric" is not defined for these classes.
    """
    c = len(classes)
    keep = (1 - rate) * np.eye(c)
    if kind == "symmetric":
        return keep + rate / c
    if kind == "symmetric-exclusive":
        return keep + rate / (c - 1) * (1 - np.eye(c))
    wrong = np.arange(c)
    if kind == "pairflip":
        wrong = (wrong + 1) % c
    elif {*CIFAR10_CONFUSED, *CIFAR10_CONFUSED.values()} <= set(classes):
        names = list(classes)
        wrong = np.array([names.index(CIFAR10_CONFUSED.get(name, name)) for name in names])
    elif c == 100 and (classes[0], classes[-1]) == ("apple", "worm"):
        wrong = wrong - wrong % 5 + (wrong + 1) % 5
    else:
        raise InputError("--noise asymmetric is defined for CIFAR-10 and CIFAR-100 classes: use pairflip here")
    return keep + rate * np.eye(c)[wrong]


def corrupt(labels: NDArray[np.int64], transition: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Draw a label for each sample from its class's row: (N,) -> (N,).

    The draw uses NumPy's frozen `RandomState`, whose numbers never change with versions.
    """
    draws = np.random.RandomState(seed).random_sample(len(labels))
    noisy = (draws[:, None] >= transition.cumsum(1)[labels]).sum(1)
    return np.asarray(np.minimum(noisy, len(transition) - 1), dtype=np.int64)
