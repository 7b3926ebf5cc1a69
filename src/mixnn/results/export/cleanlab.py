"""For cleanlab: what `CleanLearning.fit(label_issues=…)` and `Datalab.find_issues(knn_graph=…)` take.

Must not know: cleanlab, torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixnn.results.export.findings import Findings
from mixnn.runs.directory import Evidence
from mixnn.tables.topk_rows import chunks
from mixnn.utils.csv_files import write_csv

DATA_ISSUES = ["file_name", "is_outlier_issue", "outlier_score", "is_near_duplicate_issue", "near_duplicate_set"]


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`label_issues.csv`, `data_issues.csv`, `labels.npy`, `pred_probs.npy`, `classes.json`, `knn_graph.npz`.

    Samples with a label only.

    Labels are numbers, as cleanlab wants them; the table has the names of their classes beside them.
    The graph has as many neighbors for each sample as all have, and is left away where that is none.
    """
    evidence = findings.evidence
    kept, predicted = np.flatnonzero(evidence.given >= 0), evidence.probs.argmax(1)
    about = (findings.rows[row] for row in kept.tolist())
    names_and_quality = ((row["file_name"], row["is_label_issue"], row["label_quality"]) for row in about)
    labels = zip(evidence.given[kept].tolist(), predicted[kept].tolist(), strict=True)
    named = ((*pair, *(findings.classes[label] for label in pair)) for pair in labels)
    header = ["file_name", "is_label_issue", "label_quality", "given_label", "predicted_label"]
    header += ["given_class", "predicted_class"]
    write_csv(folder / "label_issues.csv", header, map(add, names_and_quality, named))
    write_csv(folder / "data_issues.csv", DATA_ISSUES, map(data_issues, (findings.rows[row] for row in kept.tolist())))
    np.save(folder / "labels.npy", evidence.given[kept])
    shape = len(kept), evidence.probs.shape[1]
    probs = np.lib.format.open_memmap(folder / "pred_probs.npy", "w+", np.float32, shape)
    for rows in chunks(*shape):
        probs[rows] = evidence.probs[kept[rows]]
    (folder / "classes.json").write_text(json.dumps(findings.classes, ensure_ascii=False) + "\n", encoding="utf-8")
    graph = knn_graph(evidence, kept)
    if graph is not None:
        np.savez(folder / "knn_graph.npz", **graph)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle


def data_issues(row: Mapping[str, str]) -> tuple[object, ...]:
    """A row of `labels.csv` as Datalab has outliers and near duplicates: a low score is odd."""
    score = "" if row["outlier_score"] == "" else f"{1 - float(row['outlier_score']):.6g}"
    copied = row["near_duplicate_set"] != ""
    return row["file_name"], row["is_outlier"], score, copied, row["near_duplicate_set"]


def knn_graph(evidence: Evidence, kept: NDArray[np.int64]) -> dict[str, NDArray[np.generic]] | None:
    """The neighbors of the samples `kept` (n,) among themselves, as `scipy.sparse.load_npz` reads a CSR matrix (n, n).

    Values are distances, near to far in each row. None where a sample has no such neighbor, or the run is of before
    distances were kept.
    """
    if evidence.distances is None:
        return None
    place = np.full(len(evidence.given), -1)
    place[kept] = np.arange(len(kept))
    nearest, distances = place[evidence.neighbors[kept]], evidence.distances[kept]
    k = int((nearest >= 0).sum(1).min())
    if k == 0:
        return None
    first = np.argsort(nearest < 0, axis=1, kind="stable")[:, :k]  # those that are there, near to far as before
    return {
        "indices": np.take_along_axis(nearest, first, 1).ravel().astype(np.int32),
        "indptr": np.arange(0, k * len(kept) + 1, k, dtype=np.int32),
        "format": np.array(b"csr"),
        "shape": np.array([len(kept), len(kept)]),
        "data": np.take_along_axis(distances, first, 1).ravel().astype(np.float64),
    }
