"""Tables as `mixnn.tables.topk_rows` has them, as tensors. Must not know: networks, methods, files, ranks.

Whole, a table of probabilities is float32 (N, C). As top-k rows it is int32 (N, k + 1), so that buffers, checkpoints
and other ranks take it as any tensor: a word for each of the k largest, half of it the probability and half its class;
the last word is the probability of each other class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mixnn.tables.topk_rows import Table, TopkTable, chunks, stored, topk_dtype


def to_topk(probs: Tensor, k: int | None) -> Tensor:
    """Whole rows (n, C) as rows of a table, of their `k` ≤ C largest values; None: as they are."""
    if k is None:
        return probs
    largest, classes = probs.float().topk(k, dim=1)  # (n, k)
    tail_prob = (1 - largest.sum(1, keepdim=True)).clamp_min(0) / max(1, probs.shape[1] - k)
    words = torch.stack([largest.half().view(torch.int16), classes.to(torch.int16)], 2).view(torch.int32)
    return torch.cat([words[..., 0], tail_prob.view(torch.int32)], 1)


def to_dense(rows: Tensor, classes: int) -> Tensor:
    """Rows of a table as whole ones, float32 (n, C)."""
    if rows.is_floating_point():
        return rows
    words = rows[:, :-1, None].contiguous().view(torch.int16)  # (n, k, 2)
    tail_prob = rows[:, -1:].contiguous().view(torch.float32).expand(-1, classes)
    place = words[..., 1].long() & 0xFFFF  # a class from 32 768 up is negative in 16 bits
    return tail_prob.scatter(1, place, words[..., 0].view(torch.float16).float())


def dense_chunks(table: Tensor, classes: int) -> Iterator[tuple[slice, Tensor]]:
    """All of a table, some rows at a time: which they are, and whole (n, C)."""
    for rows in chunks(len(table), classes):
        yield rows, to_dense(table[rows], classes)


def as_topk(table: Tensor, classes: int, k: int | None) -> Tensor:
    """A table, as top-k rows where it is to be and is not yet."""
    if k is None or not table.is_floating_point():
        return table
    [small] = concatenated(len(table), ((to_topk(part, k),) for _, part in dense_chunks(table, classes)))
    return small


def as_float16(features: Tensor, size: int) -> Tensor:
    """Rows (n, D) as they are, where a value takes 4 bytes; where it takes 2, in float16, the largest as ±1.

    That keeps a row's direction, whatever its length. Whole numbers up to 127, in half as many bytes, do not where
    samples of a class differ by a few per cent of the largest value: neighbors are then told apart by rounding.
    """
    if size == 4:
        return features
    largest = features.abs().amax(1, keepdim=True).clamp_min(torch.finfo(features.dtype).tiny)
    return (features / largest).half()


def concatenated(count: int, pieces: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Tables of `count` rows, put together from pieces that each have some rows of every table.

    They are filled in place: a list of pieces, and then all of them, is twice the memory.
    """
    tables: list[Tensor] = []
    done = 0
    for chunk in pieces:
        tables = tables or [rows.new_empty(count, *rows.shape[1:]) for rows in chunk]
        for table, rows in zip(tables, chunk, strict=True):
            table[done : done + len(rows)] = rows
        done += len(chunk[0])
    return tables


def as_rows(table: Tensor, classes: int) -> Table:
    """A table in numpy, which shares its memory where it lies on the CPU."""
    array = table.cpu().numpy()
    return array if table.is_floating_point() else TopkTable(array.view(topk_dtype(table.shape[1] - 1))[:, 0], classes)


def as_tensor(table: Table) -> Tensor:
    """A table of numpy as a tensor, as top-k rows where it is a `TopkTable`; it shares its memory."""
    array = stored(table)
    if isinstance(table, TopkTable):
        array = array[:, None].view("<i4")
    return torch.from_numpy(array)
