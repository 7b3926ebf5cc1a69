"""Which columns of a table count, and what may stand in them. Must not know: file formats, torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.splits import split_of
from mixnn.data.words import whole_floats
from mixnn.errors import InputError

IMAGE = ("file_name", "filename", "image", "image_path", "path", "file")
LABEL = ("label", "class", "category", "target")


class Places(NamedTuple):
    """Where the columns that count stand in a header; `split` is None where no column says it."""

    image: int
    label: int
    split: int | None


Choose = Callable[[Sequence[str]], Places]  # header -> places


class Content(NamedTuple):
    """What a table says, N rows.

    Attributes:
        names: file names, or stand-ins where `images` is there.
        labels: words; "" where there is none.
        splits: words as the table has them; None where it has no such column.
        lines: where each row ends in the file, from 1; None where it has no lines.
        images: those inside the table; None where `names` are files.
        classes: names in their order, where the table says them.
    """

    names: list[str]
    labels: list[str]
    splits: list[str] | None = None
    lines: Sequence[int] | None = None
    images: ImageBytes | None = None
    classes: list[str] | None = None


def choose(header: Sequence[str], columns: Columns, path: str, *, guess: bool = False) -> Places:
    """The columns that are named, or else have one of the usual names.

    Args:
        path: the table, for messages.
        guess: without a usual name, the only column left has the labels.

    Raises:
        InputError: a column is missing, or is there twice.
    """
    image = _find(header, columns.image, IMAGE, path, "image")
    split = _find(header, columns.split, ("split",), path, "split")
    label = _find(header, columns.label, LABEL, path, "label")
    if image is None:
        raise _missing(header, IMAGE, path, "image")
    if label is None:
        left = [place for place in range(len(header)) if place not in (image, split)]
        if not guess or len(left) != 1:
            one_hot = " (has each class a column, of 0 and 1? pandas makes labels of them by `.idxmax(axis=1)`)"
            raise InputError(f"{_missing(header, LABEL, path, 'label')}{one_hot if len(left) > 1 else ''}")
        label = left[0]
    if label == image:
        raise InputError(f"table {path}: column {header[image]!r} has both images and labels: name two")
    return Places(image, label, split)


def to_source(content: Content, path: str, root: str) -> Source:
    """The parts of a table.

    Args:
        path: the table, for messages.
        root: the folder that file names are relative to.

    Raises:
        InputError: there are no rows, none is for training, a file name is empty, a label is not
            UTF-8, or a split has no meaning here.
    """
    if not content.names:
        raise InputError(f"table {path} has no rows: add one for each image")
    if "" in content.names:
        at = _where(content, content.names.index(""))
        raise InputError(f"table {path}, {at}: the file name is empty: fill it in")
    for word in dict.fromkeys(content.labels):
        if not is_utf8(word):
            at = _where(content, content.labels.index(word))
            raise InputError(f"table {path}, {at}: label {word!r} is not UTF-8: save the table as UTF-8")
    whole = Part(content.images or ImageFiles(root, content.names), whole_numbers(content.labels), content.names)
    if content.splits is None:
        return Source({"train": whole}, content.classes)
    meaning = {}
    for word in dict.fromkeys(content.splits):
        meaning[word] = split_of(word) or ""
        if not meaning[word]:
            at = _where(content, content.splits.index(word))
            raise InputError(
                f"table {path}, {at}: split {word!r} is unknown: write train, val or test, or rename the column"
            )
    splits = np.array([meaning[word] for word in content.splits])
    parts = {split: take(whole, np.flatnonzero(splits == split)) for split in dict.fromkeys(meaning.values())}
    if "train" not in parts:
        raise InputError(f"table {path} has no row for training (split: {', '.join(parts)}): write train into some")
    return Source(parts, content.classes)


def whole_numbers(labels: Sequence[str]) -> list[str]:
    """The labels of a column, without the `.0` that a table program gave to all of them."""
    whole = whole_floats(labels)
    return [whole.get(label, label) for label in labels]


def take(part: Part, rows: NDArray[np.int64]) -> Part:
    """These rows of a part whose labels are words."""
    order = rows.tolist()
    return Part(part.images[rows], [part.labels[row] for row in order], [part.names[row] for row in order])


def is_utf8(word: str) -> bool:
    """Whether `word` can be written down; bytes that are no text were let through as surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _find(header: Sequence[str], named: str | None, usual: Sequence[str], path: str, kind: str) -> int | None:
    wanted = usual if named is None else [named]
    plain = [name.strip().lower() for name in header] if named is None else header
    for word in wanted:
        if plain.count(word) > 1:
            fix = f"rename one, or name it with --data.{kind}-column" if named is None else "rename one"
            raise InputError(f"table {path} has {plain.count(word)} columns {word!r} ({_list(header)}): {fix}")
        if word in plain:
            return plain.index(word)
    if named is not None:
        fix = "name one that it has"
        raise InputError(f"--data.{kind}-column: table {path} has no column {named!r} ({_list(header)}): {fix}")
    return None


def _missing(header: Sequence[str], usual: Sequence[str], path: str, kind: str) -> InputError:
    what = f"{kind} column ({', '.join(usual)})"
    return InputError(f"table {path} has no {what}, it has {_list(header)}: name it with --data.{kind}-column")


def _list(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:20])) + (" …" if len(header) > 20 else "") or "no columns"


def _where(content: Content, row: int) -> str:
    return f"row {row + 1}" if content.lines is None else f"line {content.lines[row]}"
