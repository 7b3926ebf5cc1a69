"""Python values as text that is safe inside a page. Must not know: runs, what the values mean."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def column(values: ArrayLike, kind: str) -> dict[str, str]:
    """Numbers as the bytes of a typed array: `kind` is "u1", "u2", "u4" or "f4", little-endian."""
    return {"type": kind, "bytes": base64.b64encode(np.asarray(values, dtype=f"<{kind}").tobytes()).decode()}


def places(values: NDArray[Any], count: int) -> dict[str, str]:
    """Whole numbers from 0 up to, not including, `count`, in as few bytes as that takes."""
    return column(values, "u1" if count <= 1 << 8 else "u2" if count <= 1 << 16 else "u4")


def probs_column(values: NDArray[Any]) -> dict[str, str]:
    """Numbers in 0–1, to four digits; 0 for one that is none."""
    return column(np.nan_to_num(values).clip(0, 1) * 0xFFFF + 0.5, "u2")


def file_names(names: Sequence[str]) -> dict[str, Any]:
    """Names as folders, each once, and what follows them."""
    parts = [name.rpartition("/") for name in names]
    heads = [folder + slash for folder, slash, _ in parts]
    folders = list(dict.fromkeys(heads))
    place = {folder: i for i, folder in enumerate(folders)}
    return {
        "folders": folders,
        "folder": places(np.array([place[head] for head in heads], dtype=np.int64), len(folders)),
        "files": [file for _, _, file in parts],
    }


def number(value: float) -> float | None:
    """A number for JSON, which has no word for one that is none."""
    return round(float(value), 6) if np.isfinite(value) else None


def script_json(content: object) -> str:
    """JSON that stands inside <script>: no tag, comment or character reference can begin in it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def name_html(name: str) -> str:
    """A name as HTML, whatever it holds; its direction does not reach beyond it."""
    visible = "".join(c if c.isprintable() or ord(c) in (0x200C, 0x200D) else repr(c)[1:-1] for c in name)
    return f"<bdi>{html.escape(visible)}</bdi>"
