"""What is asked of `mixnn`, and where it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import NamedTuple

from real_errors.results import Column, row_names

OURS = ("mixnn", "mixnn (same p)")
CLEANLAB = "cleanlab self-confidence"
MANY, SURE = 50, 30  # wrong labels from which on a cell's ranking is judged; suggestions that are held to be sure


class Rule(NamedTuple):
    """What is asked, of how many cells, and where it does not hold.

    A rule about a mean over cells has `of_mean`, whether it holds; None where there is nothing to judge.
    """

    text: str
    judged: int
    broken: list[str]
    of_mean: bool | None = None

    def __str__(self) -> str:
        if not self.judged:
            return f"- not judged: {self.text}"
        if self.of_mean is not None:
            return f"- {'holds' if self.of_mean else '**not**'}: {self.text}"
        of = f"{self.judged - len(self.broken)} of {self.judged}"
        return f"- {'**not**' if self.broken else 'holds'}: {self.text} ({of})" + "".join(
            f"{'; not in ' if place == 0 else ', '}{one}" for place, one in enumerate(self.broken)
        )


def rules(columns: Sequence[Column], ours: str = OURS[0]) -> list[Rule]:
    """All rules, judged by means over seeds."""

    def each(text: str, judge: Callable[[Column], tuple[bool, str] | None]) -> Rule:
        found = [(column.name, verdict) for column in columns if (verdict := judge(column)) is not None]
        return Rule(text, len(found), [f"{name} ({words})" for name, (good, words) in found if not good])

    return [
        each("average precision within 0.005 of the best rival or above", lambda one: ranked(one, ours)),
        ahead(columns, ours),
        each(
            "calibration error at most 3% (8% where people are wrong in over 20% or mistakes depend on the image)",
            lambda one: calibrated(one, ours),
        ),
        each("of at least 30 suggestions of confidence 0.9 and above 88% are right", lambda one: sure(one, ours)),
        each("suggestions lose at most 0.1% of the labels", lambda one: kept(one, ours)),
        each("suggestions gain where 3% or more are wrong", lambda one: gained(one, ours)),
        each("told rate within 1.5 points or a quarter of the truth", lambda one: told(one, ours)),
        holds(columns, ours),
        each("interval at most 4 points or half the truth wide", lambda one: narrow(one, ours)),
        each("no class gets over three times its share of suggestions and 5 points", lambda one: spread(one, ours)),
    ]


def best_rival(column: Column, ours: str, without: Sequence[str] = ()) -> tuple[str, float] | None:
    """The rival with the best average precision."""
    names = [name for name in row_names([column]) if name not in (*OURS, ours, *without)]
    found = [(name, value) for name in names if (value := column.mean(name, "ap")) is not None]
    return max(found, key=lambda pair: pair[1]) if found else None


def ranked(column: Column, ours: str) -> tuple[bool, str] | None:
    ap, rival = column.mean(ours, "ap"), best_rival(column, ours)
    if ap is None or rival is None or column.wrong_count < MANY:
        return None
    return ap >= rival[1] - 0.005, f"{ap:.3f}, {rival[0]} {rival[1]:.3f}"


def ahead(columns: Sequence[Column], ours: str) -> Rule:
    pairs = [(column.mean(ours, "ap"), column.mean(CLEANLAB, "ap")) for column in columns if column.wrong_count >= MANY]
    lead = [one - other for one, other in pairs if one is not None and other is not None]
    words = f": {mean(lead):+.3f} over {len(lead)} cells" if lead else ""
    text = f"mean average precision ahead of {CLEANLAB} by 0.03 or more{words}"
    return Rule(text, len(lead), [], bool(lead) and mean(lead) >= 0.03)


def calibrated(column: Column, ours: str) -> tuple[bool, str] | None:
    error = column.mean(ours, "ece")
    if error is None or column.wrong is None:
        return None
    hard = column.noise == "file" or (column.noise == "human" and column.wrong > 0.2)
    return error <= (0.08 if hard else 0.03), f"{error:.1%}"


def sure(column: Column, ours: str) -> tuple[bool, str] | None:
    right, all_sure = sum(column.values(ours, "sure_right")), sum(column.values(ours, "sure"))
    if column.wrong is None or all_sure < SURE:
        return None
    return right >= 0.88 * all_sure, f"{right / all_sure:.0%} of {all_sure:.0f}"


def before_after(column: Column, ours: str) -> tuple[float, float] | None:
    before, after = column.mean(ours, "right_before"), column.mean(ours, "right_after")
    return None if before is None or after is None else (before, after)


def kept(column: Column, ours: str) -> tuple[bool, str] | None:
    right = before_after(column, ours)
    return right and (right[1] >= right[0] - 0.001, f"{right[0]:.2%} to {right[1]:.2%}")


def gained(column: Column, ours: str) -> tuple[bool, str] | None:
    right = before_after(column, ours)
    if right is None or column.wrong is None or column.wrong < 0.03:
        return None
    return right[1] > right[0], f"{right[0]:.2%} to {right[1]:.2%}"


def told(column: Column, ours: str) -> tuple[bool, str] | None:
    off = [abs(error) for error in column.values(ours, "rate_error")]
    if not off or column.wrong is None:
        return None
    return mean(off) <= max(0.015, column.wrong / 4), f"off by {100 * mean(off):.1f} points of {column.wrong:.1%}"


def holds(columns: Sequence[Column], ours: str) -> Rule:
    draws = list(every_interval(columns, ours))
    missed = [name for name, good in draws if not good]
    share = 1 - len(missed) / max(1, len(draws))
    text = "interval holds the truth in 90% of draws or more" + (f": {share:.0%} of {len(draws)}" if draws else "")
    times = [f"{name} ({missed.count(name)})" for name in dict.fromkeys(missed)]
    return Rule(text + (f"; missed in {', '.join(times)}" if times else ""), len(draws), [], share >= 0.9)


def every_interval(columns: Sequence[Column], ours: str) -> Iterator[tuple[str, bool]]:
    for column in columns:
        for held in column.values(ours, "holds"):
            yield column.name, held > 0


def narrow(column: Column, ours: str) -> tuple[bool, str] | None:
    width = column.mean(ours, "rate_width")
    if width is None or column.wrong is None:
        return None
    return width <= max(0.04, column.wrong / 2), f"{100 * width:.1f} points"


def spread(column: Column, ours: str) -> tuple[bool, str] | None:
    excess = column.mean(ours, "class_excess")
    if excess is None:
        return None
    classes = {str(row["class_excess_of"]) for row in column.rows(ours) if row.get("class_excess", 0) > 0}
    return excess <= 0, f"{100 * excess:+.1f} points, {' '.join(sorted(classes))}"
