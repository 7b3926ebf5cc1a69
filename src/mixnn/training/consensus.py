"""A run of `mixnn find` whose given labels are the consensus of annotators, judged by all of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mixnn.config.find import FindConfig
from mixnn.data.dataset import Part, Source, build_dataset
from mixnn.data.feature_files import read_features
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers.file_names import file_names
from mixnn.evidence.consensus import consensus
from mixnn.evidence.inputs import checked_features
from mixnn.evidence.votes import Labels
from mixnn.label_quality.consensus import Consensus
from mixnn.label_quality.posterior import noise_rate_interval
from mixnn.label_quality.probabilities import normalized, probability_of
from mixnn.label_quality.votes import sorted_votes
from mixnn.tables.topk_rows import chunks
from mixnn.training.find import find
from mixnn.utils.console import counter, note


def find_by_votes(told: Labels, given: Sequence[str], config: FindConfig, out: Path) -> Consensus:
    """Write the run, and tell the consensus of the items whose images can be read.

    Args:
        given: the consensus of the labels alone, N words; "" where an item has no label.
        config: its source is the table that will stand in `out`.

    Raises:
        InputError: something given is wrong; nothing was written.
    """
    features, root = config.options.features, config.options.data.root
    if root is None:
        assert features is not None
        images: Any = read_features(features, [str(name) for name in told.items])
        config = replace(config, options=replace(config.options, features=None))
    else:
        files, notes = file_names(told.items, root, "the table of labels")
        images = ImageFiles(root, files)
        for line in notes:
            note(line)
    part = Part(images, list(given), [str(name) for name in told.items])
    dataset = build_dataset(Source({"train": part}, [str(name) for name in told.classes]))
    answers: list[Consensus] = []

    def judged_by_votes(names: Sequence[str], x: Tensor) -> dict[str, Any]:
        answers.append(consensus(of_items(told, names), checked_features(x, len(names)), progress=counter("comparing")))
        words = dict(zip(part.names, given, strict=True))
        return evidence_of(answers[0], [words[name] for name in names])

    find(config, out, dataset=dataset, judged=judged_by_votes)
    return answers[0]


def of_items(told: Labels, names: Sequence[str]) -> Labels:
    """The labels of these items, in this order."""
    place = {name: i for i, name in enumerate(names)}
    to = np.array([place.get(str(item), -1) for item in told.items])
    votes = told.votes
    kept = to[votes.item] >= 0
    shape = (len(names), votes.annotators, votes.classes)
    chosen = sorted_votes(to[votes.item[kept]], votes.annotator[kept], votes.label[kept], shape)
    return told._replace(votes=chosen, items=list(names))


def evidence_of(found: Consensus, given: Sequence[str]) -> dict[str, Any]:
    """Fields of `runs.directory.Evidence` about given labels, out of the consensus."""
    place = {str(name): i for i, name in enumerate(found.classes)} | {"": -1}
    labels, classes = np.array([place[word] for word in given]), len(found.classes)
    counts = np.eye(classes)
    for part in chunks(len(labels), classes):
        rows, known = found.label_posterior[part], labels[part] >= 0
        np.add.at(counts.T, labels[part][known], rows[known])
    known = labels >= 0
    rate = float(1 - probability_of(found.label_posterior, labels.clip(0))[known].mean()) if known.any() else 0.0
    return {
        "label_posterior": found.label_posterior,
        "noise_matrix": normalized(counts),
        "noise_rate": np.array(rate),
        "noise_rate_interval": np.array(noise_rate_interval(rate, int(known.sum()))),
        "contradicted": np.array(float((found.consensus != labels)[known].mean()) if known.any() else 0.0),
    }
