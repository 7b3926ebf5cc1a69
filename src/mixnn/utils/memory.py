"""How much memory this process took, and what becomes of freed memory. Must not know: what computes."""

from __future__ import annotations

import ctypes
import sys

from mixnn.utils.processes import default_workers

# Of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees, to use it again, where the C library is glibc.

    By default, glibc hands large blocks back to the system and asks for new ones at the next batch,
    now and then or always, as it happens; their first use then costs more than what is computed in
    them: batches of 128 photos of 96 px took 2.5 times as long on one thread.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
        library.mallopt(M_MMAP_MAX, 0)


def peak_memory() -> int | None:
    """The most memory this process ever held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def address_space_limit() -> float:
    """The bytes of address space that this process may take (`ulimit -v`); infinity where nothing limits it."""
    try:
        import resource
    except ImportError:  # Windows
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def loading_takes(torch: bool) -> int:
    """Bytes of address space that the libraries take before any data is read, with a stack and a heap a core.

    Below it they abort in their own code, where no exception of ours can say why: glibc for thread-local data, OpenMP
    and OpenBLAS for their threads. Measured: `import numpy` 140 MB, `import torch` 640 MB, the smallest run 930 MB,
    all on two cores.
    """
    megabytes, each_core = (1000, 80) if torch else (200, 50)
    return (megabytes + each_core * default_workers()) << 20
