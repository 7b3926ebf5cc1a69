"""The Python that the README shows runs as it stands, each block on its own; tables are those of the results."""

import re
from pathlib import Path

import pytest

from benchmarks.suite.results import read_results
from benchmarks.suite.suites import SUITES
from benchmarks.suite.table import render

README = Path(__file__).resolve().parents[1] / "README.md"
PAGES = [README, *sorted((README.parent / "docs").rglob("*.md"))]


def blocks() -> list[object]:
    """One case for each ```python block, named after the line it begins in."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [pytest.param(m[1], id=f"line {text[: m.start()].count(chr(10)) + 1}") for m in found]


def test_there_is_a_readme() -> None:
    assert README.is_file()


@pytest.mark.parametrize("block", blocks())
def test_python_blocks_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), {"__name__": "__main__"})


def test_tables_are_made_of_the_result_files() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.exists())
    found = re.findall(r"^<!-- bench (\S+) -->\n(.*?)^<!-- end -->$", text, re.DOTALL | re.MULTILINE)
    assert found
    for name, table in found:
        assert table == render(SUITES[name], read_results(README.parent / "benchmarks" / "results", SUITES[name]))
