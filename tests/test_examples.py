"""The examples run, and do what they are there to show."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mixnn

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


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


@pytest.mark.parametrize(("name", "lines"), [("own_loop", 50), ("new_method", 75), ("pretrained", 60)])
def test_examples_stay_short(name: str, lines: int) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= lines


EVERYWHERE = """
import method_tables
from contract.cases import CASES
from benchmarks.suite.suites import SUITES
from mixnn import METHODS
from mixnn.cli.main import main
from mixnn.cli.train import build_parser

kind = METHODS["smoothed"]
assert "smoothed" in {case.name for case in CASES}
assert "| [`smoothed`](smoothed.md) | Cross-entropy on labels that" in method_tables.overview()
assert "| `smoothed` | not smoothed |" in method_tables.verified()
assert all("smoothed" in SUITES[name].rows for name in ("cpu-small", "frontier"))
assert SUITES["cpu-small"].costs["smoothed"] == kind.cost == 1
assert "--smoothed.smoothing" in build_parser("smoothed").format_help()
main(["methods"])
"""


@pytest.fixture
def package(tmp_path: Path) -> dict[str, str]:
    """The environment of a copy of the package with a file more; the checkout has its tests, docs and benchmarks."""
    shutil.copytree(Path(mixnn.__file__).parent, tmp_path / "mixnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLES / "new_method.py", tmp_path / "mixnn/methods/smoothed.py")
    places = [tmp_path, ROOT, ROOT / "tests", ROOT / "docs"]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}


def run(package: dict[str, str], *words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=package, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_method_is_seen_everywhere_by_its_one_file(package: dict[str, str]) -> None:
    listed = run(package, "-c", EVERYWHERE)
    assert "smoothed   Cross-entropy on labels that give a share away" in listed
    assert "--smoothed.smoothing 0.2" in listed


@pytest.mark.slow
def test_a_new_method_trains_and_keeps_the_contract(package: dict[str, str], tmp_path: Path) -> None:
    words = "train demo: --method smoothed --smoothed.smoothing 0.3 --network mini --limit 100 --epochs 1 --device cpu"
    run(package, "-m", "mixnn", *words.split(), "--out", str(tmp_path / "run"))
    assert "smoothing: 0.3" in (tmp_path / "run/config.yaml").read_text()
    tests = [f"tests/{name}.py" for name in ("contract/test_methods", "contract/test_verified", "test_memory_estimate")]
    done = run(package, "-m", "pytest", "-n", "0", *tests, "-k", "smoothed")
    assert re.search(r"\d+ passed", done)
