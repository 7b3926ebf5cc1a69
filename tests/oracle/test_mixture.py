"""The mixture against scikit-learn's, and its start against all possible cuts."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mixnn.evidence.loss_mixture import Mixture, fit_mixture, loss_mixture_clean_prob, min_max, two_means

random = np.random.RandomState(0)
DATA = {
    "two humps": np.r_[random.normal(0.2, 0.05, 300), random.normal(0.8, 0.05, 200)],
    "overlapping": np.r_[random.normal(0.4, 0.12, 300), random.normal(0.6, 0.12, 300)],
    "narrow low": np.r_[random.normal(0.1, 0.01, 300), random.normal(0.6, 0.2, 300)],
    "narrow high": np.r_[random.normal(0.3, 0.2, 300), random.normal(0.9, 0.01, 300)],
    "few are wrong": np.r_[random.exponential(0.05, 490), random.normal(2, 0.3, 10)],
    "one hump": random.exponential(size=400),
    "uniform": random.uniform(size=400),
    "two values": np.r_[np.zeros(7), np.ones(3)],
    "two samples": np.array([1.0, 3.0]),
    "one outlier": np.r_[random.normal(0, 0.01, 99), 5.0],
}
SETTINGS = [
    {"max_iter": 100, "tol": 1e-3, "reg": 5e-4},
    {"max_iter": 10, "tol": 1e-2, "reg": 5e-4},  # the public code
    {"max_iter": 1, "tol": 1e-9, "reg": 1e-6},
    {"max_iter": 7, "tol": 1e-9, "reg": 1e-6},  # stopped by the number of steps
    {"max_iter": 500, "tol": 1e-8, "reg": 1e-6},
]
well_separated = pytest.mark.parametrize("name", ["two humps", "narrow low", "two values", "one outlier"])


def normalized(name: str) -> torch.Tensor:
    return min_max(torch.tensor(DATA[name]))


def scikit(x: torch.Tensor, max_iter: int, tol: float, reg: float, **start: object) -> GaussianMixture:
    mixture = GaussianMixture(2, max_iter=max_iter, tol=tol, reg_covar=reg, random_state=0, **start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(x[:, None].numpy())


def same_start(x: torch.Tensor, reg: float) -> dict[str, np.ndarray]:
    """Means, weights and precisions of the parts that `two_means` finds."""
    upper = two_means(x).numpy()
    parts = [x.numpy()[~upper], x.numpy()[upper]]
    return {
        "means_init": np.array([[part.mean()] for part in parts]),
        "weights_init": np.array([len(part) / len(x) for part in parts]),
        "precisions_init": np.array([[[1 / (part.var() + reg)]] for part in parts]),
    }


def assert_same(x: torch.Tensor, mixture: Mixture, theirs: GaussianMixture) -> None:
    order = theirs.means_[:, 0].argsort()
    np.testing.assert_allclose(mixture.means, theirs.means_[order, 0], atol=1e-6)
    np.testing.assert_allclose(mixture.variances, theirs.covariances_[order, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mixture.weights, theirs.weights_[order], atol=1e-6)
    assert mixture.converged == theirs.converged_
    posterior = theirs.predict_proba(x[:, None].numpy())[:, order[0]]
    np.testing.assert_allclose(mixture.low_posterior(x), posterior, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", DATA)
def test_equals_scikit_learn_from_the_same_start(name, settings):
    x = normalized(name)
    assert_same(x, fit_mixture(x, **settings), scikit(x, **settings, **same_start(x, settings["reg"])))


def test_some_settings_converge_and_some_do_not():
    """So that the comparison above has seen both ways to stop."""
    assert {fit_mixture(normalized(name), **settings).converged for name in DATA for settings in SETTINGS} == {
        True,
        False,
    }


@well_separated
def test_equals_scikit_learn_from_its_own_start(name):
    x = normalized(name)
    assert_same(x, fit_mixture(x), scikit(x, 100, 1e-3, 5e-4))


@pytest.mark.parametrize("name", DATA)
def test_clean_probability_is_the_posterior_of_the_lower_component(name):
    losses = torch.tensor(DATA[name])
    w, _ = loss_mixture_clean_prob(losses, monotone=False)
    x = normalized(name)
    theirs = scikit(x, 100, 1e-3, 5e-4, **same_start(x, 5e-4))
    np.testing.assert_allclose(w, theirs.predict_proba(x[:, None].numpy())[:, theirs.means_[:, 0].argmin()], atol=1e-6)


def test_posterior_is_bayes_rule():
    mixture = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.2, 0.7], [0.01, 0.04], [0.3, 0.7])), True)

    def joint(x: float, k: int) -> float:
        mean, variance, weight = (float(part[k]) for part in mixture[:3])
        return weight * math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

    x = [-1.0, 0.2, 0.45, 0.7, 2.0]
    expected = [joint(v, 0) / (joint(v, 0) + joint(v, 1)) for v in x]
    np.testing.assert_allclose(mixture.low_posterior(torch.tensor(x)), expected, rtol=1e-5)
    assert mixture.separation == pytest.approx(0.5 / math.sqrt(0.025))


# A few values drawn often give runs of equal ones; two_means must not cut inside a run.
values = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


def spread(part: list[float]) -> float:
    return sum((v - sum(part) / len(part)) ** 2 for v in part)


@given(st.lists(values, min_size=2, max_size=30).filter(lambda x: min(x) < max(x)))
def test_two_means_is_the_best_of_all_cuts(x):
    upper = two_means(torch.tensor(x, dtype=torch.float64)).tolist()
    low, high = [v for v, u in zip(x, upper, strict=True) if not u], [v for v, u in zip(x, upper, strict=True) if u]
    assert low
    assert high
    assert max(low) < min(high)
    ordered = sorted(x)
    best = min(spread(ordered[:cut]) + spread(ordered[cut:]) for cut in range(1, len(x)))
    assert spread(low) + spread(high) == pytest.approx(best, abs=1e-12)
