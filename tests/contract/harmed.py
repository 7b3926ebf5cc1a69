"""`python -m contract.harmed` is `python -m mixnn`, where the last rank comes to harm in the middle of an epoch.

It does so once: where the launcher starts all again, they are left alone. MIXNN_HARM says how and when, as kill:2, with
epochs counted from 0.
"""

import os
import signal
import time

from torch import Tensor

from mixnn.cli.main import entry
from mixnn.errors import InputError
from mixnn.training.metrics import Recorder

HOW, EPOCH = os.environ["MIXNN_HARM"].split(":")
LAST = int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1
AGAIN = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
as_ever = Recorder.step_done


def step_done(self: Recorder, epoch: int, loss: Tensor, samples: int) -> None:
    as_ever(self, epoch, loss, samples)
    if LAST and not AGAIN and epoch == int(EPOCH) and self.samples > samples:  # the second step
        harm()


def harm() -> None:
    if HOW == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if HOW == "hang":  # and a person, or the cluster, ends the launcher
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(600)
    raise InputError("no paper: buy some") if HOW == "refuse" else ArithmeticError("no ink")


if __name__ == "__main__":
    Recorder.step_done = step_done  # type: ignore[method-assign]
    entry()
