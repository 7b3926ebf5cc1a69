"""Which columns of a table count, and what may stand in them. Must not know: file formats, torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageBytes, ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.file_names import file_names
from mixnn.data.readers.split_columns import split_columns, split_meanings, values_text
from mixnn.data.words import whole_floats
from mixnn.errors import InputError

IMAGE = (
    "file_name",
    "filename",
    "image",
    "image_path",
    "path",
    "file",
    "filepath",
    "file_path",
    "image_name",
    "image_id",
)
LABEL = ("label", "class", "category", "target")
LIKE_LABEL = re.compile(r"(.*_)?(labels?|class(es)?|categor(y|ies)|targets?)(_\d+|_names?|_ids?)?", re.IGNORECASE)
NONE = "none"  # in place of a column: that there is none


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
        header: all its columns.
        places: of those that count.
    """

    names: list[str]
    labels: list[str]
    splits: list[str] | None = None
    lines: Sequence[int] | None = None
    images: ImageBytes | None = None
    classes: list[str] | None = None
    header: Sequence[str] = ()
    places: Places | None = None


def choose(header: Sequence[str], columns: Columns, path: str, *, guess: bool = False) -> Places:
    """The columns that are named, or else have one of the usual names.

    Args:
        path: the table, for messages.
        guess: without a usual name, the only column left has the labels.

    Raises:
        InputError: a column is missing, or is there twice.
    """
    image = _find(header, columns.image, IMAGE, path, "image")
    split = _find(header, columns.split, ("split",), path, "split") if columns.split != NONE else None
    label = _find(header, columns.label, LABEL, path, "label")
    if image is None:
        raise _missing(header, IMAGE, path, "image")
    if columns.split is None and split is None:
        split = next((place for place in split_columns(header) if place not in (image, label)), None)
    if label is None:
        left = [place for place in range(len(header)) if place not in (image, split)]
        like = [place for place in left if LIKE_LABEL.fullmatch(header[place].strip())]
        if len(like) > 1:
            what = f"table {path} has several columns that may be the labels ({_list([header[i] for i in like])})"
            raise InputError(f"{what}: name one with --data.label-column")
        if not like and not (guess and len(left) == 1):
            one_hot = " (has each class a column, of 0 and 1? pandas makes labels of them by `.idxmax(axis=1)`)"
            raise InputError(f"{_missing(header, LABEL, path, 'label')}{one_hot if len(left) > 1 else ''}")
        label = (like or left)[0]
    if label == image:
        raise InputError(f"table {path}: column {header[image]!r} has both images and labels: name two")
    return Places(image, label, split)


def to_source(content: Content, path: str, root: str, columns: Columns) -> Source:
    """The parts of a table, with what there is to say about its columns.

    Args:
        path: the table, for messages.
        columns: what the user says of them.
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
    files, notes = ([], []) if content.images else file_names(content.names, root, f"table {path}")
    whole = Part(content.images or ImageFiles(root, files), whole_numbers(content.labels), content.names)
    meaning, more = _splits(content, path, columns.split)
    notes += [*more, *_label_note(content, path, columns)]
    if not meaning or content.splits is None:
        return Source({"train": whole}, content.classes, notes=notes)
    splits = np.array([meaning[word] for word in content.splits])
    parts = {split: take(whole, np.flatnonzero(splits == split)) for split in dict.fromkeys(meaning.values())}
    if "train" not in parts:
        raise InputError(f"table {path} has no row for training (split: {', '.join(parts)}): write train into some")
    return Source(parts, content.classes, notes=notes)


def _label_note(content: Content, path: str, columns: Columns) -> list[str]:
    """Which column was taken for the labels, where nobody said so."""
    name = "label" if content.places is None else content.header[content.places.label]
    if columns.label is not None or name.strip().lower() in LABEL or not LIKE_LABEL.fullmatch(name.strip()):
        return []
    return [f"table {path}: column {name!r} has the labels; --data.label-column takes another"]


def _splits(content: Content, path: str, named: str | None) -> tuple[dict[str, str], list[str]]:
    """What the words of the column with the parts mean, and what to say; no words where it is not used."""
    used = None if content.splits is None or content.places is None else content.places.split
    meaning: dict[str, str] = {}
    notes = []
    if used is not None and content.splits is not None:
        name, option = content.header[used], "--data.split-column"
        meaning = split_meanings(name, dict.fromkeys(content.splits))
        unknown = [word for word, part in meaning.items() if not part]
        if unknown and (named is not None or name.strip().lower() == "split"):
            at = _where(content, content.splits.index(unknown[0]))
            fix = f"write train, val or test, or give {option} {NONE}"
            raise InputError(f"table {path}, {at}: split {unknown[0]!r} is unknown: {fix}")
        if unknown:
            notes.append(
                f"table {path}: column {name!r} looks like a split and is not used, as {unknown[0]!r} is no part "
                f"(values: {values_text(meaning)}): all rows are for training"
            )
            meaning = {}
        elif any(word.strip().lower() != part for word, part in meaning.items()):
            said = ", ".join(f"{word!r} is {part}" for word, part in meaning.items())
            notes.append(f"table {path}: column {name!r} says the parts, {said}; {option} {NONE} leaves it out")
    if named is None and content.places is not None:
        others = [content.header[place] for place in split_columns(content.header) if place not in content.places]
        if others:
            names = ", ".join(map(repr, others))
            looks, option = "looks" if len(others) == 1 else "look", f"--data.split-column {others[0]}"
            notes.append(f"table {path}: column {names} {looks} like a split and is not used; {option} takes it")
    return meaning, notes


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
