"""FINE: eigenvectors, scores and selection by loops over float64 and scikit-learn's mixture, against ours."""

import numpy as np
import pytest
import torch
from contract.cases import make_network
from hypothesis import given
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture
from torch import nn

from mixnn import Classifier, TrainData
from mixnn.errors import InputError
from mixnn.methods.fine import FINE, alignment, principal_components, select

CLASSES, WIDTH, PER_CLASS = 3, 8, 60


def scores(z: np.ndarray, labels: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """f_i = <u_{y_i}, z_i>²; the gram matrices are made of the samples that `basis` (N,) says."""
    f = np.full(len(z), np.nan)
    for k in set(labels[labels >= 0]):
        gram = np.zeros((z.shape[1], z.shape[1]))
        for i in range(len(z)):
            if labels[i] == k and basis[i]:
                gram += np.outer(z[i], z[i])
        values, vectors = np.linalg.eigh(gram)
        u = vectors[:, values.argmax()]
        for i in range(len(z)):
            if labels[i] == k:
                f[i] = sum(u[d] * z[i][d] for d in range(z.shape[1])) ** 2
    return f


def selected(f: np.ndarray, labels: np.ndarray, zeta: float) -> np.ndarray:
    """Per class, those that the upper of two components of scikit-learn's mixture claims."""
    clean = np.zeros(len(f), dtype=bool)
    for k in set(labels[labels >= 0]):
        own = f[labels == k, None]
        own = (own - own.min()) / (own.max() - own.min())
        mixture = GaussianMixture(2, tol=1e-6, random_state=0).fit(own)
        upper = mixture.means_[:, 0].argmax()
        # Past the upper mean the mixture may turn round; ours does not.
        clean[labels == k] = mixture.predict_proba(own.clip(max=mixture.means_[upper]))[:, upper] > zeta
    return clean


def unit(z: np.ndarray) -> np.ndarray:
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def planted(wrong: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of all lengths around an axis for each class, labels of which some are wrong, and which those are."""
    random = np.random.RandomState(seed)
    true = np.arange(CLASSES * PER_CLASS) % CLASSES
    z = np.eye(WIDTH)[true] + 0.15 * random.normal(size=(len(true), WIDTH))
    flipped = random.uniform(size=len(true)) < wrong
    length = np.exp(random.uniform(-2, 2, size=(len(true), 1)))
    return z * length, (true + flipped) % CLASSES, flipped


def prepared(z: np.ndarray, labels: np.ndarray, **options: object) -> tuple[FINE, TrainData]:
    """A network whose features are its inputs."""
    data = TrainData(torch.tensor(z, dtype=torch.float32), torch.tensor(labels), batch_size=32)
    network = Classifier(nn.Identity(), z.shape[1], CLASSES, torch.zeros(z.shape[1]), torch.ones(z.shape[1]))
    return FINE(network, data.labels, CLASSES, **options), data


def drawn(method: FINE, data: TrainData, epoch: int) -> list[int]:
    return sorted(torch.cat([batch.index for batch in method.batches(epoch, data)]).tolist())


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(2, 5))
def test_scores(seed, n, width):
    random = np.random.RandomState(seed)
    z, labels, basis = random.normal(size=(n, width)), random.randint(2, size=n), random.uniform(size=n) < 0.7
    basis[[np.argmax(labels == k) for k in set(labels)]] = True
    u = principal_components(torch.tensor(z)[basis], torch.tensor(labels)[basis], 3)
    assert (u[2] == 0).all()  # nobody's class
    np.testing.assert_allclose(u[sorted(set(labels))].norm(dim=1), 1, rtol=1e-9)
    np.testing.assert_allclose(alignment(torch.tensor(z), torch.tensor(labels), u), scores(z, labels, basis), rtol=1e-6)


@pytest.mark.parametrize("zeta", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("wrong", [0.2, 0.4])
def test_selection_is_that_of_the_mixture(wrong, zeta):
    z, labels, _ = planted(wrong)
    f = scores(unit(z), labels, np.ones(len(z)))
    assert (select(torch.tensor(f), torch.tensor(labels), zeta).numpy() == selected(f, labels, zeta)).all()


def test_two_rounds_the_second_with_directions_from_the_first():
    z, labels, flipped = planted(0.4)
    method, data = prepared(z, labels, warmup=1)
    clean = np.ones(len(z), dtype=bool)
    for epoch in range(3):
        method.begin_epoch(epoch, data)
        if epoch >= 1:
            clean = selected(scores(unit(z), labels, clean), labels, 0.5)
            assert method.metrics["clean_fraction"] == pytest.approx(clean.mean())
        assert drawn(method, data, epoch) == clean.nonzero()[0].tolist()
        method.end_epoch()
    assert not (clean & flipped).any()
    assert clean[~flipped].mean() > 0.9


def test_selection_every_other_epoch():
    z, labels, _ = planted(0.4)
    method, data = prepared(z, labels, warmup=1, select_every=2)
    sizes = []
    for epoch in range(4):
        method.begin_epoch(epoch, data)
        sizes.append(len(drawn(method, data, epoch)))
        method.clean.copy_(data.labels >= 0)  # so that a new selection shows
    assert sizes[1] == sizes[3] < sizes[0] == sizes[2] == len(z)


def test_small_and_uniform_classes_stay_whole_and_the_unlabeled_are_never_drawn():
    z, labels, _ = planted(0.4)
    labels[labels == 1] = -1
    labels[:2] = 1  # two of class 1, one after the other
    labels[labels == 2] = -2
    labels[2:8], z[2:8] = 2, z[2]  # all of class 2 are the same
    method, data = prepared(z, labels, warmup=0)
    method.begin_epoch(0, data)
    clean = method.clean.numpy()
    assert clean[labels > 0].all()
    assert not clean[labels < 0].any()
    assert 0 < clean[labels == 0].mean() < 1
    assert drawn(method, data, 0) == clean.nonzero()[0].tolist()


def test_a_class_that_would_be_left_with_one_sample_stays_whole():
    f = torch.tensor([0.0, 0.01, 0.02, 0.03, 1.0, 0.0, 0.01, 0.98, 0.99, 1.0])
    labels = torch.arange(10) // 5
    assert select(f, labels, 0.5).tolist() == [True] * 5 + [False] * 2 + [True] * 3


def test_a_network_that_diverged_is_told_of():
    z, labels, _ = planted(0.4)
    method, data = prepared(z, labels, warmup=0)
    method.network.mean.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        method.begin_epoch(0, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup": -1}, "fine.warmup is -1: use at least 0"),
        ({"zeta": 1.5}, "fine.zeta is 1.5: use 0 to 1"),
        ({"select_every": 0}, "fine.select_every is 0: use at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        FINE(make_network(), torch.zeros(4, dtype=torch.int64), CLASSES, **options)
