"""Ways to find wrong labels. Each takes the same `Evidence` of a case and gives what it has `Found`.

mixnn                        `mixnn.find_label_issues` of labels and features
mixnn (same p)               the same with the out-of-fold probabilities that the others have
rule of 34c178c              what `mixnn` did before, see `former_rule`
cleanlab self-confidence     `get_label_quality_scores`, and the list of `find_label_issues`
cleanlab normalized margin   the same, other score
Datalab                      cleanlab's check of whole data sets, of features and probabilities
SelfClean ratio              how far the nearest sample of another label is, against the nearest of the same
small loss                   of logistic regression that has seen the labels
kNN disagreement             share of the ten nearest neighbors that carry the label
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from cleanlab import count, filter, rank  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from real_errors import former_rule
from sklearn.decomposition import PCA  # type: ignore[import-untyped,unused-ignore]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]
from sklearn.model_selection import KFold, StratifiedKFold  # type: ignore[import-untyped,unused-ignore]
from sklearn.preprocessing import StandardScaler, normalize  # type: ignore[import-untyped,unused-ignore]

Labels = NDArray[np.int64]
FOLDS, WIDTH, NEAR, FEW = 5, 256, 50, 10  # WIDTH: columns that PCA leaves; FEW: neighbors of "kNN disagreement"
LEAST = 1e-8  # probability of a class that a fold has not seen
FARTHEST = 2.0  # cosine distance, where there is no sample to be near to
PART = 500  # rows of the matrix of similarities at a time
Need = Literal["columns", "probs", "near"]


class Found(NamedTuple):
    """What a rival says of N labels.

    Attributes:
        quality: (N,), higher is better.
        suggested: int64 (N,), what should stand in the label's place, which may be the label itself.
        listed: bool (N,), which labels it holds to be wrong; None where it does not say.
        confidence: (N,), how much it believes of its suggestion, 0-1; None where it does not say.
        rate: the share of wrong labels that it tells, 0-1; None where it tells none.
        interval: low and high of that; None where it tells none.
    """

    quality: NDArray[np.floating[Any]]
    suggested: Labels
    listed: NDArray[np.bool_] | None = None
    confidence: NDArray[np.floating[Any]] | None = None
    rate: float | None = None
    interval: tuple[float, float] | None = None


class Near(NamedTuple):
    """Neighbors by cosine.

    Attributes:
        rows: int64 (N, K), the nearest, near to far.
        same: (N,), distance of the nearest sample with the same label.
        other: (N,), distance of the nearest sample with another label.
        other_row: int64 (N,), which one that is.
    """

    rows: Labels
    same: NDArray[np.float32]
    other: NDArray[np.float32]
    other_row: Labels


class Evidence:
    """What all rivals of a case may look at. What takes time is computed once, when it is first asked for.

    Args:
        features: float32 (N, D).
        given: int64 (N,).
        classes: C.

    Attributes:
        seconds: what each part took.
    """

    def __init__(self, features: NDArray[np.float32], given: Labels, classes: int) -> None:
        self.features, self.given, self.classes = features, given, classes
        self.seconds: dict[Need, float] = {}

    def of(self, needs: tuple[Need, ...]) -> float:
        """Compute what is needed, and say what that took in all, now or earlier."""
        for need in needs:
            if need not in self.seconds:
                started = time.perf_counter()
                getattr(self, need)
                self.seconds[need] = time.perf_counter() - started
        return sum(self.seconds[need] for need in needs)

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """What logistic regression sees, (N, at most 256)."""
        x = normalize(self.features.astype(np.float64))
        x -= x.mean(0)
        x = PCA(min(WIDTH, *x.shape), svd_solver="covariance_eigh").fit_transform(x)
        scaled: NDArray[np.float64] = StandardScaler().fit_transform(x)
        return scaled

    @cached_property
    def probs(self) -> NDArray[np.float64]:
        """Out-of-fold probabilities (N, C)."""
        counts = np.bincount(self.given, minlength=self.classes)
        enough = counts[counts > 0].min() >= FOLDS
        folds = (StratifiedKFold if enough else KFold)(FOLDS, shuffle=True, random_state=0)
        probs = np.zeros((len(self.given), self.classes))
        for seen, unseen in folds.split(self.columns, self.given):
            probs[unseen] = self.fitted(seen)(unseen)
        return probs

    def fitted(self, rows: Labels) -> Callable[[Labels], NDArray[np.float64]]:
        """Logistic regression of some rows, and then the probabilities of others."""
        model = LogisticRegression(C=0.01, max_iter=300).fit(self.columns[rows], self.given[rows])

        def predict(others: Labels) -> NDArray[np.float64]:
            probs = np.zeros((len(others), self.classes))
            probs[:, model.classes_] = model.predict_proba(self.columns[others])
            probs = probs.clip(LEAST)
            whole: NDArray[np.float64] = probs / probs.sum(1, keepdims=True)
            return whole

        return predict

    @cached_property
    def near(self) -> Near:
        """The 50 nearest neighbors, or more where the former rule asks more."""
        x = torch.nn.functional.normalize(torch.from_numpy(self.features))
        y = torch.from_numpy(self.given)
        wanted = min(len(y) - 1, max(NEAR, former_rule.vote_k(len(y), self.classes)))
        parts = []
        for start in range(0, len(y), PART):
            rows = torch.arange(start, min(start + PART, len(y)))
            alike = x[rows] @ x.T
            alike[torch.arange(len(rows)), rows] = -torch.inf
            nearest = alike.topk(wanted).indices
            of_class = y[rows, None] == y
            same = alike.masked_fill(~of_class, -torch.inf).amax(1)
            other, row = alike.masked_fill(of_class, -torch.inf).max(1)
            parts.append((nearest, same, other, row))
        nearest, same, other, row = (torch.cat(column) for column in zip(*parts, strict=True))
        far_same, far_other = ((1 - one).clamp(0, FARTHEST).numpy() for one in (same, other))
        return Near(nearest.numpy(), far_same, far_other, row.numpy())


def at_label(table: NDArray[np.float64], given: Labels) -> NDArray[np.float64]:
    """What (N, C) says of the given labels, (N,)."""
    chosen: NDArray[np.float64] = table[np.arange(len(given)), given]
    return chosen


def ours(seen: Evidence, probs: NDArray[np.float64] | None = None) -> Found:
    from mixnn import find_label_issues

    if probs is None:
        issues = find_label_issues(seen.given, features=seen.features)
    else:
        issues = find_label_issues(seen.given, features=seen.features, pred_probs=probs)
    low, high = issues.noise_rate_interval
    return Found(
        np.asarray(issues.label_quality),
        np.asarray(issues.suggested_label),
        np.asarray(issues.is_label_issue),
        np.asarray(issues.suggested_confidence),
        float(issues.noise_rate),
        (float(low), float(high)),
    )


def ours_same(seen: Evidence) -> Found:
    return ours(seen, seen.probs)


def former(seen: Evidence) -> Found:
    former_result = former_rule.former_label_quality(seen.given, seen.near.rows, seen.probs)
    listed = former_result.suggested != seen.given
    rate = float(1 - former_result.quality.mean())
    return Found(former_result.quality, former_result.suggested, listed, former_result.confidence, rate)


def cleanlab(method: str) -> Callable[[Evidence], Found]:
    def find(seen: Evidence) -> Found:
        y, p = seen.given, seen.probs
        quality = rank.get_label_quality_scores(y, p, method=method)
        listed = filter.find_label_issues(y, p, n_jobs=1)
        rate = float(count.num_label_issues(y, p)) / len(y)
        return Found(quality, p.argmax(1), listed, p.max(1), rate)

    return find


def datalab(seen: Evidence) -> Found:
    from cleanlab import Datalab  # type: ignore[import-untyped,unused-ignore]

    present = np.unique(seen.given)  # it knows no other classes, and counts these
    p = seen.probs[:, present] / seen.probs[:, present].sum(1, keepdims=True)
    lab = Datalab({"label": np.searchsorted(present, seen.given)}, label_name="label", verbosity=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lab.find_issues(features=seen.features, pred_probs=p, issue_types={"label": {}})
    issues = lab.get_issues("label")
    listed = issues["is_label_issue"].to_numpy()
    suggested = np.where(listed, present[issues["predicted_label"].to_numpy()], seen.given)
    rate = float(listed.mean())
    return Found(issues["label_score"].to_numpy(), suggested, listed, p.max(1), rate)


def selfclean(seen: Evidence) -> Found:
    same, other = seen.near.same.astype(np.float64) ** 2, seen.near.other.astype(np.float64) ** 2
    total = same + other
    ratio = np.divide(other, total, out=np.full(len(total), 0.5), where=total > 0)
    return Found(ratio, np.where(ratio < 0.5, seen.given[seen.near.other_row], seen.given))


def small_loss(seen: Evidence) -> Found:
    rows = np.arange(len(seen.given))
    probs = seen.fitted(rows)(rows)
    return Found(at_label(probs, seen.given), probs.argmax(1), None, probs.max(1))


def knn(seen: Evidence) -> Found:
    votes, rows = np.zeros((len(seen.given), seen.classes)), np.arange(len(seen.given))
    for column in seen.near.rows[:, :FEW].T:
        votes[rows, seen.given[column]] += 1 / min(FEW, seen.near.rows.shape[1])
    own = at_label(votes, seen.given)
    most = votes.max(1)
    return Found(own, np.where(own < most, votes.argmax(1), seen.given), None, most)


RIVALS: dict[str, tuple[Callable[[Evidence], Found], tuple[Need, ...]]] = {
    "mixnn": (ours, ()),
    "mixnn (same p)": (ours_same, ("columns", "probs")),
    "rule of 34c178c": (former, ("columns", "probs", "near")),
    "cleanlab self-confidence": (cleanlab("self_confidence"), ("columns", "probs")),
    "cleanlab normalized margin": (cleanlab("normalized_margin"), ("columns", "probs")),
    "Datalab": (datalab, ("columns", "probs")),
    "SelfClean ratio": (selfclean, ("near",)),
    "small loss": (small_loss, ("columns",)),
    "kNN disagreement": (knn, ("near",)),
}


def judge(name: str, seen: Evidence) -> tuple[Found, float]:
    """What a rival finds, and its seconds: its own, and those of the evidence that it needs."""
    find, needs = RIVALS[name]
    shared = seen.of(needs)
    started = time.perf_counter()
    found = find(seen)
    return found, shared + time.perf_counter() - started
