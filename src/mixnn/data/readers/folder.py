"""Image folders: one sub-folder a class, or Hugging Face's metadata file beside the images.

Must not know: how to decode, torch.
"""

from __future__ import annotations

import os

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.images.formats import Listing
from mixnn.data.readers import Columns
from mixnn.data.readers.columns import Content, choose, is_utf8, to_source
from mixnn.data.readers.layout import Layout, find_layout, images_are, some, tables_in
from mixnn.data.readers.record_columns import take
from mixnn.data.readers.splits import split_of
from mixnn.data.readers.table import read_content
from mixnn.data.readers.walk import identity, images_below, subfolders
from mixnn.errors import InputError


def read_folder(path: str, columns: Columns) -> Source:
    """`path`/[train|val|test/]class/…/image.jpg, or metadata.csv, .jsonl or .parquet in place of class folders.

    See `mixnn.data.readers.layout` for what counts as what. A file is opened only where its name does not say whether
    it is an image; what is none is passed over, and told. Links to folders are followed. The order is torchvision's
    `ImageFolder`: class by class, as arrays of labels come.

    Raises:
        InputError: the folder is missing, has no class folders or a class without images, a folder cannot be listed
            or is called like a part where others are not, a metadata file is damaged, there are parts but none to
            train on, or a held-out part has a class of its own.
    """
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist: give a folder with one sub-folder for each class")
    if not os.path.isdir(path):
        raise InputError(f"{path} is a file: give a folder of images, or csv:{path} for a list")
    columns.refuse(f"does not go with a folder: file names are relative to {path}", ("root",))
    layout = find_layout(path, columns)
    if not layout.tables:
        columns.refuse(f"does not go with {path}, which has no metadata file")
    notes = list(layout.notes)
    if not layout.parts:
        ((top, table),) = layout.tables.items()
        content = _read_metadata(table, columns)
        source = to_source(content, table, os.path.join(path, top), columns)
        if content.splits is None and columns.layout is None:
            source = _by_first_folder(source, table)
        notes += [*source.notes, *_unlisted(content, table)]
        return source._replace(parts={name: _below(part, top) for name, part in source.parts.items()}, notes=notes)
    parts: dict[str, Part] = {}
    for split, prefix in layout.parts.items():
        if prefix in layout.tables:
            table = layout.tables[prefix]
            content = _read_metadata(table, columns)._replace(splits=None)  # the folder says it
            source = to_source(content, table, os.path.join(path, prefix), columns)
            parts[split] = _below(source.parts["train"], prefix)
            notes += [*source.notes, *_unlisted(content, table)]
        else:
            parts[split] = _read_classes(path, prefix, layout)
            _check_classes(parts, split, os.path.join(path, prefix))
    for split in dict.fromkeys(layout.below.values()):
        parts[split] = _read_classes(path, layout.parts["train"], layout, split)
        _check_classes(parts, split, f"part {split} of {path}")
    return Source(parts, notes=notes)


def _check_classes(parts: dict[str, Part], split: str, where: str) -> None:
    """Raise InputError where a part has a class that nothing is trained on."""
    new = sorted(set(parts[split].labels) - set(parts["train"].labels))
    if new:
        raise InputError(f"{where} has class {new[0]!r}, which train has not: rename it, or move it elsewhere")


def _read_classes(path: str, prefix: str, layout: Layout, below: str | None = None) -> Part:
    """Class folders in `path`/`prefix`.

    Args:
        below: the split to read, where each class has its own parts.
    """
    folder = os.path.join(path, prefix)
    seen = {identity(os.path.join(path, other)) for other in ("", *layout.parts.values())}  # not entered from below
    classes = [name for name in subfolders(folder) if identity(os.path.join(folder, name)) not in seen]
    if not classes:
        raise InputError(f"{folder} has no sub-folders: {_fix_no_classes(folder)}")
    seen |= {identity(os.path.join(folder, name)) for name in classes}
    listing = Listing()
    names: list[str] = []
    labels: list[str] = []
    for name in classes:
        if not is_utf8(name):
            raise InputError(f"class folder {os.path.join(folder, name)!r} has a name that is not UTF-8: rename it")
        inner = [f"{name}/"] if below is None else [f"{name}/{sub}/" for sub, of in layout.below.items() if of == below]
        inner = [one for one in inner if os.path.isdir(os.path.join(folder, one))]
        files = [one + file for one in inner for file in images_below(os.path.join(folder, one), seen, listing)]
        if not files and below in (None, "train"):
            fix = "put some there, or move it out of the data"
            raise InputError(f"class folder {os.path.join(folder, name)} has no images{listing.last_words()}: {fix}")
        names += [prefix + file for file in files]
        labels += [name] * len(files)
    listing.tell(folder)
    return Part(ImageFiles(path, names), labels, names, listing.below(path))


def _fix_no_classes(folder: str) -> str:
    tables = tables_in(folder)
    if tables:
        return f"give {os.path.join(folder, tables[0])} as DATA if it has the labels, with --data.root for the images"
    return "put the images of each class into a folder of its own, or a metadata.csv beside them"


def _read_metadata(path: str, columns: Columns) -> Content:
    kind = os.path.splitext(path)[1].removeprefix(".")
    return read_content(path, kind, lambda header: choose(header, columns, path, guess=True))


def _below(part: Part, prefix: str) -> Part:
    """With names that begin with `prefix`."""
    return part._replace(names=[prefix + name for name in part.names]) if prefix else part


def _unlisted(content: Content, table: str) -> list[str]:
    """How many images beside a table it does not name, and how many rows name nothing."""
    if content.images is not None:
        return []
    folder = os.path.dirname(table)
    listed = {os.path.normpath(name) for name in content.names}
    found = images_below(folder)
    more = [name for name in found if os.path.normpath(name) not in listed]
    missing = [name for name in content.names if not os.path.exists(os.path.join(folder, name))]
    notes = []
    if more:
        told = f"{table} lists {len(found) - len(more):,} of {len(found):,} images"
        notes.append(f"{told}: {images_are(len(more))} passed over, such as {more[0]}")
    if missing:
        notes.append(f"{table} has {len(missing):,} rows without a file, such as {missing[0]}")
    return notes


def _by_first_folder(source: Source, table: str) -> Source:
    """Parts where file names begin with the folder of one.

    Raises:
        InputError: some do and some do not, or none is to train on.
    """
    whole = source.parts["train"]
    firsts = [os.path.normpath(name).rpartition("/")[0].partition("/")[0] for name in whole.names]
    splits = {first: split_of(first) for first in dict.fromkeys(firsts)}
    likely = [first for first, split in splits.items() if split]
    if not likely:
        return source
    found = list(dict.fromkeys(split for split in splits.values() if split))
    if len(likely) < len(splits) or "train" not in found:
        others = [first or "images in no folder" for first, split in splits.items() if not split]
        beside = f"beside {some(others)}" if others else "but none to train on"
        fix = "add a column split, or --data.layout metadata to train on all"
        raise InputError(f"{table} has images in {some(likely)}, called like parts of the data, {beside}: {fix}")
    rows = np.array([found.index(splits[first] or "") for first in firsts])
    return source._replace(parts={split: take(whole, np.flatnonzero(rows == i)) for i, split in enumerate(found)})
