"""DATA in pieces that are worked on by themselves, the same whatever the number of workers.

What mixnn reads is cut by rows. Folders of images, of Parquet and of WebDataset tars, also those in object stores, are
read through fsspec, piece by piece. Must not know: Ray, networks, torch.
"""

from __future__ import annotations

import importlib
import os
import tarfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mixnn.config import DataOptions
from mixnn.data.dataset import Samples
from mixnn.data.images.encoded import ImageBytes
from mixnn.data.read import columns_of, read
from mixnn.data.readers.columns import choose
from mixnn.data.readers.parquet import hub_classes, import_arrow, word
from mixnn.errors import InputError
from mixnn.utils.console import note

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
LABEL = "cls"  # the ending of labels in WebDataset


class Sample(NamedTuple):
    """An image that is still encoded, with its label as a word; "" where there is none."""

    name: str
    content: bytes
    label: str


class Labeled(NamedTuple):
    """A piece that was read: n samples, and a word for each label."""

    samples: Samples
    words: list[str]


class RowPiece(NamedTuple):
    """Some rows of data that mixnn reads; every worker opens its files."""

    samples: Samples
    words: list[str]

    def read(self, data: DataOptions) -> Labeled:
        return Labeled(self.samples, self.words)


class FilePiece(NamedTuple):
    """Files that fsspec opens: one tar, some groups of rows of one table, or some images.

    Attributes:
        root: the address as it was given.
        files: inside it.
        groups: of the table.
    """

    root: str
    files: list[str]
    groups: list[int]

    def read(self, data: DataOptions) -> Labeled:
        """Raises InputError where a file is damaged, or lacks what it needs."""
        files, top = filesystem(self.root)
        name = self.files[0]
        try:
            if name.endswith(".tar"):
                found = tar_samples(files, name, data)
            elif name.endswith(".parquet"):
                found = table_samples(files, name, self.groups, data)
            else:
                found = [
                    Sample(name.removeprefix(top).lstrip("/"), files.cat_file(name), name.split("/")[-2])
                    for name in self.files
                ]
        except (OSError, tarfile.TarError, EOFError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{name} cannot be read ({why}): copy it whole, or leave it out") from error
        images = ImageBytes([sample.content or None for sample in found], f"{self.root} {self.files} {self.groups}")
        labels = np.zeros(len(found), np.int64)
        return Labeled(Samples(images, labels, [sample.name for sample in found]), [sample.label for sample in found])


Piece = RowPiece | FilePiece


def pieces_of(source: str, data: DataOptions, size: int) -> list[Piece]:
    """All of `source`, about `size` samples in each; one tar is one piece.

    Raises:
        InputError: it cannot be read, or holds no images.
    """
    if "://" in source or is_folder_of_files(source):
        return file_pieces(source, size)
    dataset = read(source, data)
    if dataset.heldout is not None or dataset.others:
        note(f"the training part of {source} is taken")
    train = dataset.train
    words = [dataset.classes[label] if label >= 0 else "" for label in train.labels.tolist()]
    if isinstance(train.images, np.ndarray) and train.images.ndim == 2:
        raise InputError(f"{source} has embeddings already: `mixnn find {source}` takes them as they are")
    rows = [slice(start, start + size) for start in range(0, len(train), size)]
    return [RowPiece(train[part], words[part]) for part in rows]


def is_folder_of_files(source: str) -> bool:
    """Whether all of a folder is tars, or tables."""
    if not os.path.isdir(source):
        return False
    endings = {os.path.splitext(entry.name)[1] for entry in os.scandir(source) if not entry.name.startswith(".")}
    return endings in ({".tar"}, {".parquet"})


def filesystem(source: str) -> tuple[Any, str]:
    """What fsspec opens `source` by, and its path there.

    Raises:
        InputError: nothing does, or a package is missing.
    """
    try:
        files, path = importlib.import_module("fsspec").core.url_to_fs(source)
        return files, path
    except (ImportError, ValueError, OSError) as error:
        raise InputError(f"data {source!r} cannot be opened ({error}): install what its address needs") from error


def file_pieces(source: str, size: int) -> list[Piece]:
    files, root = filesystem(source)
    try:
        names = sorted(files.find(root)) if files.isdir(root) else [root] if files.exists(root) else []
    except OSError as error:
        raise InputError(f"data {source!r} cannot be listed ({error}): correct the address") from error
    names = [name for name in names if not any(part.startswith(".") for part in name.removeprefix(root).split("/"))]
    tars, tables = ([name for name in names if name.endswith(ending)] for ending in (".tar", ".parquet"))
    images = [name for name in names if name.lower().endswith(IMAGES)]
    if sum(map(bool, (tars, tables, images))) != 1:
        what = f"{len(tars):,} tars, {len(tables):,} tables, {len(images):,} images"
        raise InputError(f"data {source!r} has {what}: give a folder with files of one of these kinds")
    note(f"{source}: {what_is(tars, tables, images)}; other files: {len(names) - len(tars or tables or images):,}")
    if tars:
        return [FilePiece(source, [name], []) for name in tars]
    if tables:
        return [piece for name in tables for piece in table_pieces(files, source, name, size)]
    return [FilePiece(source, images[start : start + size], []) for start in range(0, len(images), size)]


def what_is(tars: Sequence[str], tables: Sequence[str], images: Sequence[str]) -> str:
    kinds = {"WebDataset tars": tars, "Parquet tables": tables, "images, whose folders are the classes": images}
    return next(f"{len(names):,} {kind}" for kind, names in kinds.items() if names)


def table_pieces(files: Any, source: str, name: str, size: int) -> list[Piece]:
    """Groups of rows of a table, together about `size` rows."""
    with files.open(name, "rb") as stream:
        about = import_arrow("pyarrow.parquet").ParquetFile(stream).metadata
    found: list[Piece] = []
    groups, rows = list[int](), 0
    for group in range(about.num_row_groups):
        groups.append(group)
        rows += about.row_group(group).num_rows
        if rows >= size or group == about.num_row_groups - 1:
            found.append(FilePiece(source, [name], groups))
            groups, rows = [], 0
    return found


def tar_samples(files: Any, name: str, data: DataOptions) -> list[Sample]:
    """What a tar holds in the manner of WebDataset: `key.jpg` with its label in `key.cls`.

    A key may have dots: what stands before the last one of an image, unless its label's key ends at the first one.
    """
    ending, stem = data.label_column or LABEL, os.path.basename(name).removesuffix(".tar")
    images, labels = dict[str, tuple[str, bytes]](), dict[str, str]()
    with files.open(name, "rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None or os.path.basename(member.name).startswith("."):
                continue
            key, kind = os.path.splitext(member.name)
            if kind.lower() in IMAGES if data.image_column is None else kind == f".{data.image_column}":
                images[key] = member.name, file.read()
            elif kind == f".{ending}":
                labels[key] = file.read().decode("utf-8", "replace").strip()
    found = []
    for key, (member_name, content) in images.items():
        folder, base = os.path.split(key)
        short = os.path.join(folder, base.partition(".")[0])
        found.append(Sample(f"{stem}/{member_name}", content, labels.get(key, labels.get(short, ""))))
    if not found:
        raise InputError(f"{name} holds no image: give tars of key.jpg and key.{ending}")
    return found


def table_samples(files: Any, name: str, groups: list[int], data: DataOptions) -> list[Sample]:
    """Some groups of rows of a table with images inside: bytes, or what Hugging Face writes, {bytes, path}."""
    with files.open(name, "rb") as stream:
        table = import_arrow("pyarrow.parquet").ParquetFile(stream)
        header = table.schema_arrow.names
        places = choose(header, columns_of(data), name)
        image, label = header[places.image], header[places.label]
        first = sum(table.metadata.row_group(group).num_rows for group in range(groups[0]))
        rows = table.read_row_groups(groups, columns=[image, label])
    stem, found = os.path.basename(name).removesuffix(".parquet"), []
    classes = hub_classes(rows.schema.metadata, label)
    for row, (value, given) in enumerate(
        zip(rows.column(image).to_pylist(), rows.column(label).to_pylist(), strict=True), first
    ):
        content = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(content, str) or (content is None and isinstance(value, dict) and value.get("path")):
            raise InputError(f"table {name}: column {image!r} has file names: give tables with the images inside")
        path = value.get("path") if isinstance(value, dict) else None
        found.append(Sample(f"{stem}/{row:06d}{'-' + path if path else ''}", content or b"", word(given, classes)))
    return found
