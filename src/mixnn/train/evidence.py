"""What the trained method says of every label. Must not know: files, the screen, methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from mixnn.bounds import estimate_bounds
from mixnn.confusion import close, estimate_confusion
from mixnn.data.train_data import TrainData
from mixnn.distributed import gather_rows, shard
from mixnn.functional import clean_probability, min_max, soft_labels
from mixnn.methods.base import Method
from mixnn.packing import as_rows, pack, packed
from mixnn.passes import look
from mixnn.rows import kept_of
from mixnn.run import Evidence
from mixnn.train.twins import find_twins
from mixnn.votes import ask_neighbors

NEIGHBORS = 10  # nearest samples that are kept, and shown
PART = 2**22  # values of the features worked on at a time
FOR_LISTS = "neighbors for the lists"  # what a run says of the search for them


@torch.no_grad()
def collect_evidence(method: Method, data: TrainData, names: Sequence[str], unlabelled: Sequence[str] = ()) -> Evidence:
    """One full pass after training, judged against the given labels; the same for every method."""
    classes, given = method.num_classes, numpy(data.labels)
    kept = kept_of(len(data), classes)
    features, probs, log_given = look(method.classifiers, data, kept)  # (N, D), (N, C), (N, networks)
    few, vote, how = ask_neighbors(features, data.labels, classes, kept)  # (n, ≤ 40), (n, C), of this rank
    method.choices[FOR_LISTS] = str(how)
    near = few[:, :NEIGHBORS]
    distances = cosine_distances(features, near, shard(len(data)))  # (n, NEIGHBORS)
    coordinates = plane(features)
    del features  # by far the largest table
    known, certain = data.labels >= 0, data.certain.nonzero()[:, 0]
    loss = -log_given.exp().mean(1).clamp_min(1e-12).log()  # (N,)
    clean, mixture = clean_probability(loss, known)
    targets = method.soft_targets()
    targets = probs if targets is None else packed(targets, classes, kept)
    if len(certain):
        targets = targets.clone()
        targets[certain] = pack(soft_labels(data.labels[certain], classes), kept)
    clean = clean.masked_fill(data.certain, 1.0)
    few, near, distances = numpy(gather_rows(few)), gather_rows(near), gather_rows(distances)
    bounds = estimate_bounds(given, few, classes)
    nothing = np.full((3, 2), np.nan)
    fitted = nothing if mixture is None else np.stack([numpy(part) for part in mixture[:3]])
    return Evidence(
        names=np.array(names, dtype=np.str_),
        given=given,
        probs=as_rows(probs, classes),
        targets=as_rows(targets, classes),
        loss=numpy(min_max(loss, known).where(known, torch.nan)),
        clean_prob=numpy(clean.where(known, torch.nan)),
        mixture=fitted,
        neighbors=numpy(near),
        unlabelled=np.array(unlabelled, dtype=np.str_),
        certain=numpy(certain),
        distances=numpy(distances),
        twins=numpy(find_twins(data, near, distances)),
        coordinates=numpy(coordinates),
        vote=as_rows(gather_rows(vote), classes),
        joint=estimate_confusion(given, few[:, : close(len(data), classes)], classes).joint,
        rate_bounds=bounds.rate,
        transition_bounds=bounds.transition,
    )


def cosine_distances(features: Tensor, near: Tensor, rows: slice) -> Tensor:
    """One minus the cosine of each of `rows` and its neighbours, near to far: (N, D), int64 (n, K) -> (n, K) in 0–2."""
    size = max(1, PART // max(1, features.shape[1]))
    distances = torch.empty(near.shape, device=near.device)
    own = torch.arange(len(features), device=near.device)[rows]
    for into, place, others in zip(*(x.split(size) for x in (distances, own, near)), strict=True):
        z = normalize(features[place].float())  # (n, D)
        for k, column in enumerate(others.T):  # one at a time: no (n, K, D) table
            into[:, k] = 1 - (z * normalize(features[column].float())).sum(1)
    return distances.clamp_(0, 2)


def plane(features: Tensor) -> Tensor:
    """The two directions in which `features` (N, D) differ most, by principal components: (N, 2) float32.

    They are compared as the neighbours are, at length one. A direction has no sign of its own: its largest
    share is taken as positive. What has one dimension only lies on a line.
    """
    size = max(1, PART // max(1, features.shape[1]))
    width = features.shape[1]
    total, products = features.new_zeros(width, dtype=torch.float64), features.new_zeros(width, width).double()
    for part in features.split(size):
        x = normalize(part.double())
        total += x.sum(0)
        products += x.T @ x
    mean = total / len(features)
    directions = torch.linalg.eigh(products / len(features) - mean.outer(mean)).eigenvectors[:, -2:].flip(1)  # (D, 2)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 2)
    directions = directions * largest.sign()
    parts = [(normalize(part.double()) - mean) @ directions for part in features.split(size)]
    return pad(torch.cat(parts), (0, 2 - directions.shape[1])).float()


def numpy(x: Tensor) -> Any:
    """As an array, of whatever dtype `x` has."""
    return x.cpu().numpy()
