"""Ctrl-C while images are decoded: one line, the documented exit code, no process left, and no waiting."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mixnn.data.images import pool

# A command whose processes have ten seconds of work in each piece.
COMMAND = """
import sys, time, types
import mixnn.cli.main as command_line
from mixnn.data.images.pool import Pool, stopping

def work(piece):
    for _ in range(200):
        if stopping():
            break
        time.sleep(0.05)

def run(words):
    print("begun", flush=True)
    for _ in Pool(work, 2, "--workers").map(range(100)):
        pass

sys.modules["mixnn.cli.check"] = types.SimpleNamespace(run=run)
sys.exit(command_line.main(["check"]))
"""


@pytest.mark.parametrize("delay", [0, 0.002, 0.01, 0.03, 0.1, 1])
def test_ctrl_c(delay):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends it to all processes of a group
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which jobs in the background ignore
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(delay)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert said == "\nmixnn: interrupted; repeat the command\n"
    assert process.returncode == 130
    assert time.monotonic() - began < 8
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_it_may_come_before_the_processes_start(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "uninterrupted", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(pool.Pool(abs, 2, "--workers").map([1]))
