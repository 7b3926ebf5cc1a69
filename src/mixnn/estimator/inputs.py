"""Features and labels as a user of scikit-learn has them, made ready to be judged. Must not know: classifiers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import column_or_1d

from mixnn.data.scale import embedding_scale
from mixnn.errors import InputError

NARROW = 32  # columns, up to which lengths matter
LIFT = 3.0  # times the usual length of a row, so that directions differ as rows do


class Geometry(NamedTuple):
    """How rows are compared: as they are by their cosine, or as Euclidean distances of standardized columns.

    Attributes:
        shift, divisor: (D,).
        lift: of a constant column that makes directions of distances; None for the cosine.
    """

    shift: NDArray[np.float64]
    divisor: NDArray[np.float64]
    lift: float | None

    @classmethod
    def of(cls, x: NDArray[Any], metric: str) -> Geometry:
        width = x.shape[1]
        if metric == "euclidean" or (metric == "auto" and width <= NARROW):
            x = x.astype(np.float64)
            spread = x.std(0)
            return cls(x.mean(0), np.where(spread > 0, spread, 1.0), LIFT * width**0.5)
        scale = embedding_scale(x)
        return cls(np.zeros(width), np.ones(width), None) if scale is None else cls(scale.shift, scale.divisor, None)

    def scaled(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Columns as a linear classifier sees them."""
        z: NDArray[np.float64] = (x - self.shift) / self.divisor
        return z

    def lifted(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Rows to be compared by their cosine."""
        z = self.scaled(x).astype(np.float32)
        return z if self.lift is None else np.c_[z, np.full(len(z), self.lift, np.float32)]


def checked_labels(y: Any) -> NDArray[Any]:
    """(N,); raises InputError where a label is missing."""
    labels = column_or_1d(np.asarray(y) if hasattr(y, "__len__") else y, warn=True)
    if labels.dtype.kind == "O":
        missing = np.array([label is None or label != label or type(label).__name__ == "NAType" for label in labels])
        if missing.any():
            raise InputError(
                f"y has no label in row {missing.argmax()} ({missing.sum():,} rows): leave them out of X and y"
            )
        if len({isinstance(label, str) for label in labels}) > 1:
            raise InputError("y has names and numbers: give all labels as one or the other")
    return labels


def numeric(X: Any) -> NDArray[np.floating] | None:
    """X as finite numbers (N, D); None where it is something else, such as text or a sparse matrix."""
    values = None if hasattr(X, "tocsr") else np.asarray(X)
    if values is None or values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        return None
    return values if np.isfinite(values).all() else None
