"""A scikit-learn classifier of the user's: cross-validated, and fitted to what labels probably are."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

MIN_WEIGHT = 0.01  # of a label that the classifier is told of


def out_of_fold(
    estimator: Any, X: Any, y: NDArray[Any], classes: NDArray[Any], splits: Iterable[Any], n_jobs: int | None
) -> NDArray[np.float32]:
    """Probabilities (N, C) by classifiers that have not seen the sample's label; uniform where there is none."""

    def predicted(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.floating]:
        fitted = clone(estimator).fit(_safe_indexing(X, train), y[train])
        return class_probs(fitted, _safe_indexing(X, test), classes)

    folds = list(splits)
    tables = Parallel(n_jobs=n_jobs)(delayed(predicted)(train, test) for train, test in folds)
    total, counts = np.zeros((len(y), len(classes))), np.zeros((len(y), 1))
    for (_, test), table in zip(folds, tables, strict=True):
        total[test] += table
        counts[test] += 1
    return np.where(counts > 0, total / counts.clip(1), 1 / len(classes)).astype(np.float32)


def splits_of(cv: Any, X: Any, y: NDArray[Any], given: NDArray[np.int64]) -> Iterable[tuple[Any, Any]]:
    """(train, test) rows of each fold; the only sample of a class is never left out, so that no class is unknown."""
    if not isinstance(cv, numbers.Integral):
        return check_cv(cv, y, classifier=True).split(X, y)
    from mixnn.evidence.linear_probe import folds_of

    alone = np.bincount(given)[given] == 1
    fold = np.where(alone, -1, folds_of(given, min(int(cv), len(given))).numpy())
    return ((np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in np.unique(fold[fold >= 0]))


def class_probs(fitted: Any, X: Any, classes: NDArray[Any]) -> NDArray[np.floating]:
    """(N, C) of a fitted classifier, which may not know all classes; softmax of `decision_function` where need be."""
    if hasattr(fitted, "predict_proba"):
        probs = np.asarray(fitted.predict_proba(X))
    else:
        scores = np.asarray(fitted.decision_function(X))
        scores = scores if scores.ndim == 2 else np.stack([-scores, scores], 1)
        odds = np.exp(scores - scores.max(1, keepdims=True))
        probs = odds / odds.sum(1, keepdims=True)
    if len(fitted.classes_) == len(classes):
        return probs
    whole = np.zeros((len(probs), len(classes)), probs.dtype)
    whole[:, np.searchsorted(classes, fitted.classes_)] = probs
    return whole


def fit_to_targets(estimator: Any, X: Any, classes: NDArray[Any], targets: NDArray[np.floating]) -> Any:
    """A classifier fitted to (N, C) targets: each sample once for every label that it may have, so much weighted."""
    name = weight_parameter(estimator)
    if name is None:
        rows, labels = np.flatnonzero(targets.any(1)), targets.argmax(1)
        return clone(estimator).fit(_safe_indexing(X, rows), classes[labels[rows]])
    rows, labels = np.nonzero(targets >= MIN_WEIGHT)
    return clone(estimator).fit(_safe_indexing(X, rows), classes[labels], **{name: targets[rows, labels]})


def weight_parameter(estimator: Any) -> str | None:
    """How `fit` is told of weights, that of a Pipeline by its last step; None where it takes none."""
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    step, last = getattr(estimator, "steps", [("", None)])[-1]
    return f"{step}__sample_weight" if last is not None and has_fit_parameter(last, "sample_weight") else None
