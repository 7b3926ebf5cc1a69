"""For NumPy: all of it in one plain `.npz`. Must not know: torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.label_quality.duplicates import set_numbers
from mixnn.results.export.findings import Findings
from mixnn.results.issues import is_outlier
from mixnn.tables.topk_rows import stored


def write(findings: Findings, folder: Path, prefix: str) -> None:
    """`findings.npz`: arrays with a row for each training sample, and the names of the classes; nothing pickled.

    Labels are places in `classes`; a given label below 0 says that nobody knows. Of very many samples times classes,
    tables are records, see `tables.topk_rows`. Only a training has `soft_targets` and `loss_mixture_clean_prob`.
    """
    evidence = findings.evidence
    arrays: dict[str, NDArray[Any]] = {
        "file_name": evidence.names,
        "classes": np.array(findings.classes, dtype=np.str_),
        "given_label": evidence.given,
        "pred_probs": stored(evidence.probs),
        "label_posterior": stored(evidence.label_posterior),
        "noise_matrix": evidence.noise_matrix,
        "label_quality": findings.issues.label_quality,
        "is_label_issue": findings.issues.is_label_issue,
        "suggested_label": findings.issues.suggested,
        "suggested_confidence": findings.issues.suggested_confidence,
        "neighbors": evidence.neighbors,
    }
    if evidence.targets is not None:
        arrays["soft_targets"] = stored(evidence.targets)
    if evidence.loss_mixture_clean_prob is not None:
        arrays["loss_mixture_clean_prob"] = evidence.loss_mixture_clean_prob
    arrays["near_duplicates"] = evidence.near_duplicates  # (M, 2)
    arrays["near_duplicate_set"] = set_numbers(len(evidence.given), evidence.near_duplicates)
    if evidence.outlier_score is not None:
        arrays |= {"outlier_score": evidence.outlier_score, "is_outlier": is_outlier(evidence)}
    if evidence.distances is not None:
        arrays["neighbor_distances"] = evidence.distances
    np.savez(folder / "findings.npz", **arrays)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle
