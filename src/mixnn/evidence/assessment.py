"""From features to what is known of the labels, worked out once a run. Must not know: files, methods, the screen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixnn.data.batches import TrainData
from mixnn.evidence.label_issues import label_issues
from mixnn.evidence.near_duplicates import find_near_duplicates
from mixnn.evidence.neighbors.brute_force import Progress, silent
from mixnn.evidence.pca import pca_2d
from mixnn.label_quality.duplicates import reconcile
from mixnn.tables.topk_rows import Table


class Assessment(NamedTuple):
    """What features say.

    Attributes:
        fields: of `mixnn.runs.directory.Evidence`, by name: label quality, neighbors, near duplicates, coordinates.
        probs: (N, C), of a classifier that has not seen the sample's label.
        search: how neighbors were searched, in words.
        chosen: what the rule chose by itself, by name.
    """

    fields: dict[str, Any]
    probs: Table
    search: str
    chosen: dict[str, Any]


def assess_labels(features: Tensor, data: TrainData, classes: int, progress: Progress = silent) -> Assessment:
    """The label quality of N samples, with near duplicates under two labels brought into agreement.

    Args:
        features: (N, D).
        data: the samples, with their given and their verified labels.
        classes: C.
        progress: is told of how many samples the neighbors are found.
    """
    given, verified = data.labels.cpu().numpy().clip(-1), data.verified.cpu().numpy()
    found = label_issues(features, given, range(classes), verified=verified, progress=progress)
    nearest, distances = torch.from_numpy(found.neighbors), torch.from_numpy(found.distances)
    pairs = find_near_duplicates(data.inputs, nearest, distances).cpu().numpy()
    issues = reconcile(found.issues, pairs)
    fields = {
        "label_posterior": issues.label_posterior,
        "noise_matrix": issues.noise_matrix,
        "noise_rate": np.array(issues.noise_rate, dtype=np.float64),
        "noise_rate_interval": np.array(issues.noise_rate_interval, dtype=np.float64),
        "contradicted": np.array(issues.contradicted, dtype=np.float64),
        "neighbors": found.neighbors,
        "distances": found.distances,
        "near_duplicates": pairs,
        "coordinates": pca_2d(features).cpu().numpy(),
        "verified": np.flatnonzero(verified),
    }
    return Assessment(
        fields,
        found.pred_probs,
        str(found.search),
        {name: np.asarray(value).tolist() for name, value in issues.evidence.items()},
    )
