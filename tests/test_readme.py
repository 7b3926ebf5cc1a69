"""The Python that pages show runs as it stands; tables are those of the results."""

import re
from pathlib import Path

import pytest

from benchmarks.suite.results import read_results
from benchmarks.suite.suites import SUITES
from benchmarks.suite.table import render

ROOT = Path(__file__).resolve().parents[1]
ALONE = [ROOT / "README.md", ROOT / "docs/quickstart.md", ROOT / "docs/annotators.md"]  # their blocks stand alone
TABLES = ROOT / "benchmarks/RESULTS.md"


def blocks(page: Path) -> list[tuple[int, str]]:
    """The ```python blocks of a page, each with the line it begins in."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text[: m.start()].count("\n") + 2, m[1]) for m in found]


def run(page: Path, line: int, block: str, names: dict[str, object]) -> None:
    """The block, with the page's own line numbers in a traceback."""
    exec(compile("\n" * (line - 1) + block, str(page), "exec"), names)


@pytest.mark.parametrize(
    ("page", "line", "block"),
    [pytest.param(page, *found, id=f"{page.name} line {found[0]}") for page in ALONE for found in blocks(page)],
)
def test_python_blocks_run(page: Path, line: int, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page, line, block, {"__name__": "__main__"})


def test_blocks_of_the_api_page_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, names = ROOT / "docs/python-api.md", {"__name__": "__main__"}
    for line, block in blocks(page):
        run(page, line, block, names)
    assert names["again"].is_label_issue.sum() == 0
    assert "wrong.png" in (tmp_path / "runs/first/label_issues.csv").read_text(encoding="utf-8")


def test_blocks_of_the_page_for_users_of_cleanlab_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, names = ROOT / "docs/from-cleanlab.md", {"__name__": "__main__"}
    for line, block in blocks(page):
        run(page, line, block, names)
    assert sorted(names["ranked"]) == list(range(8))
    assert sorted(names["by_both"].ranking[:8]) == sorted(names["by_probs"].ranking[:8]) == list(range(8))
    assert names["given_true"].sum(0).round(6).tolist() == [1, 1, 1]
    assert names["classifier"].score(names["features"], names["truth"]) > 0.99
    assert list(names["issues"].columns) == list(names["table"].columns)


def test_tables_are_made_of_the_result_files() -> None:
    found = re.findall(
        r"^<!-- bench (\S+) -->\n(.*?)^<!-- end -->$", TABLES.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(found) == 3
    for name, table in found:
        assert table == render(SUITES[name], read_results(ROOT / "benchmarks" / "results", SUITES[name]))


def test_tables_of_annotators_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from annotators import RESULTS, tables

    text = TABLES.read_text(encoding="utf-8")
    assert f"<!-- annotators -->\n\n{tables(RESULTS)}\n<!-- end -->" in text


def test_tables_of_real_label_mistakes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from real_errors.results import read
    from real_errors.table import END, SHORT, START, markdown, short_table

    columns = read(ROOT / "benchmarks/results/real_errors", "report")
    assert f"{START}\n\n{markdown(columns, 'mixnn')}\n{END}" in TABLES.read_text(encoding="utf-8")
    assert f"{SHORT}\n\n{short_table(columns)}\n{END}" in ALONE[0].read_text(encoding="utf-8")
