"""Lines of code without comments, docstrings and blanks, room by room.

python benchmarks/lines_of_code.py [src/mixnn]
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """How many lines hold code: a string over ten lines is ten, a docstring none."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "src/mixnn")
    rooms: Counter[str] = Counter()
    for file in root.rglob("*.py"):
        inside = file.relative_to(root)
        rooms[inside.parts[0] if len(inside.parts) > 1 else "."] += code_lines(file.read_text(encoding="utf-8"))
    for room, lines in sorted(rooms.items()):
        print(f"{room:20} {lines:6}")
    print(f"{'all':20} {sum(rooms.values()):6}")


if __name__ == "__main__":
    main()
