"""Lists with one image a line, as the published noisy sets ship them. Must not know: which set it is, torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixnn.errors import InputError


def numbered_lines(path: Path, fix: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of those that are not blank; bytes that are no UTF-8 stay as a file name has them.

    Args:
        fix: the end of the message where the file cannot be read.

    Raises:
        InputError: the file is missing, is no file, or has no lines.
    """
    empty = True
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if line := line.strip():
                    empty = False
                    yield number, line
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {fix}") from error
    if empty:
        raise InputError(f"{path} is empty: {fix}")


def labeled_lines(path: Path, num_classes: int, fix: str) -> Iterator[tuple[str, int]]:
    """(file name, label from 0) of lines such as `google/q0001/a.jpg 0`.

    Raises:
        InputError: the file cannot be read, or a line is something else.
    """
    labels = {str(label): label for label in range(num_classes)}
    for number, line in numbered_lines(path, fix):
        try:
            name, word = line.rsplit(maxsplit=1)
            yield name, labels[word]
        except (ValueError, KeyError):
            expected = f"a file name and a label from 0 to {num_classes - 1}"
            raise InputError(f"{path}, line {number}: {line!r} is not {expected}: {fix}") from None


def first_folder(bases: list[Path], names: tuple[str, ...]) -> Path | None:
    """The first of `names` that is a folder in the first of `bases` that has one."""
    return next((base / name for base in bases for name in names if (base / name).is_dir()), None)
