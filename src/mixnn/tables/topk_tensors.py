"""Tables as `mixnn.tables.topk_rows` has them, as tensors. Must not know: networks, methods, files, ranks.

Whole, a table of shares is float32 (N, C). Packed, it is int32 (N, k + 1), so that buffers, checkpoints and other
ranks take it as any tensor: a word for each share that is kept, the largest first, half of it the share and half its
class; the last word is the share of each class that is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mixnn.tables.topk_rows import SparseRows, Table, chunks, record, stored


def pack(shares: Tensor, kept: int | None) -> Tensor:
    """Whole rows (n, C) as rows of a table, of which the `kept` ≤ C largest shares are kept; None: as they are."""
    if kept is None:
        return shares
    largest, classes = shares.float().topk(kept, dim=1)  # (n, k)
    rest = (1 - largest.sum(1, keepdim=True)).clamp_min(0) / max(1, shares.shape[1] - kept)
    words = torch.stack([largest.half().view(torch.int16), classes.to(torch.int16)], 2).view(torch.int32)
    return torch.cat([words[..., 0], rest.view(torch.int32)], 1)


def unpack(rows: Tensor, classes: int) -> Tensor:
    """Rows of a table as whole ones, float32 (n, C)."""
    if rows.is_floating_point():
        return rows
    words = rows[:, :-1, None].contiguous().view(torch.int16)  # (n, k, 2)
    rest = rows[:, -1:].contiguous().view(torch.float32).expand(-1, classes)
    place = words[..., 1].long() & 0xFFFF  # a class from 32 768 up is negative in 16 bits
    return rest.scatter(1, place, words[..., 0].view(torch.float16).float())


def unpacked_parts(table: Tensor, classes: int) -> Iterator[tuple[slice, Tensor]]:
    """All of a table, some rows at a time: which they are, and whole (n, C)."""
    for rows in chunks(len(table), classes):
        yield rows, unpack(table[rows], classes)


def packed(table: Tensor, classes: int, kept: int | None) -> Tensor:
    """A table, packed where it is to be and is not yet."""
    if kept is None or not table.is_floating_point():
        return table
    [small] = filled(len(table), ((pack(part, kept),) for _, part in unpacked_parts(table, classes)))
    return small


def pack_features(features: Tensor, size: int) -> Tensor:
    """Rows (n, D) as they are, where a value takes 4 bytes; where it takes 2, in float16, the largest as ±1.

    That keeps a row's direction, whatever its length. Whole numbers up to 127, in half as many bytes, do not where
    samples of a class differ by a few per cent of the largest value: neighbors are then told apart by rounding.
    """
    if size == 4:
        return features
    largest = features.abs().amax(1, keepdim=True).clamp_min(torch.finfo(features.dtype).tiny)
    return (features / largest).half()


def filled(count: int, pieces: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Tables of `count` rows, put together from pieces that each have some rows of every table.

    They are filled in place: a list of pieces, and then all of them, is twice the memory.
    """
    tables: list[Tensor] = []
    done = 0
    for piece in pieces:
        tables = tables or [rows.new_empty(count, *rows.shape[1:]) for rows in piece]
        for table, rows in zip(tables, piece, strict=True):
            table[done : done + len(rows)] = rows
        done += len(piece[0])
    return tables


def as_rows(table: Tensor, classes: int) -> Table:
    """A table in numpy, which shares its memory where it lies on the CPU."""
    array = table.cpu().numpy()
    return array if table.is_floating_point() else SparseRows(array.view(record(table.shape[1] - 1))[:, 0], classes)


def as_tensor(table: Table) -> Tensor:
    """A table of numpy as a tensor, packed where it is sparse; it shares its memory."""
    array = stored(table)
    if isinstance(table, SparseRows):
        array = array[:, None].view("<i4")
    return torch.from_numpy(array)
