"""The cards of the methods say what the methods are."""

import inspect
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mixnn import METHODS

CARDS = Path(__file__).resolve().parents[1] / "docs/methods"
INDEX = CARDS / "README.md"


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
