"""Two opinions become one: a classifier that has not seen the sample's label, and the labels of its nearest neighbors.

L(c) ∝ (p_c^a · v_c^b)^s, divided by its mean over all samples, which takes the prior of the classes out. a and b
weigh the opinions, s is an inverse temperature: it calibrates their confidence. They, and the number of
neighbors, are those under which the given labels are likeliest, each a draw from Σ_c P(c | x) T[c, ·]; no opinion has
seen the label that it is judged by. Must not know: torch, runs, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.noise_matrix import NoiseModel, fit_noise_model, from_anchors
from mixnn.label_quality.probabilities import TINY, FloatArray, normalized

K_GRID = (10, 20, 50, 100)  # neighbors that vote
WEIGHTS = ((1.0, 1.0), (0.5, 1.5), (1.5, 0.5))  # of classifier and vote
INVERSE_TEMPERATURES = (0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 14.0)
MAX_INVERSE_TEMPERATURE = 2.5  # where neighbors vote: beyond, T takes up what evidence that is overconfident gets wrong
MIN_PROB = np.float32(1e-9)  # probability
RANK_OFFSET = 10  # ranks over which a neighbor's vote falls to a half
PSEUDO_VOTES = 0.5  # of every class, beside those of the neighbors
MIN_VOTE_K = 10
QUICK_STEPS, SETTLING_STEPS = 8, 20  # of expectation maximization: where combinations are compared, and of the best
MIN_NOISE_PER_CONFUSION = 0.2  # of the evidence's own confusion: with fewer wrong labels noise is class-independent
MIN_INFORMATION = 0.01  # nats a label by which the evidence has to explain labels better than their frequencies do


class Combination(NamedTuple):
    """How the evidence is combined.

    Attributes:
        table: which table of probabilities.
        k: neighbors that vote; 0 where there are none.
        weights: (a, b), of probabilities and of votes.
        inverse_temperature: s.
    """

    table: int
    k: int
    weights: tuple[float, float]
    inverse_temperature: float


class Fit(NamedTuple):
    """A combination, what it says of the labels, and how likely it makes each of them."""

    combination: Combination
    model: NoiseModel
    mean: FloatArray  # (C,), of the combined evidence over all samples
    log_likelihood: FloatArray  # (n,)

    @property
    def score(self) -> float:
        return float(self.log_likelihood.mean())


def knn_vote(neighbor_labels: NDArray[np.integer], frequencies: FloatArray) -> NDArray[np.float32]:
    """What the labels of the neighbors say, (n, C), rows sum to one, none is zero.

    A vote counts the more the nearer it is, as 1 / (rank + 10), and by how rare its label is, so that a frequent one
    does not win by its number.

    Args:
        neighbor_labels: (n, K), nearest first; those below 0 have no vote.
        frequencies: (C,), of each label among all samples.
    """
    (rows, k), classes = neighbor_labels.shape, len(frequencies)
    rank_weights = 1 / (np.arange(k) + RANK_OFFSET)
    rank_weights *= rank_weights.sum() / np.square(rank_weights).sum()  # as many votes as these weights are worth
    place = np.arange(rows)[:, None] * classes + neighbor_labels.clip(0)
    weights = np.where(neighbor_labels >= 0, rank_weights, 0.0)
    counts = np.bincount(place.ravel(), weights.ravel(), minlength=rows * classes).reshape(rows, classes)
    class_weights = np.where(frequencies > 0, 1 / frequencies.clip(TINY) / classes, 0.0)
    return normalized(counts * class_weights + PSEUDO_VOTES).astype(np.float32)


def combine(
    log_probs: FloatArray | None, log_vote: FloatArray | None, combination: Combination, mean: FloatArray | None = None
) -> tuple[NDArray[np.float32], FloatArray]:
    """L (n, C), rows sum to one, and the mean (C,) that it was divided by; of these rows where None is given."""
    a, b = combination.weights
    s = combination.inverse_temperature
    if log_probs is None or log_vote is None:
        both = log_vote if log_probs is None else log_probs
        assert both is not None
        scaled = both * np.float32(s * (b if log_probs is None else a))
    else:
        scaled = log_probs * np.float32(s * a) + log_vote * np.float32(s * b)
    scaled -= scaled.max(1, keepdims=True)
    likely = normalized(np.exp(scaled, out=scaled))
    mean = likely.mean(0) if mean is None else mean
    return normalized(likely / mean.clip(1e-12).astype(np.float32)), mean


class Comparison:
    """Fits of many combinations to the same samples.

    Args:
        tables: log-probabilities (n, C) each, by classifiers that have not seen the sample's label; may be empty.
        neighbor_labels: (n, K), nearest first.
        labels: (n,), 0 to C - 1.
        frequencies: (C,), of each label among all samples.
    """

    def __init__(
        self,
        tables: Sequence[FloatArray],
        neighbor_labels: NDArray[np.integer] | None,
        labels: NDArray[np.int64],
        frequencies: FloatArray,
    ) -> None:
        self.tables, self.neighbor_labels, self.labels, self.frequencies = tables, neighbor_labels, labels, frequencies
        self.max_k = 0 if neighbor_labels is None else neighbor_labels.shape[1]
        self.votes: dict[int, FloatArray] = {}
        self.temperatures = [s for s in INVERSE_TEMPERATURES if s <= MAX_INVERSE_TEMPERATURE or not self.max_k]

    def likelihood(self, combination: Combination) -> tuple[FloatArray, FloatArray]:
        """L (n, C), and the mean (C,) that it was divided by."""
        k = combination.k
        if k and k not in self.votes:
            assert self.neighbor_labels is not None
            self.votes[k] = np.log(knn_vote(self.neighbor_labels[:, :k], self.frequencies))
        return combine(self.tables[combination.table] if self.tables else None, self.votes.get(k), combination)

    def fit(self, combination: Combination, start: NoiseModel | None = None, steps: int = QUICK_STEPS) -> Fit:
        """The noise matrix under a combination, and how likely it makes the labels (n,)."""
        likelihood, mean = self.likelihood(combination)
        model = fit_noise_model(likelihood, self.labels, start=start, steps=steps)
        joint = likelihood * model.prior.astype(np.float32)  # (n, C)
        of_label = (joint * model.columns(self.labels)).sum(1) / joint.sum(1)
        return Fit(combination, model, mean, np.log(of_label.clip(1e-9)))

    def search(self, begin: Fit | None = None) -> Fit:
        """The combination under which the labels are likeliest: one choice after the other, each for its whole grid."""
        largest = max(MIN_VOTE_K, len(self.labels) // len(self.frequencies))
        grid = [k for k in K_GRID if k <= min(self.max_k, largest)] or [self.max_k]
        weights = WEIGHTS if self.tables and self.max_k else WEIGHTS[:1]
        if begin is None:
            begin = self.fit(Combination(0, min(grid, key=lambda k: abs(k - 50)), WEIGHTS[0], 1.0))
        best = self.best_temperature(begin, 8)
        best = self.improved(best, [{"k": k} for k in grid])
        best = self.improved(best, [{"table": i} for i in range(len(self.tables))])
        best = self.best_temperature(best, 1)
        best = self.improved(best, [{"weights": pair} for pair in weights])
        return self.best_temperature(self.improved(best, [{"k": k} for k in grid]), 1)

    def improved(self, best: Fit, changes: Sequence[dict[str, object]]) -> Fit:
        """The likeliest of a fit and of others that change one thing each."""
        others = [best.combination._replace(**change) for change in changes]  # type: ignore[arg-type]  # of several types
        found = [self.fit(other, best.model) for other in others if other != best.combination]
        return max([best, *found], key=lambda one: one.score)

    def best_temperature(self, best: Fit, around: int) -> Fit:
        """The likeliest inverse temperature, so many places of the grid around the present one."""
        now = best.combination.inverse_temperature
        grid = self.temperatures
        at = min(range(len(grid)), key=lambda i: abs(grid[i] - now))
        nearby = grid[max(0, at - around) : at + around + 1]
        return self.improved(best, [{"inverse_temperature": s} for s in nearby])

    def anchored(self, found: Fit, fraction: float) -> Fit:
        """T from anchors instead, as it is, and the inverse temperature under which the labels are likeliest then."""
        fits = []
        for s in self.temperatures[3::2]:
            combination = found.combination._replace(inverse_temperature=s)
            start = from_anchors(self.likelihood(combination)[0], self.labels, fraction)
            fits.append(self.fit(combination, start, steps=0))
        return max(fits, key=lambda one: one.score)

    def settled(self, found: Fit) -> Fit:
        """What is made of the likeliest combination in the end: how much structure T has.

        Where wrong labels seem far fewer than the samples that the evidence itself confuses, a structure of T is mostly
        that confusion: noise is class-independent then. Where no combination makes the labels likelier than their
        shares do, the evidence says nothing, and no label is doubted.
        """
        found = self.fit(found.combination, found.model, steps=SETTLING_STEPS)
        eta = normalized(self.likelihood(found.combination)[0] * found.model.prior.astype(np.float32))
        known = self.frequencies[self.frequencies > 0]
        if found.score < float((known * np.log(known)).sum()) + MIN_INFORMATION:
            return found._replace(model=NoiseModel(self.frequencies, None, 0.0, self.frequencies))
        confused = float(1 - eta.max(1).mean())
        if (
            found.model.rows is None
            or expected_noise_rate(eta, self.labels, found.model) < MIN_NOISE_PER_CONFUSION * confused
        ):
            start = NoiseModel(self.frequencies.clip(1e-9), None, 0.05, self.frequencies)
            found = self.best_temperature(self.fit(found.combination, start), 2)
        return found


def expected_noise_rate(eta: FloatArray, labels: NDArray[np.int64], model: NoiseModel) -> float:
    """Share of wrong labels, by Bayes' rule on P(class | x) (n, C)."""
    joint = eta * model.columns(labels)
    return float(1 - (joint[np.arange(len(labels)), labels] / joint.sum(1)).mean())
