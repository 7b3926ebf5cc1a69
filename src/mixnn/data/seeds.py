"""Seeds derived from what is being done, never stored. Must not know: anything of ours."""

from __future__ import annotations

import numpy as np
import torch


def derived_seed(*keys: int) -> int:
    """One 63-bit seed for these keys (seed, epoch, rank, purpose …); other keys, another seed."""
    # Their number is a key too: SeedSequence takes (1, 2) and (1, 2, 0) for the same.
    return int(np.random.SeedSequence([len(keys), *keys]).generate_state(1, np.uint64)[0] >> 1)


def generator(*keys: int) -> torch.Generator:
    """A CPU generator for these keys: the same numbers on every machine and rank."""
    return torch.Generator().manual_seed(derived_seed(*keys))
