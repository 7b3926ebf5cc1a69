"""From features to what is known of the labels, worked out once a run. Must not know: files, methods, the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.evidence.label_issues import label_issues
from mixnn.evidence.near_duplicates import find_near_duplicates
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.pca import pca_2d
from mixnn.label_quality.duplicates import reconcile
from mixnn.tables.topk_rows import Table


class Measured(NamedTuple):
    """What features say.

    Attributes:
        fields: of `mixnn.runs.directory.Evidence`, by name: label quality, neighbors, near duplicates and the plane.
        probs: (N, C), of a classifier that has not seen the sample's label.
        search: how neighbors were searched, in words.
        chosen: what the rule chose by itself, by name.
    """

    fields: dict[str, Any]
    probs: Table
    search: str
    chosen: dict[str, Any]


def measure(
    features: Tensor,
    given: NDArray[np.int64],
    classes: Sequence[str],
    verified: NDArray[np.bool_],
    inputs: Callable[[Tensor], Iterator[Tensor]],
    progress: Progress = silent,
) -> Measured:
    """The label quality of N samples, with near duplicates under two labels brought into agreement.

    Args:
        features: (N, D).
        given: (N,), below 0 where there is no label.
        classes: C names.
        verified: (N,), labels that a person has confirmed.
        inputs: gives the samples of some rows, see `find_near_duplicates`.
        progress: is told of how many samples the neighbors are found.
    """
    given = given.clip(-1)
    found = label_issues(features, given, list(classes), verified=verified, progress=progress)
    near, distances = torch.from_numpy(found.neighbors), torch.from_numpy(found.distances)
    pairs = find_near_duplicates(inputs, near, distances).cpu().numpy()
    issues = reconcile(found.issues, pairs)
    fields = {
        "label_posterior": issues.label_posterior,
        "noise_matrix": issues.noise_matrix,
        "noise_rate": np.array(issues.noise_rate, dtype=np.float64),
        "noise_rate_interval": np.array(issues.noise_rate_interval, dtype=np.float64),
        "neighbors": found.neighbors,
        "distances": found.distances,
        "near_duplicates": pairs,
        "coordinates": pca_2d(features).cpu().numpy(),
        "verified": np.flatnonzero(verified),
    }
    return Measured(
        fields,
        found.pred_probs,
        str(found.search),
        {name: np.asarray(value).tolist() for name, value in issues.evidence.items()},
    )
