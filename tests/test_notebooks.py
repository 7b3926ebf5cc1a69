"""The notebooks run as they stand, and what they were stored with is what they give."""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from contract.command import ENVIRONMENT
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "examples/notebooks"


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def executed(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("PYTHONPATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, ENVIRONMENT.get(name, os.environ.get(name, "")))
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    return notebook


def text(notebook: Any) -> str:
    return "".join(output.text for output in outputs(notebook) if output.output_type == "stream")


def test_they_are_stored_with_outputs_and_short() -> None:
    assert {path.stem for path in NOTEBOOKS.iterdir()} == {"find_wrong_labels", "train_and_compare"}
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert all(cell.outputs for cell in notebook.cells[2:] if cell.cell_type == "code"), path
        assert not re.search(r"/(tmp|home|work|root)/", path.read_text(encoding="utf-8")), path
        assert path.stat().st_size < 200_000


@pytest.mark.slow
def test_wrong_labels_of_a_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(nbformat.read(NOTEBOOKS / "find_wrong_labels.ipynb", 4), tmp_path, monkeypatch)
    wrong, listed, right = map(int, re.search(r"(\d+) are wrong; (\d+) are listed, (\d+) of", text(notebook)).groups())
    assert wrong == 32
    assert right / wrong > 0.5
    assert right / listed > 0.5
    pages = [output.data["text/html"] for output in outputs(notebook) if "text/html" in output.get("data", {})]
    assert pages[0].count("<img") == 10
    assert len(outputs(notebook)) < 15  # counters take one line
    assert (tmp_path / "run/report.html").is_file()


@pytest.mark.slow
def test_trained_classifiers_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(nbformat.read(NOTEBOOKS / "train_and_compare.ipynb", 4), tmp_path, monkeypatch)
    plain, wrapped, ours = (float(share) for share in re.findall(r"([\d.]+)%$", text(notebook), re.MULTILINE)[-3:])
    assert min(wrapped, ours) > plain
