"""How suites write their rows and columns. Must not know: which suites there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.suite.cells import Column, Settings

Rows = dict[str, Settings]
C10, C100 = "cifar10", "cifar100"


def row(method: str, **options: Any) -> Settings:
    """Settings of a method's row."""
    return {"method": method, method: options}


def noises(data: str, *kinds: str, rows: Mapping[str, Settings] | None = None) -> list[Column]:
    """Columns of drawn noise, and of none: "clean"."""
    return [Column(f"{data} {kind}", data, None if kind == "clean" else kind, rows or {}) for kind in kinds]


def human(data: str, *labels: str, rows: Mapping[str, Settings] | None = None) -> list[Column]:
    """Columns of the labels that people gave (CIFAR-10N, CIFAR-100N; Wei et al., arXiv 2110.12088)."""
    return [
        Column(f"{data} human {label.removesuffix('_label')}", data, f"file:{{{data}n}}:{label}", rows or {})
        for label in labels
    ]
