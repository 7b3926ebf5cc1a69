"""Features that were made elsewhere, as NumPy files. Must not know: what made them, torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixnn.data.numpy_files import list_arrays, load_array
from mixnn.data.scale import embedding_scale
from mixnn.errors import InputError
from mixnn.utils.console import note


def read_features(path: str, samples: int) -> NDArray[np.float32]:
    """A row for each of so many samples, in their order: float32 (N, D).

    Args:
        path: an .npy file, or an .npz file with one array, or with one called `features`.

    Raises:
        InputError: there is no such file, it holds something else, or another number of rows.
    """
    file, member = Path(path), None
    if file.suffix == ".npz":
        members = list_arrays(file)
        if len(members) != 1 and "features" not in members:
            raise InputError(f"--features {path} holds {', '.join(members) or 'nothing'}: name the array `features`")
        member = "features" if "features" in members else members[0]
    array = load_array(file, member)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
        raise InputError(f"--features {path} has shape {array.shape} and dtype {array.dtype}: save numbers as (N, D)")
    if len(array) != samples:
        raise InputError(
            f"--features {path} has {len(array):,} rows, but DATA has {samples:,} samples: "
            "save one row for each of them, in their order"
        )
    features = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise InputError(
            f"--features {path} has NaN or infinity in {len(bad):,} rows, the first is {bad[0]}: make them anew, or "
            "leave these samples out"
        )
    scale = embedding_scale(features)
    if scale is not None:
        note(f"--features {path}: {scale.note}")
    return features if scale is None else scale.apply(features)
