"""How many processes there are, and which this is, by the variables of launchers."""

from __future__ import annotations

import os


def default_workers() -> int:
    """A process for each core this process may use, shared by the ranks of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
