"""Labels as words, and the numbers that words may be. Must not know: file formats, samples."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Decimal, InvalidOperation

DIGITS = 20  # of the largest number that is told from text


def sort_words(words: Iterable[str]) -> list[str]:
    """Words in order; numbers by their value."""
    words = list(words)
    numbers = all(word.isascii() and word.isdigit() for word in words)
    return sorted(words, key=lambda word: (int(word), word)) if numbers else sorted(words)


def number_words(words: Iterable[str]) -> list[str]:
    """What 0, 1 … are called where labels are numbers: these in order, without marks such as -1 and no label at all."""
    return sort_words(word for word in set(words) if word and not word.startswith("-"))


def as_number(word: str) -> Decimal | None:
    """The value of a decimal number, exactly; None for text, infinity, and what is too large to be a label."""
    try:
        value = Decimal(word) if word.isascii() and "_" not in word else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() and abs(value.adjusted()) < DIGITS else None


def whole_floats(labels: Iterable[str]) -> dict[str, str]:
    """`{"1.0": "1", …}` for a column whose numbers a table program wrote as floats.

    Empty where a number is not whole, or two labels would become one.
    """
    values = {word: value for word in set(labels) if (value := as_number(word)) is not None}
    whole = {
        word: str(int(value))
        for word, value in values.items()
        if not word.strip().lstrip("+-").isdigit() and value % 1 == 0
    }
    if any(value % 1 for value in values.values()) or len({whole.get(word, word) for word in values}) < len(values):
        return {}
    return whole


def similar_words(counts: Counter[str]) -> dict[str, str]:
    """Each spelling of a label but its most frequent one -> that one; `counts` says how often each occurs."""
    spellings: dict[str, list[str]] = {}
    for word in counts:
        spellings.setdefault(bare(word), []).append(word)
    found: dict[str, str] = {}
    for words in spellings.values():
        usual, *others = sorted(words, key=lambda word: (-counts[word], word))
        found |= dict.fromkeys(others, usual)
    return found


def bare(word: str) -> str:
    """A label without case, spaces, invisible characters, choices of Unicode and ways to write a number."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
    text = "".join(c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf"))
    value = as_number(text)
    return text if value is None else f"{value.normalize() + 0:f}"


def in_spelling_of(words: Iterable[str], known: Collection[str]) -> list[str]:
    """Words as `known` writes them, where they are one of these as a number: `1.0` and `01` as `1`."""
    numbers: dict[Decimal, list[str]] = {}
    for word in known:
        if (value := as_number(word)) is not None:
            numbers.setdefault(value, []).append(word)

    def spelled(word: str) -> str:
        value = None if word in known else as_number(word)
        same = [] if value is None else numbers.get(value, [])
        return same[0] if len(same) == 1 else word

    return [spelled(word) for word in words]
