"""What the folders of DATA are: parts, classes, or wrappers around these. Must not know: file contents, torch."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from mixnn.data.readers import Columns
from mixnn.data.readers.columns import LABEL, NONE
from mixnn.data.readers.splits import split_of
from mixnn.data.readers.table import read_header
from mixnn.data.readers.walk import (
    METADATA,
    TABLES,
    entries,
    identity,
    images_below,
    images_in,
    metadata_file,
    subfolders,
)
from mixnn.errors import InputError

RECORD = "corrections_applied"  # a table that `mixnn apply` leaves behind
ASK = "--data.layout classes takes every folder for a class, --data.layout parts passes over what is no part"


class Layout(NamedTuple):
    """Prefixes are what stands in file names before the rest, as `photos/train/`; "" for DATA itself.

    Attributes:
        parts: split -> prefix of its classes, "train" first; empty where one table says it all.
        below: name of a folder in a class -> split, where parts lie there, as `bottle/train/`.
        tables: prefix -> the metadata file that has the labels there.
        notes: what was taken for what, and what is passed over.
    """

    parts: dict[str, str]
    below: dict[str, str]
    tables: dict[str, str]
    notes: list[str]


def find_layout(path: str, columns: Columns) -> Layout:
    """Look at the names of folders, and at the header of a metadata file.

    Raises:
        InputError: a folder cannot be listed, some folders look like parts and some do not, there are parts but none
            to train on, two folders are one part, or --data.layout does not fit.
    """
    notes: list[str] = []
    top = _unwrap(path, "")
    base = os.path.join(path, top).rstrip("/")
    if top:
        notes.append(f"the data is taken from {top}, the only folder in {path}")
    table = metadata_file(base)
    if table is not None and columns.layout in ("classes", "parts"):
        notes.append(f"{table} is not read: --data.layout {columns.layout}")
    elif table is not None and _says_labels(table, columns, notes, has_classes=_has_classes(base)):
        return Layout({}, {}, {top: table}, notes)
    parts = {} if columns.layout == "classes" else _parts(path, top, columns, notes)
    below = {} if parts or columns.layout == "classes" else _parts_below(base, columns, notes)
    tables = {}
    for prefix in parts.values():
        inner = metadata_file(os.path.join(path, prefix))
        if inner is not None and _says_labels(inner, columns, notes, has_classes=_has_classes(os.path.dirname(inner))):
            tables[prefix] = inner
    if columns.layout == "parts" and not (parts or below):
        raise InputError(f"--data.layout parts: no folder in {base} is called like a part: leave it away")
    if columns.layout == "metadata" and not tables:
        raise InputError(f"--data.layout metadata: {base} has no metadata.csv, .jsonl or .parquet: leave it away")
    notes += _passed_over(base, [os.path.join(path, prefix) for prefix in parts.values() if prefix not in tables])
    return Layout(parts or {"train": top}, below, tables, notes)


def tables_in(folder: str) -> list[str]:
    """Names of tables that nothing reads: they have to be DATA themselves."""
    files = sorted(entry.name for entry in entries(folder) if entry.name.lower().endswith(TABLES))
    return [name for name in files if name not in METADATA and not name.startswith(RECORD)]


def some(names: Sequence[str]) -> str:
    """Up to three of them."""
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def images_are(count: int) -> str:
    return "1 image is" if count == 1 else f"{count:,} images are"


def _unwrap(path: str, prefix: str, part: str | None = None, known: Collection[str] = ()) -> str:
    """`prefix`, or longer by folders that stand alone and are no class: `photos/photos/cat`, `seg_test/seg_test/cat`.

    Args:
        part: the split of `prefix`; None where there are no parts above it.
        known: classes.
    """
    seen = set()
    while True:
        folder = os.path.join(path, prefix)
        names = [] if metadata_file(folder) or images_in(folder) else subfolders(folder)
        if len(names) != 1 or names[0] in known:
            return prefix
        (name,), inside = names, os.path.join(folder, names[0])
        double = name == os.path.basename(os.path.abspath(folder)) or (part is not None and split_of(name) == part)
        if part is None and split_of(name) and not double:
            return prefix  # a part, alone
        if identity(inside) in seen or not (double or subfolders(inside) or metadata_file(inside)):
            return prefix
        seen.add(identity(inside))
        prefix += f"{name}/"


def _has_classes(base: str) -> bool:
    """Whether there are class folders in `base`, or in its part to train on."""
    names = subfolders(base)
    if names and all(map(split_of, names)):
        names = [sub for name in names if split_of(name) == "train" for sub in subfolders(os.path.join(base, name))]
    return len(names) > 1


def _says_labels(table: str, columns: Columns, notes: list[str], *, has_classes: bool) -> bool:
    """Whether the labels are those of `table`: it is asked for, has a column called label, or there are no others."""
    header = read_header(table, os.path.splitext(table)[1].removeprefix("."))
    asked = any((columns.image, columns.label, columns.split not in (None, NONE), columns.layout == "metadata"))
    labeled = not {name.strip().lower() for name in header}.isdisjoint(LABEL)
    if not has_classes or not header:
        return True
    if asked or labeled:
        notes.append(f"labels are those of {table}, not of the folders: --data.layout classes takes these")
        return True
    shown = f"{table} has no column called label, only {some(header)}"
    notes.append(f"{shown}: the folders are the classes; --data.label-column NAME takes a column")
    return False


def _parts(path: str, top: str, columns: Columns, notes: list[str]) -> dict[str, str]:
    """Split -> prefix, where the folders below `top` are parts."""
    base = os.path.join(path, top).rstrip("/")
    names = subfolders(base)
    splits = {name: split for name in names if (split := split_of(name))}
    if not splits:
        return {}
    notes += _others(base, list(splits), [name for name in names if name not in splits], columns)
    if "train" not in splits.values():
        fix = "add it, give one part alone, or --data.layout classes where these are classes"
        raise InputError(f"{base} has {', '.join(splits)}, but no train beside them: {fix}")
    folders: dict[str, str] = {}
    parts: dict[str, str] = {}
    for name in sorted(splits, key=lambda name: splits[name] != "train"):
        split = splits[name]
        if split in folders:
            fix = "put their images into one, or move one elsewhere"
            raise InputError(f"{base} has {folders[split]!r} and {name!r}, both for {split}: {fix}")
        folders[split] = name
        known = subfolders(os.path.join(path, parts["train"])) if parts else ()
        prefix = _unwrap(path, f"{top}{name}/", split, known)
        folder = os.path.join(path, prefix)
        if split == "train" or subfolders(folder) or metadata_file(folder):
            parts[split] = prefix
        else:
            notes.append(f"{folder.rstrip('/')} has no class folders: {images_are(len(images_in(folder)))} passed over")
    if any(prefix.lower() != f"{top}{split}/".lower() for split, prefix in parts.items()):
        found = ", ".join(f"{prefix.removeprefix(top).rstrip('/')} is {split}" for split, prefix in parts.items())
        notes.append(f"parts of {base}: {found}; --data.layout classes takes each folder for a class")
    return parts


def _parts_below(base: str, columns: Columns, notes: list[str]) -> dict[str, str]:
    """Name of a folder -> split, where each class has its own parts."""
    inside = {f"{name}/{sub}": sub for name in subfolders(base) for sub in subfolders(os.path.join(base, name))}
    splits = {sub: split for sub in inside.values() if (split := split_of(sub))}
    if not splits:
        return {}
    others = [name for name, sub in inside.items() if sub not in splits]
    others += [f"{name}/{file}" for name in subfolders(base) for file in images_in(os.path.join(base, name))]
    notes += _others(base, [name for name, sub in inside.items() if sub in splits], others, columns)
    if "train" not in splits.values():
        fix = "add it, or --data.layout classes to take all images of a class together"
        raise InputError(f"{base} has {', '.join(splits)} below its classes, but no train beside them: {fix}")
    found = ", ".join(f"{name} is {split}" for name, split in splits.items())
    notes.append(f"parts below the classes of {base}: {found}; --data.layout classes takes a class together")
    return splits


def _others(base: str, parts: list[str], others: list[str], columns: Columns) -> Iterator[str]:
    """What to say of what lies beside parts.

    Raises:
        InputError: nobody has said yet that it is to be passed over.
    """
    if others and columns.layout != "parts":
        raise InputError(f"{base} has {some(parts)}, called like parts of the data, beside {some(others)}: {ASK}")
    if others:
        paths = [os.path.join(base, name) for name in others]
        count = sum(len(images_below(path)) if os.path.isdir(path) else 1 for path in paths)
        yield f"{some(others)} in {base}: {images_are(count)} passed over, as in no part"


def _passed_over(base: str, folders: Sequence[str]) -> Iterator[str]:
    """What lies beside class folders and is not read: images, and tables that may have labels."""
    for folder in {base: None, **dict.fromkeys(folder.rstrip("/") for folder in folders)}:
        if (stray := images_in(folder)) and subfolders(folder):
            yield f"{some(stray)} in {folder}: {images_are(len(stray))} passed over, as in no class folder"
    if tables := tables_in(base):
        yield f"not read: {some(tables)} in {base}; to take labels of a table, give it as DATA, with --data.root {base}"
