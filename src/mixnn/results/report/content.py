"""What a report holds, as data for its scripts. Must not know: torch, training, how it looks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.duplicates import set_numbers
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import given_words, review
from mixnn.results.report.columns import column, file_names, number, places, probs_column
from mixnn.results.report.pictures import read_pictures
from mixnn.results.report.selection import NEIGHBORS, WITH_NEIGHBORS, WITH_TEXTS, cards, mapped, once
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.runs.sample_lists import read_records
from mixnn.utils.files import read_yaml

BINS = 50  # of the losses after training, as many as `losses.npz` has
PICTURE_BYTES = 6_500_000  # in a page; photos take half of it, and only images of noise more
TEXT_BYTES, BEGINNING = 5_000_000, 80  # characters of all texts in a page; of one for which there is no more room
PAIRS = 1000  # given → suggested, the largest
CURVES = ("accuracy", "clean_fraction", "right_targets", "train_loss")
MARKS = {  # settings of methods -> what begins with the epoch after so many
    "warmup": "warm-up ends",
    "mixup_until": "mixing with neighbors begins",
    "correct_from": "correction begins",
}


def collect(run: RunDirectory, evidence: Evidence, issues: LabelIssues) -> dict[str, Any]:
    """Everything the page shows that is no sentence."""
    classes, config = run.read_classes(), read_yaml(run.config)
    noun, texts = read_records(run)
    return {
        "key": fingerprint(evidence, issues),
        "labels": given_words(evidence, classes),
        "classes": len(classes),
        "pairs": pairs(evidence, issues),
        "perClass": np.bincount(evidence.given[evidence.given >= 0], minlength=len(classes)).tolist(),
        "noun": noun,
        **samples(evidence, issues, classes, read_pictures(run), texts),
        "curves": curves(run.read_table(run.metrics)) if run.metrics.exists() else {},
        "marks": marks(config),
        "losses": losses(run, evidence),
    }


def fingerprint(evidence: Evidence, issues: LabelIssues) -> str:
    """The same for the same run only: under it a browser keeps what was decided."""
    content = hashlib.sha256("\0".join(evidence.names.tolist()).encode("utf-8", "surrogatepass"))
    for part in (evidence.given, issues.suggested, issues.label_quality):
        content.update(np.ascontiguousarray(part).tobytes())
    return content.hexdigest()[:24]


def samples(
    evidence: Evidence,
    issues: LabelIssues,
    classes: list[str],
    pictures: Mapping[int, bytes],
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """The samples shown, in columns: cards first, then what only the map or a neighbor's picture leads to.

    Args:
        pictures: image files by row.
        texts: what each sample says, where it is no image.
    """
    shown, why = cards(evidence, issues), review(evidence, issues)
    points = mapped(evidence, shown)
    nearest = evidence.neighbors[:, :NEIGHBORS]
    first = np.concatenate([shown.flagged, shown.doubtful])
    followed = first[: WITH_TEXTS if texts else WITH_NEIGHBORS]
    others = [shown.unlabeled, shown.outliers, shown.duplicates]
    rows = once(np.concatenate([first, *others, points, nearest[followed].ravel()]))
    place = np.zeros(len(evidence.given), dtype=np.int64)  # of a row among those shown
    place[rows] = np.arange(len(rows))
    words = len(classes) + len(evidence.unlabeled)
    given = evidence.given % words  # those below 0 count from the end
    with_picture = [row for row in rows.tolist() if row in pictures]
    sizes = np.cumsum([len(pictures[row]) for row in with_picture], dtype=np.int64)
    with_picture = with_picture[: int(np.searchsorted(sizes, PICTURE_BYTES, "right"))]
    files = [pictures[row] for row in with_picture]
    conflicts = [row for row in rows.tolist() if why.duplicate[row] >= 0]
    return {
        "duplicates": [  # one that may not be among those shown: its name, and its given label
            [int(place[row]), str(evidence.names[other]), int(evidence.given[other])]
            for row, other in zip(conflicts, why.duplicate[conflicts].tolist(), strict=True)
        ],
        "groups": {name: column(place[part], "u4") for name, part in shown._asdict().items()},
        "sets": column(set_numbers(len(evidence.given), evidence.near_duplicates)[shown.duplicates], "u4"),
        "samples": {
            "row": column(rows, "u4"),
            "given": places(given[rows], words),
            "suggested": places(issues.suggested[rows], words),
            "second": places(issues.second[rows], words),
            "review": column(why.kind[rows], "u1"),
            "confidence": probs_column(issues.suggested_confidence[rows]),
            "quality": probs_column(issues.label_quality[rows]),
            "neighbors": places(given[nearest[rows]], words),
            "neighborCount": nearest.shape[1],
            **file_names([str(name) for name in evidence.names[rows]]),
        },
        "texts": texts_within([texts[row] for row in rows.tolist()]) if texts else [],
        "nearest": column(place[nearest[followed]], "u4"),
        "map": None if evidence.coordinates is None else unit_square(evidence.coordinates[points], place[points]),
        "pictures": {
            "index": column(place[np.array(with_picture, dtype=np.int64)], "u4"),
            "ends": column(np.cumsum([len(file) for file in files]), "u4"),
            "bytes": column(np.frombuffer(b"".join(files), dtype=np.uint8), "u1"),
        },
    }


def texts_within(texts: Sequence[str], limit: int = TEXT_BYTES) -> list[str]:
    """The first texts as they are, up to `limit` characters in all, and of the others their beginnings."""
    room = limit - sum(min(len(text), BEGINNING) for text in texts)
    shown = []
    for text in texts:
        more = max(0, len(text) - BEGINNING)
        whole = more <= room
        room -= more if whole else 0
        shown.append(text if whole else f"{text[:BEGINNING]} …")
    return shown


def unit_square(points: NDArray[np.float32], index: NDArray[np.int64]) -> dict[str, Any]:
    """Points in the unit square, both axes with one scale; without the outermost thousandth, which sit on its edge."""
    low, high = np.quantile(points, [0.0005, 0.9995], axis=0)
    scale = max(float((high - low).max()), 1e-12)
    inside = ((points - (low + high) / 2) / scale + 0.5).clip(0, 1)
    return {"index": column(index, "u4"), "x": probs_column(inside[:, 0]), "y": probs_column(1 - inside[:, 1])}


def pairs(evidence: Evidence, issues: LabelIssues) -> list[list[int]]:
    """[given, suggested, how many labels are flagged so], the most frequent first."""
    both = np.stack([evidence.given, issues.suggested], 1)[issues.is_label_issue]
    found, counts = np.unique(both, axis=0, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:PAIRS]
    return [[*map(int, found[i]), int(counts[i])] for i in largest]


def curves(rows: list[dict[str, str]]) -> dict[str, list[float | None]]:
    """Columns of `metrics.csv` that have a figure, by epoch."""
    read = {name: [float(row[name]) if row.get(name) else None for row in rows] for name in ("epoch", *CURVES)}
    return {name: values for name, values in read.items() if any(value is not None for value in values)}


def marks(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What begins in the course of the run, where the method's settings say so: after how many epochs, in words."""
    section = str(config.get("method")).rpartition(":")[2].lower()
    options = config.get(section) or {}
    found = [(options[name], text) for name, text in MARKS.items() if isinstance(options.get(name), int)]
    return [{"after": after, "text": text} for after, text in sorted(found) if 0 < after < config["epochs"]]


def losses(run: RunDirectory, evidence: Evidence) -> list[dict[str, Any]]:
    """Histograms with their mixtures: of each epoch that had a full pass, then after training; none without one."""
    if evidence.loss is None or evidence.mixture is None:
        return []
    known = evidence.loss[~np.isnan(evidence.loss)]
    after, _ = np.histogram(known, BINS, (0, 1))
    histograms = []
    if run.losses.exists():
        kept = run.read_arrays(run.losses)
        for epoch, counts, mixture in zip(kept["epochs"], kept["counts"], kept["mixtures"], strict=True):
            histograms.append({"epoch": int(epoch), "counts": counts.tolist(), "mixture": mixture_rows(mixture)})
    return [*histograms, {"epoch": None, "counts": after.tolist(), "mixture": mixture_rows(evidence.mixture)}]


def mixture_rows(mixture: NDArray[np.float64]) -> list[list[float | None]]:
    """Means, variances and weights for JSON."""
    return [[number(value) for value in part] for part in mixture]
