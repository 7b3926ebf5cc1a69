"""Iterators that know how much is to come. Must not know: anything of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Counted(Iterator[T], Generic[T]):
    """`items`, of which there are `count`: `operator.length_hint` tells how many are left."""

    def __init__(self, items: Iterator[T], count: int) -> None:
        self.items, self.left = items, count

    def __next__(self) -> T:
        self.left -= 1
        return next(self.items)

    def __length_hint__(self) -> int:
        return max(0, self.left)
