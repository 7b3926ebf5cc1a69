"""The examples run, and do what they are there to show."""

import re
import runpy
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_learn(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same figures wherever this runs
    runpy.run_path(str(path), run_name="__main__")
    torch.set_num_threads(threads)
    shown = capsys.readouterr().out
    accuracy = re.search(r"accuracy[^\d]*([\d.]+)%", shown)
    assert accuracy, shown
    assert float(accuracy[1]) > 90


@pytest.mark.parametrize(("name", "lines"), [("own_loop", 50), ("new_method", 60), ("pretrained", 60)])
def test_examples_stay_short(name: str, lines: int) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= lines
