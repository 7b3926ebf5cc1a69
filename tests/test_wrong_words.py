"""Wrong words for every command: exit code 2, one line that names the option or the value, nothing left in the way."""

import os
from pathlib import Path

import pytest
from contract.command import call
from contract.wrong_words import Wrong, all_wrong, at, write_things

from mixnn.cli.main import COMMANDS
from mixnn.errors import printable

CASES = all_wrong()
SHOWN = 100  # characters of a name that a message has at least


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("things")
    write_things(root)
    return root


def test_there_are_enough() -> None:
    assert len(CASES) >= 250
    assert {case.words[0] for case in CASES} == COMMANDS.keys() - {
        "methods",
        "embed-shards",
    }  # which starts a cluster: tests/test_ray.py


@pytest.mark.slow
@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.encode("unicode_escape").decode())
def test_wrong_words(case: Wrong, things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(things))
    result = call(*(at(things, word) for word in case.words))
    assert result.code == 2
    assert result.out == "" or case.words[0] == "check"  # which tells first, and writes then
    last = result.err.splitlines()[-1]
    assert last.startswith("mixnn: ")
    assert any(printable(at(things, name))[:SHOWN] in last for name in case.named), last
    assert list(tmp_path.iterdir()) == []
    held = [path for path in (things / "new").rglob("*") if path.is_file() and path.name[0] != "."]
    assert sorted(os.listdir(things)) == before or held == [], held
