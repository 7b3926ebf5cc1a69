"""One process at a time in a folder, by a lock of the system: a killed one frees it.

Must not know: what is written there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mixnn.errors import InputError

LOCK, HOLDER = ".lock", ".lock.json"  # the second says who has the first, since a try to lock may empty the file


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and keep other processes out of it; what is made here goes again if nothing else was written.

    Raises:
        InputError: another one is at work here, with its number and since when; or writing is not allowed.
    """
    lock, made = FileLock(folder / LOCK, timeout=0), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(NotImplementedError):  # the file system knows no locks: then without
            lock.acquire()
        (folder / HOLDER).write_text(json.dumps(whoami()), encoding="utf-8")
    except Timeout:
        raise InputError(
            f"--out {folder}: another mixnn command is at work there{holder(folder)}: wait for it, or stop it"
        ) from None
    except OSError as error:
        lock.release()
        raise InputError(f"--out {folder} cannot be written ({error.strerror}): choose another") from error
    try:
        yield
    finally:
        with suppress(OSError):  # where an open file cannot be removed it stays, and counts as none
            (folder / HOLDER).unlink(missing_ok=True)
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
                if made:
                    folder.rmdir()
        lock.release()


def whoami() -> dict[str, object]:
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": now}


def holder(folder: Path) -> str:
    """Who has the lock, in words; nothing where that cannot be read."""
    try:
        who = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f" (process {who['process']} on {who['host']}, since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
