"""What a person is told who gets something wrong: exit code 2, one line, nothing left in the way."""

import re
from pathlib import Path

from contract.command import SMALL, Result, call

from mixnn.runs.directory import RunDirectory

FAST = [*SMALL, "--epochs", "1", "--mixnn.warmup", "0", "--mixnn.mixup-until", "0"]  # FAST[2:]: without image size
UNDER_WAY = re.compile(r"mixnn: (loading|reading) |[\d,]+ (images|embeddings) |network |\d+ epochs of ")
PER_CLASS = 11  # one of them held out: enough for no class to be called small
TRAINED_ON = 3 * (PER_CLASS - 1)


def assert_refused(result: Result, *named: object, findings: int = 0) -> None:
    """One line; before it what is under way, and so many about the labels, which `train` looks at first."""
    *before, line = (line for line in result.err.splitlines() if not UNDER_WAY.match(line))
    assert (result.code, len(before)) == (2, findings), result
    assert all(finding.startswith("mixnn: wrong: ") for finding in before)
    assert line.startswith("mixnn: ")
    for thing in named:
        assert str(thing) in line
    assert len(line) < 600


def refuse_to_train(out: Path, *words: object, named: tuple[object, ...], findings: int = 0) -> Result:
    result = call("train", *words, "--out", out)
    assert_refused(result, *named, findings=findings)
    RunDirectory(out).check_free()  # raises where the next try would be turned away
    return result
