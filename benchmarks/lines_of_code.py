"""How much code there is: lines of Python without comments, docstrings and blanks, by folder.

python benchmarks/lines_of_code.py src/mixnn
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(text: str) -> int:
    """Lines that hold a piece of code, and not only a part of a docstring."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    counts: Counter[str] = Counter()
    for file in folder.rglob("*.py"):
        counts[file.relative_to(folder).parts[0]] += lines_of_code(file.read_text(encoding="utf-8"))
    for name, count in counts.most_common():
        print(f"{count:>7,}  {name}")
    print(f"{counts.total():>7,}  in all")


if __name__ == "__main__":
    main()
