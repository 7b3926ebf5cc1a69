"""Where data comes from, by the word before the colon: a reader gives a `Source`, a row of `READERS` says the rest."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mixnn.data.dataset import Dataset, Source, build_dataset
from mixnn.data.images.links import link_note
from mixnn.data.readers.archives import is_archive, unpacked
from mixnn.data.readers.shards import is_sharded, joined
from mixnn.errors import InputError
from mixnn.utils.console import say
from mixnn.utils.processes import first_process


@dataclass(frozen=True)
class Columns:
    """What readers cannot know: names of the columns of a table, and what folders are; None is for what is usual.

    Attributes:
        image: file names, or the images themselves.
        label: labels.
        split: train, val or test.
        root: the folder that file names are relative to; None is the one the table lies in.
        layout: classes, parts or metadata, see `mixnn.config.DataOptions`.
        text: texts; several columns with commas between.
        table: columns of values, with commas between; all is all that are left.
        id: what samples are called beside the number of their row.
    """

    image: str | None = None
    label: str | None = None
    split: str | None = None
    root: str | None = None
    layout: str | None = None
    text: str | None = None
    table: str | None = None
    id: str | None = None

    def refuse(
        self, why: str, options: Sequence[str] = ("image", "label", "split", "root", "text", "table", "id")
    ) -> None:
        """Raise InputError where one of `options` was given; `why` follows its value."""
        for option in options:
            value = getattr(self, option)
            if value is not None:
                name = {"root": "root", "layout": "layout", "table": "columns"}.get(option, f"{option}-column")
                raise InputError(f"--data.{name} {value!r} {why}: leave it away")


class Reader(NamedTuple):
    """A kind of data.

    Attributes:
        read: module and function, (what stands behind the colon, columns) -> Source; imported when called.
        has_columns: whether columns may be named.
        is_suffix: whether a file with this ending is of this kind, without being told.
        corrected: as what corrected labels are written back; "labels" is a list beside data that stays as it is.
    """

    read: str
    has_columns: bool = False
    is_suffix: bool = False
    corrected: Literal["labels", "table", "folder", "arrays"] = "labels"


READERS = {
    "folder": Reader("folder:read_folder", has_columns=True, corrected="folder"),
    "csv": Reader("table:read_csv", has_columns=True, is_suffix=True, corrected="table"),
    "tsv": Reader("table:read_tsv", has_columns=True, is_suffix=True, corrected="table"),
    "parquet": Reader("table:read_parquet", has_columns=True, is_suffix=True, corrected="table"),
    "jsonl": Reader("table:read_jsonl", has_columns=True, is_suffix=True, corrected="table"),
    "npz": Reader("arrays:read_arrays", has_columns=True, is_suffix=True, corrected="arrays"),
    "shards": Reader("arrays:read_arrays"),
    "hf": Reader("hub:read_hub", has_columns=True),
    "cifar10": Reader("cifar:read_cifar10"),
    "cifar100": Reader("cifar:read_cifar100"),
    "clothing1m": Reader("clothing1m:read_clothing1m"),
    "webvision": Reader("webvision:read_webvision"),
    "mini-webvision": Reader("webvision:read_mini_webvision"),
    "animal10n": Reader("animal10n:read_animal10n"),
    "food101n": Reader("food101n:read_food101n"),
    "demo": Reader("clothing:read_clothing"),
}


def read_source(source: str, *, columns: Columns | None = None, cache_dir: str | None = None, **how: Any) -> Dataset:
    """Names and labels of `photos/`, `csv:labels.csv`, `cifar10:DIR` … (see `READERS`); image files stay unread.

    Args:
        source: kind and path; a path alone is an image folder, or a file whose ending is a kind.
        columns: of tables.
        how: keywords of `build_dataset`.
        cache_dir: where archives are unpacked; the user's where None.

    Raises:
        InputError: the source is unknown, missing or damaged.
    """
    kind, path = split_source(source)
    columns = columns or Columns()
    if kind in ("folder", "npz"):
        columns.refuse(f"is about tables, and {source} is none", ("text", "table", "id"))
    if kind == "folder":
        path = unpacked(path, cache_dir) if is_archive(path) else path
    elif kind == "shards":
        path = joined(path, cache_dir)
    else:
        columns.refuse(f"is about folders, and {source} is none", ("layout",))
    if not READERS[kind].has_columns:
        columns.refuse(f"does not go with {kind}, which has no table")
    module, function = READERS[kind].read.split(":")
    read = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    content: Source = read(path, columns)
    if first_process():
        links = link_note([part.images for part in content.parts.values()], path if os.path.isdir(path) else None)
        for note in [*content.notes, links]:
            if note:
                say(f"mixnn: {note}")
    return build_dataset(content, **how)


def split_source(source: str) -> tuple[str, str]:
    """`csv:a.txt` as ("csv", "a.txt"), and `a.csv` alone as ("csv", "a.csv").

    Raises:
        InputError: the kind is unknown, or it is an address.
    """
    kind, colon, path = source.partition(":")
    if kind != "shards" and any(re.match(r"[a-z][\w+.-]*://", text) for text in (source, path)):
        raise InputError(f"data {source!r} is an address: download it first, and give the file or the folder")
    if colon and not Path(source).exists():
        if kind in READERS:
            return kind, path
        kinds = ", ".join(f"{kind}:" for kind in READERS)
        raise InputError(f"data {source!r}: kind {kind!r} is unknown; use a folder, or one of {kinds}")
    ending = Path(source).suffix.lower().removeprefix(".")
    if not Path(source).is_dir() and ending in READERS and READERS[ending].is_suffix:
        return ending, source
    return ("shards" if is_sharded(source) else "folder"), source
