"""What is known of every label, and how it is shown. Must not know: torch, runs, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.errors import InputError
from mixnn.label_quality.html import issues_html, text
from mixnn.label_quality.probabilities import FloatArray, largest_two, probability_of
from mixnn.tables.topk_rows import Table


@dataclass(frozen=True, repr=False)
class LabelIssues:
    """The answer of `mixnn.find_label_issues`.

    Attributes:
        label_posterior: (N, C), rows sum to one: P(true label | evidence, given label).
        given: int64 (N,), the given labels as places in `classes`; below 0 where there is none.
        classes: C names, in the order of the columns.
        noise_matrix: (C, C), rows sum to one: P(given label | true label).
        noise_rate: share of wrong labels, 0–1.
        noise_rate_interval: (low, high) around it.
        verified: bool (N,), labels that a person has confirmed: never an issue.
        evidence: what the rule chose by itself, by name, such as the number of neighbors.
        contradicted: share of the labels that the evidence by itself contradicts, 0–1. Far above `noise_rate`, samples
            are hard to tell apart, or labels are wrong where samples look like another class: labels and features do
            not say which.
        names: N file names; None where samples have no name but their row.
    """

    label_posterior: Table
    given: NDArray[np.int64]
    classes: Sequence[Any]
    noise_matrix: FloatArray
    noise_rate: float
    noise_rate_interval: tuple[float, float]
    verified: NDArray[np.bool_]
    evidence: dict[str, Any] = field(default_factory=dict)
    contradicted: float = 0.0
    names: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.given)

    def __repr__(self) -> str:
        (low, high), flagged = self.noise_rate_interval, int(self.is_label_issue.sum())
        rate = f"noise rate {self.noise_rate:.3f} ({low:.3f} to {high:.3f})"
        return f"LabelIssues({len(self):,} samples, {len(self.classes):,} classes, {flagged:,} label issues, {rate})"

    def _repr_html_(self) -> str:
        """For notebooks: the likeliest wrong labels, and the noise matrix."""
        return f"<p>{text(self)}</p>\n{issues_html(self)}"

    @cached_property
    def label_quality(self) -> NDArray[np.float64]:
        """P(the given label is right), (N,) in 0–1, low is suspicious; NaN where there is no label."""
        return np.where(self.given < 0, np.nan, probability_of(self.label_posterior, self.given.clip(0)))

    @cached_property
    def _largest(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        return largest_two(self.label_posterior)

    @property
    def suggested(self) -> NDArray[np.int64]:
        """The likeliest true label, (N,), as a place in `classes`."""
        return self._largest[0]

    @property
    def suggested_confidence(self) -> NDArray[np.float64]:
        """Its probability, (N,) in 0–1."""
        return self._largest[1]

    @property
    def second(self) -> NDArray[np.int64]:
        """The next likeliest label, (N,)."""
        return self._largest[2]

    @property
    def second_confidence(self) -> NDArray[np.float64]:
        return self._largest[3]

    @cached_property
    def suggested_label(self) -> NDArray[Any]:
        """The likeliest true label, (N,), as one of `classes`."""
        return np.asarray(self.classes)[self.suggested]

    @cached_property
    def is_label_issue(self) -> NDArray[np.bool_]:
        """Whether another label is likelier than the given one, (N,)."""
        issue: NDArray[np.bool_] = (self.suggested != self.given) & (self.given >= 0) & ~self.verified
        return issue

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """Rows in the order a person should look at them, (N,): issues first, by `label_quality`."""
        return np.lexsort((self.label_quality, ~self.is_label_issue))

    def to_frame(self) -> Any:
        """A pandas DataFrame, a row a sample in their order, with cleanlab's column names; `file_name` where there are.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]  # its stubs are another package
        except ImportError:
            raise InputError("to_frame() needs pandas: pip install pandas") from None
        names = np.array([*self.classes, None], dtype=object)  # -1, no label, is the last
        return pandas.DataFrame(
            ({} if self.names is None else {"file_name": self.names})
            | {
                "is_label_issue": self.is_label_issue,
                "label_quality": self.label_quality,
                "given_label": names[self.given.clip(-1)],
                "predicted_label": self.suggested_label,
                "suggested_confidence": self.suggested_confidence,
            }
        )
