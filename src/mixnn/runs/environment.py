"""What has to stand beside a result: versions, machine, revision. Must not know: torch, what a run is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from mixnn.errors import InputError

HERE = Path(__file__).resolve().parents[1]  # the package
CODE = (".", ":(top)pyproject.toml", ":(top)benchmarks/*.py")  # what a result depends on, seen from here


def environment(seed: int, device: str, precision: str) -> dict[str, object]:
    """What has to stand beside a result: versions, machine, revision, command, seed.

    Where the package runs from a copy without .git, MIXNN_REVISION may name the revision it was copied from; InputError
    where that is none.

    Args:
        device: what it is computed on, by name.
        precision: of the networks' arithmetic.
    """
    stated = None if _in_checkout() else _stated_revision()
    packages = ("mixnn", "torch", "numpy", "pillow", "safetensors", "jsonargparse", "matplotlib", "timm", "torchvision")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "device": device,
        "precision": precision,
        "git_revision": stated or _git("rev-parse", "HEAD"),
        "git_clean": stated is not None or _git("status", "--porcelain", "--", *CODE) == "",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _in_checkout() -> bool:
    """Whether this package runs from a git checkout, and not from an installed copy."""
    return (HERE.parents[1] / ".git").exists()


def _stated_revision() -> str | None:
    revision = os.environ.get("MIXNN_REVISION")
    if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
        raise InputError(f"MIXNN_REVISION is {revision!r}: give the 40 digits that `git rev-parse HEAD` says")
    return revision


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this package runs from; None where it says nothing, or there is none."""
    if not _in_checkout():
        return None
    try:
        done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
