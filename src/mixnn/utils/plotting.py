"""Colors and page furniture that all pictures share. Must not know: what they show."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from mixnn.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GOOD, BAD = "#1f2933", "#7b8794", "#1b7f79", "#d1495b"


def save(figure: Figure, path: Path) -> None:
    """Write the page as PNG."""
    with warnings.catch_warnings(), atomic_write(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a class may be named in any script
        figure.savefig(temporary, format="png")


def shortened(name: str, length: int = 18) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def tidy(axes: Axes) -> None:
    axes.spines["top"].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
