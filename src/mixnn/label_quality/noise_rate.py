"""Between which values the share of wrong labels lies."""

from __future__ import annotations

BELOW, ABOVE = 0.12, 0.36  # of what is told: where the truth was, in the cells that settings are chosen by
MIN_HALF_WIDTH = 0.006  # of all labels


def noise_rate_interval(rate: float, labels: int) -> tuple[float, float]:
    """(low, high) around an estimated share of wrong labels.

    Chance is the smaller part of it. What the evidence cannot tell is whether people err more often where samples are
    hard: the truth is then above what is told, seldom below.

    Args:
        rate: what is told, 0–1.
        labels: how many there are.

    Example:
        >>> [round(end, 3) for end in noise_rate_interval(0.1, 10_000)]
        [0.076, 0.144]
    """
    chance = 2 * (rate * (1 - rate) / max(1, labels)) ** 0.5 + MIN_HALF_WIDTH
    return max(0.0, rate * (1 - BELOW) - chance), min(1.0, rate + ABOVE * rate * (1 - rate) + chance)
