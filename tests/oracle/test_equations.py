"""Every equation of SPEC.md, "The method", a second time: plain Python over float64, against ours."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnn.evidence.loss_mixture import min_max
from mixnn.methods import losses, mixing

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


def close(a, b) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-12)


def probabilities(random: np.random.RandomState, *shape: int) -> np.ndarray:
    p = random.exponential(size=shape) + 1e-3
    return p / p.sum(-1, keepdims=True)


def softmax(z: np.ndarray) -> list[float]:
    e = [math.exp(v) for v in z]
    return [v / sum(e) for v in e]


@given(seeds, sizes, st.integers(2, 5))
def test_loss_of_a_sample_is_minus_log_p_of_its_label(seed, n, c):
    random = np.random.RandomState(seed)
    p, labels = probabilities(random, n, c), random.randint(c, size=n)
    expected = [-math.log(p[i][labels[i]]) for i in range(n)]
    close(losses.nll(torch.tensor(p).log(), torch.tensor(labels)), expected)


@given(seeds, st.integers(2, 9))
def test_min_max(seed, n):
    loss = np.random.RandomState(seed).exponential(size=n)
    expected = [(value - min(loss)) / (max(loss) - min(loss)) for value in loss]
    close(min_max(torch.tensor(loss)), expected)


@given(seeds, st.integers(2, 6), st.integers(0, 4))
def test_mixing_weights_are_the_normalized_clean_probabilities(seed, n, k):
    random = np.random.RandomState(seed)
    w, neighbors = random.uniform(0.01, 1, size=n), random.randint(n, size=(n, k))
    a = mixing.mixing_weights(torch.tensor(w), torch.tensor(neighbors))
    for i in range(n):
        members = [w[i], *(w[j] for j in neighbors[i])]
        # Ours adds 1e-10 to each, against 0/0: that shows in the ninth digit.
        np.testing.assert_allclose(a[i], [v / sum(members) for v in members], rtol=1e-7)


@given(seeds, sizes, st.integers(0, 4))
def test_synthetic_images_and_targets(seed, b, k):
    """Eq. 4 and 5: Σ_j a_ij x_j and Σ_j a_ij t_j, j = 0 the sample itself."""
    random = np.random.RandomState(seed)
    a = probabilities(random, b, 1 + k)
    for shape in [(3, 4, 2), (5,)]:
        own, others = random.normal(size=(b, *shape)), random.normal(size=(b, k, *shape))
        mixed = mixing.mix(torch.tensor(own), torch.tensor(others), torch.tensor(a))
        assert mixed.shape == own.shape
        for i in range(b):
            members = [own[i], *others[i]]
            for place in np.ndindex(*shape):
                close(mixed[i][place], sum(a[i][j] * members[j][place] for j in range(1 + k)))


@given(seeds, sizes, st.integers(2, 5))
def test_soft_cross_entropy_and_linear_loss(seed, b, c):
    random = np.random.RandomState(seed)
    logits, t = random.normal(size=(b, c)), probabilities(random, b, c)
    p = [softmax(z) for z in logits]
    cross = sum(-t[i][j] * math.log(p[i][j]) for i in range(b) for j in range(c)) / b
    linear = sum(-t[i][j] * p[i][j] for i in range(b) for j in range(c)) / b
    close(losses.soft_cross_entropy(torch.tensor(logits), torch.tensor(t)), cross)
    close(losses.linear_loss(torch.tensor(logits), torch.tensor(t)), linear)


@given(seeds, sizes, st.integers(2, 5), st.floats(0, 1))
def test_label_correction(seed, n, c, alpha):
    """Eq. 12: t ← α t + (1 − α) p."""
    random = np.random.RandomState(seed)
    t, p = probabilities(random, n, c), probabilities(random, n, c)
    expected = [[alpha * t[i][j] + (1 - alpha) * p[i][j] for j in range(c)] for i in range(n)]
    close(mixing.ema(torch.tensor(t), torch.tensor(p), alpha), expected)


@given(seeds, st.integers(2, 8), st.integers(1, 4))
def test_neighbor_agreement(seed, n, k):
    random = np.random.RandomState(seed)
    labels, neighbors = random.randint(3, size=n), random.randint(n, size=(n, k))
    expected = [sum(labels[j] == labels[i] for j in neighbors[i]) / k for i in range(n)]
    agreement = mixing.neighbor_agreement(torch.tensor(labels), torch.tensor(neighbors))
    np.testing.assert_allclose(agreement, expected, rtol=1e-6)  # ours counts in float32
