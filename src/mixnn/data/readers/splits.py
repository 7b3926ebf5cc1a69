"""The one rule by which folders, columns and lists are called like a part of the data. Must not know: any of these."""

from __future__ import annotations

import re

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("pred", "prediction", "predictions"), "pred"),
}
WORD = re.compile(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])")  # also of camel case; digits stand between words
NEGATIONS = {"no", "non", "not"}


def split_of(name: str) -> str | None:
    """train, val, test or pred, where one word of `name` says so; None where none does, or two differ.

    Example:
        >>> [split_of(name) for name in ("seg_train", "TestSet", "val2017", "train_val", "no test", "bus")]
        ['train', 'test', 'val', None, None, None]
    """
    words = [word.lower() for word in WORD.findall(name)]
    found = {SPLITS[plain] for word in words if (plain := re.sub("(set|data)$", "", word)) in SPLITS}
    return found.pop() if len(found) == 1 and NEGATIONS.isdisjoint(words) else None
