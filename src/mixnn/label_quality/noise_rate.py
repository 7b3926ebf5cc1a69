"""Between which values the share of wrong labels lies."""

from __future__ import annotations

import numpy as np

from mixnn.label_quality.combine import Fit

BELOW, ABOVE, BASE = 0.12, 0.38, 0.006


def noise_rate_interval(rate: float, fit: Fit, labels: int) -> tuple[float, float]:
    """(low, high) around `rate`.

    Chance is the smaller part of it. What the evidence cannot tell is whether people err more often where samples are hard, which it takes for
    hardness: the truth is then above what is told, seldom below.
    """
    chance = 2 * np.sqrt(rate * (1 - rate) / max(1, labels))
    return max(0.0, rate * (1 - BELOW) - chance - BASE), min(1.0, rate + ABOVE * rate * (1 - rate) + chance + BASE)
