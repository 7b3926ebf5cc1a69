"""The cards of the methods say what the methods are; pages can be read, and lead to each other."""

import inspect
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mixnn import METHODS

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "docs/methods"
INDEX = CARDS / "README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "benchmarks/README.md", ROOT / "benchmarks/speed/README.md", ROOT / "benchmarks/real_errors/README.md"]


def code_words(file: Path) -> set[str]:
    """What stands between backticks."""
    return set(re.findall(r"`([^`\n]+)`", file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", METHODS)
def test_a_card_explains_every_option(name: str) -> None:
    card = CARDS / f"{name}.md"
    assert re.search(rf"^# .+ \(`{name}`\)$", card.read_text(encoding="utf-8"), re.MULTILINE)
    patterns = code_words(card) - {"*"}  # `gmm_*` stands for all that begin so
    parameters = inspect.signature(METHODS[name]).parameters.values()
    options = [option.name for option in parameters if option.kind is option.KEYWORD_ONLY]
    assert [option for option in options if not any(fnmatch(option, pattern) for pattern in patterns)] == []


def test_every_card_is_of_a_method() -> None:
    assert {card.stem for card in CARDS.glob("*.md")} - {INDEX.stem} == set(METHODS)


def test_the_index_lists_every_method_once() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\((\S+)\) \|", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted((name, f"{name}.md") for name in METHODS)


def test_the_index_counts_networks() -> None:
    counts = re.findall(r"^\| \[`(\w+)`\][^|]*\|[^|]*\| (\d) \|", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(count) for name, count in counts} == {name: kind.network_count for name, kind in METHODS.items()}


def test_pages_can_be_read() -> None:
    """Length of sentences, size of the README: the limits stand in docs/prose.py."""
    result = subprocess.run([sys.executable, ROOT / "docs/prose.py"], capture_output=True, text=True)
    assert (result.returncode, result.stderr.strip()) == (0, ""), result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        file = page.parent / target if target else page
        if file == ROOT / "docs/api.md":  # made from the docstrings by docs/hooks.py
            continue
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{target}#{anchor}"


def test_the_site_has_every_page() -> None:
    menu = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")} <= menu


def test_pages_for_users_have_no_revisions_and_american_spelling() -> None:
    words = re.compile(
        r"one-off|\brevision [0-9a-f]{7}|(?:neighbo|colo|behavio)ur|[^l]abelled\b|\bgrey\b|\blearnt\b|by heart", re.I
    )
    for page in PAGES:
        if not page.name.startswith("20"):  # a study, which stays as it is
            assert words.findall(page.read_text(encoding="utf-8")) == [], page
