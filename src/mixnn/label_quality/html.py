"""Label issues as a notebook shows them: a table of the worst, and the noise matrix. Must not know: files, runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mixnn.label_quality.probabilities import FloatArray

if TYPE_CHECKING:
    from mixnn.label_quality.issues import LabelIssues

SHOWN = 10  # label issues, and pairs of classes that are mixed up
WHOLE = 12  # classes whose matrix has room
HEIGHT = 64  # pixels of a picture


def issues_html(issues: LabelIssues, pictures: Mapping[int, bytes] | None = None) -> str:
    """The worst labels, and which classes are given which labels; every name is text, whatever it holds.

    Args:
        pictures: image files by row, WebP or JPEG.
    """
    return "\n".join(part for part in (worst_table(issues, pictures or {}), matrix_table(issues)) if part)


def worst_table(issues: LabelIssues, pictures: Mapping[int, bytes]) -> str:
    """The likeliest wrong labels as an HTML table; nothing where none is flagged."""
    worst = issues.ranking[: min(SHOWN, int(issues.is_label_issue.sum()))].tolist()
    names: Sequence[Any] = range(len(issues)) if issues.names is None else issues.names.tolist()
    head = ["sample", "given label", "suggested label", "label quality"]
    rows = [
        [
            text(names[i]),
            text(issues.classes[issues.given[i]]),
            text(issues.suggested_label[i]),
            f"{issues.label_quality[i]:.2f}",
        ]
        for i in worst
    ]
    if any(i in pictures for i in worst):
        head = ["", *head]
        rows = [[picture(pictures.get(i)), *row] for i, row in zip(worst, rows, strict=True)]
    return table(head, rows) if rows else ""


def matrix_table(issues: LabelIssues) -> str:
    """P(given label | true label) in per cent; of many classes the pairs that are mixed up most."""
    matrix, classes = np.asarray(issues.noise_matrix), [text(name) for name in issues.classes]
    if len(classes) <= WHOLE:
        rows = [[f"<b>{name}</b>", *map(shade, row.tolist())] for name, row in zip(classes, matrix, strict=True)]
        return table(["true label ↓ given label →", *classes], rows)
    mixed: FloatArray = matrix * (1 - np.eye(len(matrix)))
    pairs = [np.unravel_index(place, mixed.shape) for place in np.argsort(-mixed, axis=None, kind="stable")[:SHOWN]]
    rows = [
        [classes[true], classes[given], shade(float(mixed[true, given]))] for true, given in pairs if mixed[true, given]
    ]
    return table(["true label", "given label", "how often"], rows) if rows else ""


def text(name: object) -> str:
    return escape(str(name))


def shade(probability: float) -> str:
    """A cell, the darker the larger; readable on light and on dark pages."""
    return (
        f'<div style="background:rgba(9,105,218,{probability / 2:.2f});padding:0 4px">{100 * probability:.1f} %</div>'
    )


def picture(file: bytes | None) -> str:
    if file is None:
        return ""
    kind = "webp" if file[:4] == b"RIFF" else "jpeg"
    return f'<img alt="" style="height:{HEIGHT}px" src="data:image/{kind};base64,{b64encode(file).decode()}">'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{body}</tbody></table>"
