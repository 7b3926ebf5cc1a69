"""The samples in two dimensions by UMAP, from a run's neighbors. Must not know: torch, training, HTML."""

from __future__ import annotations

import importlib
import sys
import warnings

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError
from mixnn.runs.directory import Evidence

MIN_SAMPLES = 8  # samples that have a neighborhood to speak of


def umap_2d(evidence: Evidence) -> NDArray[np.float32]:
    """Coordinates (N, 2) under which near samples stay near (McInnes et al., arXiv 1802.03426).

    The ten neighbors of every sample and their distances are all that is taken from the run, so that no feature has
    to be kept and nothing is searched again. It starts from principal components; the same run gives the same points.

    Raises:
        InputError: umap-learn is not there, or the run has too few samples, or was written before distances were kept.
    """
    if evidence.distances is None or evidence.coordinates is None:
        raise InputError("--map umap needs distances, which runs of this age have not kept: use --map pca")
    if len(evidence.given) < MIN_SAMPLES:
        raise InputError(f"--map umap needs {MIN_SAMPLES} samples, the run has {len(evidence.given)}: use --map pca")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it would do with packages nobody asked for
            umap = importlib.import_module("umap")
    except ImportError as error:
        raise InputError(f"--map umap needs umap-learn ({error}): pip install 'mixnn[map]', or --map pca") from error
    rows = np.arange(len(evidence.given))[:, None]
    nearest = np.concatenate([rows, evidence.neighbors], 1)  # it counts a sample as its own nearest
    distances = np.concatenate([np.zeros_like(rows), evidence.distances], 1).astype(np.float32)
    start = evidence.coordinates - evidence.coordinates.mean(0)
    made = umap.UMAP(
        n_neighbors=nearest.shape[1],
        precomputed_knn=(nearest, distances, None),
        init=10 * start / np.abs(start).max().clip(1e-12),
        random_state=0,
        verbose=sys.stderr.isatty(),
        tqdm_kwds={"file": sys.stderr, "desc": "umap"},
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="umap")  # one thread, for the same points every time; no new samples
        points: NDArray[np.float32] = made.fit_transform(evidence.coordinates)
    return points
