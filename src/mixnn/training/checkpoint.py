"""One file from which a killed run goes on as if nothing had happened. Must not know: methods by name, pictures."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mixnn.distributed.ranks import rank
from mixnn.errors import InputError
from mixnn.methods.base import Method
from mixnn.training.metrics import History
from mixnn.utils.files import Row, as_text, atomic_write


class Checkpoint:
    """State of method, optimizer and schedule at the end of an epoch; an observer of `fit`.

    Args:
        path: the file.
        data: fingerprint of the training data.
        settings: of the run, which `made_with` reads again.

    Attributes:
        rows: of metrics.csv, and
        history: of losses.npz, which the recorder fills: a run goes on whatever became of these files.
    """

    def __init__(
        self,
        path: Path,
        method: Method,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        data: str,
        settings: Mapping[str, Any],
    ) -> None:
        self.path, self.method, self.optimizer, self.scheduler = path, method, optimizer, scheduler
        self.data, self.settings = data, dict(settings)
        self.rows: list[Row] = []
        self.history: History = {}

    def step_done(self, epoch: int, loss: Tensor, samples: int) -> None:
        pass

    def epoch_done(self, epoch: int, loss: float, seconds: dict[str, float]) -> None:
        if rank() == 0:
            self.save(epoch + 1)

    def save(self, epochs_done: int) -> None:
        state = {
            "epochs_done": epochs_done,
            "data": self.data,
            "settings": self.settings,
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "rows": [{name: str(as_text(value)) for name, value in row.items()} for row in self.rows],
            "history": {epoch: [part.tolist() for part in parts] for epoch, parts in self.history.items()},
        }
        kept = "the one before it is kept: " if self.path.exists() else ""
        fix = f"{kept}make room, then repeat the command with --resume"
        with atomic_write(self.path, fix) as temporary, open(temporary, "wb") as file:  # torch's own hide a full disk
            try:
                torch.save(state, file)
            except RuntimeError as error:  # as it closes an archive that could not be written to (torch 2.13)
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load(self) -> int:
        """Take up what was saved; the number of epochs done, 0 where nothing was saved yet.

        Raises:
            InputError: the file is damaged, or was made with other data.
        """
        if not self.path.exists():
            return 0
        with told_when_damaged(self.path):
            with zipfile.ZipFile(self.path) as content:  # torch itself looks at no checksum
                if content.testzip() is not None:
                    raise zipfile.BadZipFile("checksum")
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            data, rows, history = state["data"], state["rows"], state["history"]
        if data != self.data:
            raise InputError(
                f"checkpoint {self.path} was made with other data (images, labels, names or classes differ): "
                "give the same DATA, or a new --out"
            )
        try:
            self.method.load_state_dict(state["method"])
        except RuntimeError as error:
            raise InputError(
                f"checkpoint {self.path} does not fit the network or method: these have changed"
            ) from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.rows[:] = rows
        self.history.update({epoch: (np.array(counts), np.array(fit)) for epoch, (counts, fit) in history.items()})
        return int(state["epochs_done"])


def made_with(path: Path) -> dict[str, Any]:
    """The settings in a checkpoint, read without its tensors.

    Raises:
        InputError: the file is damaged.
    """
    with told_when_damaged(path):
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["settings"])


@contextmanager
def told_when_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(f"checkpoint {path} is damaged: put a copy back, or train with a new --out") from error
