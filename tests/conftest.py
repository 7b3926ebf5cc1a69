"""What several test files share: how hypothesis works here, and one small piece of evidence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from mixnn.runs.directory import Evidence

# A busy machine is no failure, and every run tries the same cases.
settings.register_profile("mixnn", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("mixnn")


@pytest.fixture
def classes() -> list[str]:
    return ["cat", "dog", "owl"]


@pytest.fixture
def evidence() -> Evidence:
    """Four samples of three classes.

    0: right.  1: wrong, and seen so.  2: the prediction is torn, but the label is likely right.
    3: wrong, and seen so; its name needs quoting.
    """
    probs = [[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.45, 0.4, 0.15], [0.0, 0.9, 0.1]]
    posterior = [[0.9, 0.06, 0.04], [0.75, 0.2, 0.05], [0.55, 0.4, 0.05], [0.02, 0.68, 0.3]]
    targets = [[1.0, 0.0, 0.0], [0.4, 0.5, 0.1], [0.3, 0.6, 0.1], [0.02, 0.95, 0.03]]
    return Evidence(
        names=np.array(["a.png", "sub/b.png", "ü.png", 'c, "d".png']),
        given=np.array([0, 1, 0, 2]),
        probs=np.array(probs, dtype=np.float32),
        label_posterior=np.array(posterior, dtype=np.float32),
        noise_matrix=np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0]]),
        noise_rate=np.array(0.5),
        noise_rate_interval=np.array([0.4, 0.6]),
        neighbors=np.array([[2, 1], [3, 0], [1, 3], [1, 0]]),
        unlabeled=np.array([], dtype=np.str_),
        targets=np.array(targets, dtype=np.float32),
        loss=np.array([0.0, 0.7, 0.3, 1.0], dtype=np.float32),
        loss_mixture_clean_prob=np.array([0.99, 0.1, 0.75, 0.01], dtype=np.float32),
        mixture=np.array([[0.1, 0.8], [0.01, 0.02], [0.5, 0.5]]),
        distances=np.array([[0.1, 0.2], [0.3, 0.3], [0.0, 1.5], [0.5, 0.75]], dtype=np.float32),
        coordinates=np.array([[0, 0], [1, 0], [0.5, 2], [-1, 1]], dtype=np.float32),
        heldout=np.array([[5, 1, 0], [0, 4, 2], [0, 0, 6]]),
    )


@pytest.fixture
def found_evidence(evidence) -> Evidence:
    """The same without what only a training has."""
    nothing = dict.fromkeys(("targets", "loss", "loss_mixture_clean_prob", "mixture", "heldout"))
    return replace(evidence, **nothing)
