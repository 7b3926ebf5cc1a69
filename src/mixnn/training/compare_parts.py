"""Near duplicates and outliers among all parts of a data set, for `mixnn check`. Must not know: the screen's lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mixnn.config import DataOptions
from mixnn.config.find import EmbedOptions
from mixnn.data.check.files import Contents
from mixnn.data.check.findings import Finding, near_duplicate_findings, outlier_findings, parts_of
from mixnn.data.dataset import Dataset
from mixnn.data.load import load
from mixnn.errors import InputError
from mixnn.evidence.encoder import encode, frozen_network
from mixnn.evidence.inputs import checked_images
from mixnn.evidence.knn import cosine_distances, knn_indices
from mixnn.evidence.near_duplicates import NEIGHBORS, compare_neighbors, pixel_features
from mixnn.evidence.outliers import outliers_of
from mixnn.training.find import for_encoder
from mixnn.utils.console import counter, showing
from mixnn.utils.devices import pick_device

Compare = Literal["pixels", "network", "none"]


def compare_parts(dataset: Dataset, contents: Contents, how: Compare) -> list[Finding]:
    """Samples of any part that are nearly the same, and, by features, those unlike all others.

    Args:
        contents: of all samples, in the order of the parts.
        how: pixels compares thumbnails; network takes features of EfficientNet-Lite0 as well. Embeddings are compared
            as they are.

    Raises:
        InputError: the network cannot be had.
    """
    readable = np.setdiff1d(np.arange(len(contents.keys)), list(contents.unreadable))
    embeddings = [part.images for part in parts_of(dataset).values() if isinstance(part.images, np.ndarray)]
    embeddings = [images for images in embeddings if images.ndim == 2]
    if how == "none" or len(readable) < 2 or len({images.shape[1] for images in embeddings}) > 1:
        return []
    inputs = None if embeddings else checked_images(contents.thumbnails[readable])
    if embeddings:
        features = torch.from_numpy(np.concatenate(embeddings)[readable])
    elif how == "network":
        features = network_features(dataset, contents, len(readable))
    else:
        assert inputs is not None
        features = pixel_features(inputs(torch.arange(len(readable))))
    with showing("comparing samples with their nearest …"):
        neighbors, _ = knn_indices(features, min(NEIGHBORS, len(features) - 1))
        distances = cosine_distances(features, neighbors)
        pairs = compare_neighbors(neighbors, distances, inputs, of_pixels=not embeddings and how == "pixels").pairs
        found = list(near_duplicate_findings(dataset, readable[pairs], contents.keys))
        if embeddings or how == "network":
            odd = outliers_of(features)
            found += outlier_findings(dataset, readable[odd.ranking[: int(odd.is_outlier.sum())]])
    return found


def network_features(dataset: Dataset, contents: Contents, samples: int) -> Tensor:
    """Of all samples that can be read, part after part, by the network that `mixnn find` would take: (N, D)."""
    device = pick_device("auto")
    options = for_encoder(dataset.train, EmbedOptions(data=DataOptions(holdout=0.0, store="nowhere")), device)
    features: list[Tensor] = []
    start = 0
    for name, part in parts_of(dataset).items():
        good = [row for row in range(len(part)) if start + row not in contents.unreadable]
        start += len(part)
        images = part[np.array(good, dtype=np.int64)]
        whole = replace(dataset, train=images, heldout=None, heldout_name="none", others={}, unreadable=[])
        train = load(whole, options.for_reading(), device, tell=False).train
        network = frozen_network(train, options, device).network
        features.append(encode(network, train, counter(f"encoding {name}"), compact=True))
    if sum(map(len, features)) != samples:
        raise InputError("some images could be read only once: run `mixnn check` again, or --near-duplicates pixels")
    return torch.cat(features)
