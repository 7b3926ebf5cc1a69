"""Count the sentences of all pages: `python docs/prose.py`. Ends with 1 where a page breaks a limit, and says which.

A sentence ends at `.`, `!` or `?` before a space; list items and paragraphs end one, too. Code blocks, tables,
headings, bold lead-ins, pictures, comments and front matter are no prose. A word is what stands between spaces.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MEAN, LONGEST = 18, 40  # words of a sentence
README_LINES, README_WORDS = 110, 750  # all of the file, as `wc` counts
OTHERS = (
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "benchmarks/real_errors/README.md",
    "benchmarks/speed/README.md",
)
ABBREVIATIONS = re.compile(r"\b(?:al|e\.g|i\.e|vs|Eq|Ann|Inst|Statist|Math)\.$")


class Page(NamedTuple):
    """A page by its name, and how many words each of its sentences has."""

    name: str
    sentences: list[tuple[int, str]]

    @property
    def words(self) -> int:
        return sum(count for count, _ in self.sentences)

    @property
    def mean(self) -> float:
        return self.words / len(self.sentences) if self.sentences else 0.0

    @property
    def longest(self) -> tuple[int, str]:
        return max(self.sentences, default=(0, ""))

    def broken(self) -> list[str]:
        """What is wrong with the page, in words."""
        found = [f"mean sentence has {self.mean:.1f} words, at most {MEAN}"] if self.mean > MEAN else []
        return found + [f"{count} words: {text}" for count, text in self.sentences if count > LONGEST]


def prose(text: str) -> list[str]:
    """Paragraphs and list items, each as one line."""
    text = re.sub(r"\A---\n.*?^---\n", "", text, flags=re.DOTALL | re.MULTILINE)  # front matter
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^( *)(```+|~~~+).*?^\1\2 *$", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks, block = [], ""
    for line in [*text.splitlines(), ""]:
        bare = line.strip()
        ends = not bare or bare.startswith(("|", "#", ":::", "!["))
        if (ends or re.match(r"([*+-]|\d+\.) ", bare)) and block:
            blocks.append(block)
            block = ""
        if not ends and (block or not line.startswith("    ")):  # four spaces before: code
            block = f"{block} {bare}".strip()
    return [re.sub(r"^([*+-]|\d+\.) ", "", block) for block in blocks]


def sentences(block: str) -> list[str]:
    """The sentences of a paragraph, without its marks."""
    block = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", block)  # a link is its words
    block = re.sub(r"^\*\*[^*]{1,60}[.:]\*\*\s", "", block)  # a heading inside a paragraph
    found, sentence = [], ""
    for part in re.split(r"(?<=[.!?])[*_)\"”]*\s+", block):
        sentence = f"{sentence} {part}".strip()
        if not ABBREVIATIONS.search(sentence):
            found.append(sentence)
            sentence = ""
    return [text for text in [*found, sentence] if re.search(r"\w", text)]


def read(path: Path) -> Page:
    texts = [text for block in prose(path.read_text(encoding="utf-8")) for text in sentences(block)]
    return Page(path.relative_to(ROOT).as_posix(), [(len(text.split()), text) for text in texts])


def pages() -> list[Page]:
    """All pages of docs/, and those beside it that are written by hand."""
    files = [ROOT / name for name in OTHERS] + sorted((ROOT / "docs").rglob("*.md"))
    return [read(file) for file in files if file.is_file()]


def size_of_readme() -> tuple[int, int]:
    """Lines, and words of all kinds."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return len(text.splitlines()), len(text.split())


def readme_broken() -> list[str]:
    lines, words = size_of_readme()
    found = [f"{lines} lines, at most {README_LINES}"] if lines > README_LINES else []
    return found + ([f"{words} words, at most {README_WORDS}"] if words > README_WORDS else [])


def main() -> int:
    print(f"{'words':>6} {'mean':>5} {'longest':>7}  page")
    broken = [f"README.md: {what}" for what in readme_broken()]
    for page in pages():
        print(f"{page.words:6} {page.mean:5.1f} {page.longest[0]:7}  {page.name}")
        broken += [f"{page.name}: {what}" for what in page.broken()]
    print("README.md: {} lines, {} words in all".format(*size_of_readme()))
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
