"""Which labels say that there is none: one rule for all readers. Must not know: where labels come from, torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mixnn.utils.console import say
from mixnn.utils.processes import first_process

PANDAS = "#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN <NA> N/A NA NULL NaN NaT None n/a nan null"
WORDS = frozenset(["", "#N/A N/A", *PANDAS.split()])  # what pandas takes for missing in a table
SHOWN = 5  # words in a message
KEEP = "--data.missing-labels keep takes them as classes"


def missing_words(words: Collection[str]) -> set[str]:
    """Those of the labels `words` that mean "no label": a word of `WORDS`, or -1 beside two classes or more.

    With another number below 0 beside it, or a single class, -1 is a class: labels may be -1 and 1.

    Example:
        >>> sorted(missing_words({"cat", "NaN", ""})), missing_words({"0", "1", "-1"}), missing_words({"-1", "1"})
        (['', 'NaN'], {'-1'}, set())
    """
    found = {word for word in words if word.strip() in WORDS}
    numbers = {word: number(word) for word in set(words) - found}
    minus_one = {word for word, value in numbers.items() if value == -1}
    others = [value for word, value in numbers.items() if word not in minus_one]
    below = any(value is not None and value < 0 for value in others)
    return found if below or len(others) < 2 else found | minus_one


def is_missing(value: Any) -> bool:
    """Whether a value of a column is none: None, NaN, pandas' NA, an empty text."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value) or bool(value == "")


def number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def tell_missing(
    counts: Mapping[str, int], classes: Collection[str] = (), *, where: str = "", keep: str = KEEP
) -> None:
    """Say how many labels there are of each of these words, and which option takes them for something else.

    Args:
        classes: labels that are none of these.
        where: behind "missing".
        keep: how they are taken as classes.
    """
    if not first_process():
        return
    counts = {word: count for word, count in counts.items() if count}
    if counts:
        total, shown = sum(counts.values()), [f"{word!r} {count:,}" for word, count in counts.items()]
        words = ", ".join(shown[:SHOWN]) + (", …" if len(shown) > SHOWN else "")
        labels = "1 label is" if total == 1 else f"{total:,} labels are"
        fix = "" if set(counts) == {""} else f"; {keep}"
        say(f"mixnn: {labels} missing{where} ({words}): such samples count as unlabeled{fix}")
    if "-1" in classes:
        say("mixnn: label -1 is taken as a class; --data.unlabeled=-1 takes it as a missing label")
