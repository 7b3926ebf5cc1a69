"""The rule by which `mixnn` judged labels up to revision 34c178c, kept to compare with. Needs numpy alone.

Neighbors and out-of-fold probabilities say what a sample looks like. Neighbors say how classes are labeled.
Both together say what its label should be. Letters: N samples, C classes, K neighbors, J (C, C) the share of samples
of the row's class that are labeled as the column's, T its rows divided by their sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Labels = NDArray[np.int64]

MAX_VOTE_K, MAX_VOTES, NOISE_MATRIX_K = 200, 20_000_000, (10, 20)  # neighbors that vote; of all; that tell J
VOTE_WEIGHT, PREDICTION_WEIGHT = 1.5, 0.5
INVERSE_TEMPERATURES: tuple[float, ...] = tuple(2.0 ** (fourth / 4) for fourth in sorted(range(-8, 13), key=abs))
VOTE_INVERSE_TEMPERATURES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
SHRINKAGES = (0.0, 0.1, 0.3, 1.0, 3.0)  # labels of each kind by which a class is held to be like all others
STEPS, CELLS, TEMPERATURE_CELLS, SAMPLES_PER_CLASS, MAX_SAMPLES_PER_PAIR = 40, 2_000_000, 500_000, 10, 10
DIAGONAL_PSEUDO_COUNT, OFF_DIAGONAL_PSEUDO_COUNT, MIN_FREQUENCY, MIN_PROB = 5.0, 0.1, 1e-6, np.float32(1e-8)
TINY = float(np.finfo(float).tiny)


class FormerQuality(NamedTuple):
    """Of each sample: how much is believed of its label, the likeliest label, how much is believed of that."""

    quality: FloatArray
    suggested: Labels
    confidence: FloatArray


def former_label_quality(given: Labels, nearest: Labels, probs: FloatArray) -> FormerQuality:
    """What is believed of every label.

    Args:
        given: (N,), from 0 up.
        nearest: (N, K) nearest samples, near to far, at least `vote_k` of them.
        probs: (N, C) out-of-fold probabilities.
    """
    samples, classes = probs.shape
    joint = estimate_joint(given, nearest[:, : noise_matrix_k(samples, classes)], classes)
    vote = knn_vote(given, nearest[:, : vote_k(samples, classes)], classes).astype(np.float32)
    evidence = normalized(vote**VOTE_WEIGHT * probs.astype(np.float32).clip(MIN_PROB) ** PREDICTION_WEIGHT)
    sampled = sampled_rows(samples, classes, TEMPERATURE_CELLS)
    inverse_temperature = fit_inverse_temperature(evidence[sampled].astype(np.float64), given[sampled], joint)
    tempered = temper(evidence, inverse_temperature)
    q = label_posterior(remove_class_prior(tempered, tempered.sum(0) / samples), given, joint)
    return FormerQuality(q[np.arange(samples), given], q.argmax(1), q.max(1))


def vote_k(samples: int, classes: int) -> int:
    """How many neighbors say what a sample looks like."""
    wanted = min(MAX_VOTE_K, samples // (2 * classes), MAX_VOTES // samples)
    return min(max(*NOISE_MATRIX_K, wanted), samples - 1)


def noise_matrix_k(samples: int, classes: int) -> int:
    """How many neighbors tell J."""
    low, high = NOISE_MATRIX_K
    return min(max(low, samples // (50 * classes)), high)


def knn_vote(given: Labels, nearest: Labels, classes: int) -> FloatArray:
    """What the labels of neighbors say, (n, C). A vote counts by how rare its class is."""
    counts, rows = np.zeros((len(nearest), classes)), np.arange(len(nearest))
    for column in nearest.T:
        counts[rows, given[column]] += 1
    class_prior = np.bincount(given, minlength=classes).clip(1) / len(given)
    return normalized(counts / class_prior / classes + 0.5)


def fit_inverse_temperature(evidence: FloatArray, labels: Labels, joint: FloatArray) -> float:
    """The power of `evidence` (n, C) under which their labels are likeliest."""
    class_prior, columns = joint.sum(1), joint[:, labels].T

    def likelihood(power: float) -> float:
        tempered = temper(evidence, power)
        evenly = remove_class_prior(tempered, tempered.mean(0))
        label: FloatArray = (evenly * columns).sum(1) / (evenly @ class_prior)
        return round(float(np.log(label.clip(TINY)).mean()), 6)

    return max(INVERSE_TEMPERATURES, key=likelihood)


def estimate_joint(given: Labels, nearest: Labels, classes: int) -> FloatArray:
    """J by expectation maximization, with the sharpness of the vote under which labels are likeliest."""
    rows = sampled_rows(len(given), classes, CELLS)
    y, vote = given[rows], knn_vote(given, nearest[rows], classes)
    counts = np.bincount(given, minlength=classes)
    best: FloatArray = np.eye(classes) / classes
    best_temperature, likeliest = 1.0, -np.inf
    for vote_inverse_temperature in VOTE_INVERSE_TEMPERATURES:
        joint, likelihood = fit_joint(normalized(vote**vote_inverse_temperature), y, counts)
        if likelihood > likeliest:
            best, best_temperature, likeliest = joint, vote_inverse_temperature, likelihood
    scarce = 2 <= len(y) < MAX_SAMPLES_PER_PAIR * classes**2 and len(y) * classes <= CELLS
    if len(y) < len(given) or not scarce:
        return best
    vote_inverse_temperature, shrinkage = cross_validate_hyperparameters(vote, y, best_temperature)
    return fit_joint(normalized(vote**vote_inverse_temperature), y, counts, shrinkage)[0]


def cross_validate_hyperparameters(
    vote: FloatArray, labels: Labels, vote_inverse_temperature: float
) -> tuple[float, float]:
    """Sharpness, and how much classes are labeled alike, that make labels likeliest by T of the other half."""
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0

    def held_out_log_likelihood(vote_inverse_temperature: float, shrinkage: float) -> float:
        total, likely = 0.0, normalized(vote**vote_inverse_temperature)
        for seen, other in ((half, ~half), (~half, half)):
            noise_matrix = fit_noise_matrix(likely[seen], labels[seen], DIAGONAL_PSEUDO_COUNT, shrinkage)
            total += log_likelihood(likely[other], labels[other], noise_matrix)
        return total

    shrinkage = max(SHRINKAGES, key=lambda one: held_out_log_likelihood(vote_inverse_temperature, one))
    return max(VOTE_INVERSE_TEMPERATURES, key=lambda one: held_out_log_likelihood(one, shrinkage)), shrinkage


def fit_joint(likely: FloatArray, labels: Labels, counts: Labels, shrinkage: float = 0.0) -> tuple[FloatArray, float]:
    """J of all samples, told from some of them, and the mean log-likelihood of the labels of these."""
    sampled_fraction = len(labels) / counts.sum()
    noise_matrix = fit_noise_matrix(likely, labels, sampled_fraction * DIAGONAL_PSEUDO_COUNT, shrinkage)
    likelihood = log_likelihood(likely, labels, noise_matrix)
    q = label_posterior(likely, labels, noise_matrix)
    if sampled_fraction < 1:
        return joint_of_all(noise_matrix, q, labels, counts / counts.sum()), likelihood
    joint: FloatArray = q.mean(0)[:, None] * noise_matrix
    return joint, likelihood


def joint_of_all(noise_matrix: FloatArray, q: FloatArray, labels: Labels, frequencies: FloatArray) -> FloatArray:
    """J of all samples from T of some. `frequencies` (C,) is the share of each label among all."""
    wrong = np.tile(OFF_DIAGONAL_PSEUDO_COUNT * (frequencies > 0), (len(frequencies), 1))
    np.add.at(wrong.T, labels, q)
    np.fill_diagonal(wrong, 0)
    seen, of_given = q.sum(0), q[np.arange(len(q)), labels]
    right = (seen * noise_matrix.diagonal() + SAMPLES_PER_CLASS * of_given.mean()) / (seen + SAMPLES_PER_CLASS)
    noise_matrix = wrong * ((1 - right) / wrong.sum(1).clip(TINY))[:, None] + np.diag(right)
    class_prior = frequencies
    for _ in range(STEPS):
        class_prior = class_prior * (noise_matrix @ (frequencies / (class_prior @ noise_matrix).clip(TINY)))
    joint: FloatArray = class_prior[:, None] * noise_matrix
    return joint


def fit_noise_matrix(likely: FloatArray, labels: Labels, prior: float, shrinkage: float) -> FloatArray:
    """T under which `labels` (n,) are likeliest, by expectation maximization.

    Args:
        likely: (n, C), how probably a sample is of each class.
        labels: (n,).
        prior: right labels of each class that nobody saw.
        shrinkage: labels of each kind that nobody saw, every class labeled as all are.
    """
    classes = likely.shape[1]
    noise_matrix: FloatArray = 0.7 * np.eye(classes) + 0.3 / classes
    other: FloatArray = np.tile(np.bincount(labels, minlength=classes), (classes, 1)) + TINY
    np.fill_diagonal(other, 0)
    other = normalized(other) if shrinkage else other
    of_label = [(label, likely[labels == label]) for label in np.unique(labels)]
    for _ in range(STEPS):
        counts = np.zeros((classes, classes))
        for label, rows in of_label:
            columns = noise_matrix[:, label] + MIN_FREQUENCY
            counts[:, label] = columns * ((1 / (rows @ columns)) @ rows)
        if shrinkage:
            right = counts.trace() / counts.sum()
            counts += shrinkage * classes * (1 - right) * other
            counts[range(classes), range(classes)] += shrinkage * classes * right
        noise_matrix = normalized(counts + prior * np.eye(classes))
    return noise_matrix


def log_likelihood(likely: FloatArray, labels: Labels, noise_matrix: FloatArray) -> float:
    """The mean over `labels`."""
    return float(np.log((likely * noise_matrix[:, labels].T).sum(1).clip(TINY)).mean())


def label_posterior(likely: FloatArray, labels: Labels, joint: FloatArray) -> FloatArray:
    """What samples are likely to be, (n, C), by what they look like and by their labels."""
    least = MIN_FREQUENCY * joint.sum() / len(joint)
    return normalized(likely * (joint[:, labels].T + least).astype(likely.dtype))


def sampled_rows(samples: int, classes: int, cells: int) -> Labels:
    """Rows evenly spread over the samples: rows times classes are about `cells`."""
    wanted = max(cells, SAMPLES_PER_CLASS * classes**2 * cells // CELLS)
    step = max(1, -(-samples * classes // wanted))
    first = np.arange(0, samples, step)
    chosen: Labels = first + np.random.default_rng(0).integers(0, np.minimum(step, samples - first))
    return chosen


def temper(evidence: FloatArray, inverse_temperature: float) -> FloatArray:
    """Rows to a power, and to a sum of one again."""
    return normalized(evidence.astype(np.float64) ** inverse_temperature)


def remove_class_prior(likely: FloatArray, mean: FloatArray) -> FloatArray:
    """Rows as they would be if all classes were equally frequent."""
    return normalized(likely / mean.clip(np.finfo(likely.dtype).tiny))


def normalized(rows: FloatArray) -> FloatArray:
    """Each row divided by its sum."""
    shares: FloatArray = rows / rows.sum(1, keepdims=True)
    return shares
