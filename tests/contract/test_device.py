"""On a device that is not the CPU, such as a GPU: the same results, and no step that waits for it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract.cases import CASES, Case
from torch.utils import backend_registration

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"), reason="needs a newer torch"
    ),
]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What became of each case; in another process, since torch keeps such a device."""
    program = Path(__file__).with_name("elsewhere.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, env=os.environ | {"CI": "1"})
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: what for line in lines for name, what in line.items()}


def test_it_ends_as_on_the_cpu(case: Case, told: dict[str, Any]) -> None:
    assert "error" not in told[case.name], told[case.name]["error"]
    assert told[case.name]["differing"] == []


def test_no_step_waits_for_the_device(case: Case, told: dict[str, Any]) -> None:
    """However many steps an epoch has, the program waits as often: it tells the device ahead what to do."""
    few, many = told[case.name]["waits"]
    assert few
    assert few == many


def test_commands_work_there(told: dict[str, Any]) -> None:
    assert told["command"] == [0, 0, 0]


def test_every_case_was_tried(told: dict[str, Any]) -> None:
    assert set(told) == {case.name for case in CASES} | {"command"}
