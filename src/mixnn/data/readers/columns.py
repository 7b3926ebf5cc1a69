"""Which columns of a table count, and what may stand in them. Must not know: file formats, torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import EncodedImages, ImageBytes, ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.file_names import file_names
from mixnn.data.readers.record_columns import (
    ID,
    column_list,
    record_notes,
    row_names,
    take,
    text_places,
    value_places,
    without_empty,
)
from mixnn.data.readers.split_columns import split_columns, split_meanings, values_text
from mixnn.data.records.records import Records
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
    """Where the columns that count stand in a header; `split` is None where no column says it.

    Without images, `fields` are the texts or values of a record, the first of them being `image` too, and `id` is what
    it is called.
    """

    image: int
    label: int
    split: int | None
    fields: tuple[int, ...] = ()
    id: int | None = None


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
        records: texts or values in place of images, and then `names` are numbers of rows; None where there are images.
    """

    names: list[str]
    labels: list[str]
    splits: list[str] | None = None
    lines: Sequence[int] | None = None
    images: ImageBytes | None = None
    classes: list[str] | None = None
    header: Sequence[str] = ()
    places: Places | None = None
    records: list[tuple[str, ...]] | None = None


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
    texts = () if guess else text_places(header, columns, image, path)
    if columns.table is not None or texts:
        image = texts[0] if texts else None
    elif image is None:
        raise _missing(header, IMAGE, path, "image")
    if columns.split is None and split is None:
        split = next((place for place in split_columns(header) if place not in (image, label, *texts)), None)
    if label is None:
        left = [place for place in range(len(header)) if place not in (image, split, *texts)]
        like = [place for place in left if LIKE_LABEL.fullmatch(header[place].strip())]
        if len(like) > 1:
            what = f"table {path} has several columns that may be the labels ({column_list([header[i] for i in like])})"
            raise InputError(f"{what}: name one with --data.label-column")
        if not like and not (guess and len(left) == 1):
            one_hot = " (has each class a column, of 0 and 1? pandas makes labels of them by `.idxmax(axis=1)`)"
            raise InputError(f"{_missing(header, LABEL, path, 'label')}{one_hot if len(left) > 1 else ''}")
        label = (like or left)[0]
    if columns.table is not None or texts:
        own = _find(header, columns.id, ID, path, "id")
        fields = texts or value_places(header, str(columns.table), (label, split, own), path)
        if label in fields:
            both = f"column {header[label]!r} has both {'texts' if texts else 'values'} and labels"
            raise InputError(f"table {path}: {both}: name the labels with --data.label-column")
        return Places(fields[0], label, split, fields, own)
    assert image is not None
    if label == image:
        raise InputError(f"table {path}: column {header[image]!r} has both images and labels: name two")
    return Places(image, label, split)


def needed(places: Places) -> list[int]:
    """The columns to read, in the order that `content_of` wants them in."""
    first = [] if places.fields else [places.image]
    return [place for place in (*first, places.label, places.split, places.id, *places.fields) if place is not None]


def content_of(places: Places, columns: Sequence[list[str]]) -> Content:
    """What stands in the columns `needed`, as words."""
    rest = iter(columns)
    names = [] if places.fields else next(rest)
    labels, splits = next(rest), None if places.split is None else next(rest)
    if not places.fields:
        return Content(names, labels, splits)
    ids = [] if places.id is None else next(rest)
    return Content(row_names(ids, len(labels)), labels, splits, records=list(zip(*rest, strict=True)))


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
        raise InputError(
            f"table {path} has no rows: add one for each {'image' if content.records is None else 'sample'}"
        )
    if "" in content.names:
        at = _where(content, content.names.index(""))
        raise InputError(f"table {path}, {at}: the file name is empty: fill it in")
    for word in dict.fromkeys(content.labels):
        if not is_utf8(word):
            at = _where(content, content.labels.index(word))
            raise InputError(f"table {path}, {at}: label {word!r} is not UTF-8: save the table as UTF-8")
    images: EncodedImages
    if content.records is not None:
        assert content.places is not None
        fields = [content.header[place] for place in content.places.fields]
        records = Records("text" if columns.table is None else "row", fields, content.records)
        images, notes = records, record_notes(records, f"table {path}", named=columns.text is not None)
    else:
        files, notes = ([], []) if content.images else file_names(content.names, root, f"table {path}")
        images = content.images or ImageFiles(root, files)
    whole = Part(images, whole_numbers(content.labels), content.names)
    meaning, more = _splits(content, path, columns.split)
    notes += [*more, *_label_note(content, path, columns)]
    if not meaning or content.splits is None:
        return Source({"train": without_empty(whole)}, content.classes, notes=notes)
    splits = np.array([meaning[word] for word in content.splits])
    parts = {
        split: without_empty(take(whole, np.flatnonzero(splits == split))) for split in dict.fromkeys(meaning.values())
    }
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
            raise InputError(f"table {path} has {plain.count(word)} columns {word!r} ({column_list(header)}): {fix}")
        if word in plain:
            return plain.index(word)
    if named is not None:
        fix = "name one that it has"
        raise InputError(f"--data.{kind}-column: table {path} has no column {named!r} ({column_list(header)}): {fix}")
    return None


def _missing(header: Sequence[str], usual: Sequence[str], path: str, kind: str) -> InputError:
    what = f"{kind} column ({', '.join(usual)})"
    more = ", texts with --data.text-column, values with --data.columns" if kind == "image" else ""
    return InputError(
        f"table {path} has no {what}, it has {column_list(header)}: name it with --data.{kind}-column{more}"
    )


def _where(content: Content, row: int) -> str:
    return f"row {row + 1}" if content.lines is None else f"line {content.lines[row]}"
