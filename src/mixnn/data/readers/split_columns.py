"""Columns that say which part a row belongs to, by their names and values. Must not know: file formats, torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mixnn.data.readers.splits import split_of

NAMES = ("split", "splits", "subset", "partition", "set", "usage", "phase", "stage")  # of words, the most usual first
FLAG = re.compile(r"((is|in)_)?(valid|val|validation|dev|test|testing|train|training|holdout)(_set)?")
LIKE = {"split", "splits", "subset", "partition", "fold", "folds"}  # words in other names of such columns
HOLDOUT = re.compile(r"(hold|held)[\W_]?out", re.IGNORECASE)
YES, NO = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
SHOWN = 4  # values in a message


def split_columns(header: Sequence[str]) -> list[int]:
    """Places of the columns that look like a split, those of the most usual names first."""
    plain = [re.sub(r"[\W_]+", "_", name.strip().lower()) for name in header]
    found = [place for name in NAMES for place, other in enumerate(plain) if other == name]
    found += [place for place, name in enumerate(plain) if FLAG.fullmatch(name)]
    return found + [place for place, name in enumerate(plain) if place not in found and LIKE & {*name.split("_")}]


def split_meanings(name: str, words: Iterable[str]) -> dict[str, str]:
    """The part that each word in the column called `name` stands for; "" where that is not known.

    Where all are flags, as True and 0, the name says for what.

    Example:
        >>> split_meanings("is_valid", ["True", "0"]), split_meanings("fold", ["TRAIN", "3"])
        ({'True': 'val', '0': 'train'}, {'TRAIN': 'train', '3': ''})
    """
    plain, part = {word: word.strip().lower() for word in words}, _part(name)
    if part and {*plain.values()} <= {*YES, *NO}:
        other = "test" if part == "train" else "train"
        return {word: part if value in YES else other for word, value in plain.items()}
    return {word: _part(word) for word in plain}


def _part(word: str) -> str:
    return "test" if HOLDOUT.search(word) else split_of(word) or ""


def unused_note(where: str, names: Sequence[str], fix: str) -> list[str]:
    """A line about those of `names` that look like a split, where no column is taken for one."""
    like = ", ".join(repr(names[place]) for place in split_columns(names))
    return [f"{where}: {like} looks like a split and is not used: {fix}"] if like else []


def values_text(words: Iterable[str]) -> str:
    """Some of the values of a column."""
    some = [repr(word) for word in dict.fromkeys(words)]
    return ", ".join(some[:SHOWN]) + (", …" if len(some) > SHOWN else "")
