"""Neighbors found by the workers of a Ray cluster: each searches some lists of the inverted file for their samples.

The lists are built once, by the process that asks; Ray's object store holds them and the features once a machine. What
a task does follows from the lists alone, so that the result does not depend on the workers, nor on one that is
lost, whose tasks are done again. Must not know: labels, files.
"""

from __future__ import annotations

import bisect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixnn.evidence.neighbors.brute_force import Progress
from mixnn.evidence.neighbors.inverted_file import InvertedFile
from mixnn.evidence.neighbors.points import Points
from mixnn.evidence.neighbors.search import SEARCHER
from mixnn.shards.cluster import joined_cluster

TASK = 20_000  # samples, about, that a task searches neighbors for


class Shared(NamedTuple):
    """An inverted file as arrays, which Ray's workers read where they lie."""

    lists: dict[str, Any]
    points: dict[str, Any]


@contextmanager
def searching_on(workers: int | None) -> Iterator[None]:
    """What stands inside searches inverted files by so many workers at once; by this process where None."""
    if workers is None:
        yield
        return
    ray = joined_cluster(workers)

    def search(lists: InvertedFile, rows: Tensor, progress: Progress) -> Tensor:
        return search_on(ray, workers, lists, rows, progress)

    token = SEARCHER.set(search)
    try:
        yield
    finally:
        SEARCHER.reset(token)


def search_on(ray: Any, workers: int, lists: InvertedFile, rows: Tensor, progress: Progress) -> Tensor:
    """See `InvertedFile.search`."""
    asked, rows = rows, rows.cpu()
    shared, work = ray.put(shared_of(lists)), ray.remote(num_cpus=1, max_retries=-1)(found_by)
    spans, waiting, done = spans_of(lists, rows), dict[Any, NDArray[np.int64]](), 0
    nearest = rows.new_empty(len(rows), lists.k)
    while spans or waiting:
        while spans and len(waiting) < workers:
            span = spans.pop(0)
            waiting[work.remote(shared, rows[span].numpy())] = span
        [ready], _ = ray.wait(list(waiting), num_returns=1)
        span = waiting.pop(ready)
        nearest[span] = torch.from_numpy(ray.get(ready).copy())
        progress(done := done + len(span), len(rows))
    return nearest.to(asked.device)


def spans_of(lists: InvertedFile, rows: Tensor) -> list[NDArray[np.int64]]:
    """Places in `rows` of a task each: those of some whole lists."""
    list_of = lists.list_of.cpu()[rows]
    by_list = list_of.argsort(stable=True).numpy()
    starts = np.flatnonzero(np.diff(list_of.numpy()[by_list], prepend=-1)).tolist()
    cuts = [starts[bisect.bisect_left(starts, cut)] for cut in range(TASK, len(rows), TASK) if cut <= starts[-1]]
    return [span for span in np.split(by_list, sorted(set(cuts))) if len(span)]


def found_by(shared: Shared, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a task does."""
    return lists_of(shared).search(torch.from_numpy(rows.copy())).numpy()


def shared_of(lists: InvertedFile) -> Shared:
    content = {name: value for name, value in vars(lists).items() if name not in ("points", "scores")}
    return Shared(as_arrays(content), as_arrays(vars(lists.points)))


def as_arrays(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in content.items()}


def lists_of(shared: Shared) -> InvertedFile:
    lists, points = InvertedFile.__new__(InvertedFile), Points.__new__(Points)
    with warnings.catch_warnings(action="ignore"):  # the arrays are the object store's, and nobody writes to them
        for thing, content in ((lists, shared.lists), (points, shared.points)):
            for name, value in content.items():
                setattr(thing, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)
    lists.points, lists.scores = points, torch.empty(0, dtype=lists.dtype)
    return lists
