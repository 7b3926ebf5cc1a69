"""Out-of-fold probabilities of trees, for rows of a table. Must not know: label quality, methods, files."""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mixnn.errors import InputError
from mixnn.evidence.linear_probe import FOLDS, folds_of

TREES = 100
LEAVES = 50_000  # of a tree at most, about, for the sake of memory


def tree_probs(x: Tensor, given: NDArray[np.int64], classes: int, seed: int = 0) -> NDArray[np.float32] | None:
    """(N, C): what trees that have not seen a row's own label say of it; None where there are too few labels.

    Extremely randomized trees (Geurts, Ernst & Wehenkel, Machine Learning 63, 2006; scikit-learn's), in as many folds
    as the linear head has. A row without a label is judged by the trees of its fold.

    Args:
        x: (N, D).
        given: (N,), 0 to C - 1; below 0 where there is no label.
        classes: C.

    Raises:
        InputError: scikit-learn is not installed.
    """
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError:
        raise InputError("tables need scikit-learn: pip install 'mixnn[tables]'") from None
    fold, rows = folds_of(given).numpy(), x.cpu().numpy()
    probs = np.zeros((len(given), classes), np.float32)
    for left_out in range(FOLDS):
        taught, asked = (fold != left_out) & (given >= 0), fold == left_out
        if len(np.unique(given[taught])) < 2:
            return None
        trees = ensemble.ExtraTreesClassifier(TREES, min_samples_leaf=1 + len(rows) // LEAVES, random_state=seed)
        trees.fit(rows[taught], given[taught])
        probs[np.ix_(asked, trees.classes_)] = trees.predict_proba(rows[asked])
    smooth: NDArray[np.float32] = (probs + 1e-4) / (1 + classes * 1e-4)
    return smooth.astype(np.float32)
