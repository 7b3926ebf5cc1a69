"""Ray, where it is installed. Must not know: what it works on."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mixnn.errors import InputError, require_between

MAX_WORKERS = 4096


def joined_cluster(workers: int) -> Any:
    """The module `ray`, joined with the cluster of RAY_ADDRESS or this machine's, or else with one started here.

    Raises:
        InputError: Ray is not installed, no cluster answers, or the number makes no sense.
    """
    require_between("--ray", workers, 1, MAX_WORKERS)
    try:
        ray: Any = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise InputError(f"--ray {workers} needs Ray ({error}): pip install 'mixnn[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = os.environ.get("RAY_ADDRESS", "this machine")
            raise InputError(f"--ray {workers}: no cluster at {where} ({error}): start it by `ray start`") from error
    return ray


@contextmanager
def causes_told() -> Iterator[None]:
    """An error that a user can cause comes out as on one machine, without Ray's trace of where it was."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and type(cause) is not InputError:
            cause = getattr(cause, "cause", None) or cause.__cause__
        if cause is None:
            raise
        raise InputError(str(cause)) from None
