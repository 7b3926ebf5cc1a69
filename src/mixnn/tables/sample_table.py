"""One row per training sample. Must not know: what the rows mean, methods, files."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixnn.distributed.ranks import gather_rows


class SampleTable(nn.Module):
    """A table of N rows, addressed by data-set index, whose writes are held back to the end of the epoch.

    Within an epoch every reader sees the rows as they were when it began, whatever the order of the
    batches and on whichever rank. The rows are a buffer, so they are part of `state_dict`.

    Args:
        rows: (N, …), the first content; copied.

    Example:
        >>> table = SampleTable(torch.zeros(4, 2))
        >>> table.write(torch.tensor([1]), torch.ones(1, 2))
        >>> table[1].sum().item()
        0.0
        >>> table.sync()
        >>> table[1].sum().item()
        2.0
    """

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.detach().clone())
        self._pending: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor | int) -> Tensor:
        return self.rows[index]

    def write(self, index: Tensor, rows: Tensor) -> None:
        """Note `rows` (B, …) for `index` int64 (B,), to be applied by `sync`; each rank writes its own share."""
        self._pending.append((index.clone(), rows.detach().to(self.rows.dtype, copy=True)))

    @torch.no_grad()
    def sync(self) -> None:
        """Apply what all ranks wrote. Of several writes to one row the last counts: by their number, then by rank."""
        empty = (self.rows.new_zeros(0, dtype=torch.int64), self.rows[:0])
        indices, values = zip(*(self._pending or [empty]), strict=True)
        self._pending = []
        number = torch.cat([torch.full_like(index, n) for n, index in enumerate(indices)])
        index, value, number = (gather_rows(part) for part in (torch.cat(indices), torch.cat(values), number))
        # Which write is last is decided here: indexing with repeats leaves it open on a GPU.
        place = number.argsort(stable=True)
        order = torch.arange(len(index), device=index.device)
        last = torch.full((len(self),), -1, device=index.device).scatter_reduce_(0, index[place], order, "amax")
        written = last >= 0
        self.rows[written] = value[place[last[written]]]
