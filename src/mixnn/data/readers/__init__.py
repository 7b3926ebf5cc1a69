"""Where data comes from, by the word before the colon. A reader gives a `Source`, nothing else is asked of it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mixnn.data.dataset import Dataset, Source, build_dataset
from mixnn.errors import InputError


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called, where readers cannot know; None is for their usual names.

    Attributes:
        image: file names, or the images themselves.
        label: labels.
        split: train, val or test.
        root: the folder that file names are relative to; None is the one the table lies in.
    """

    image: str | None = None
    label: str | None = None
    split: str | None = None
    root: str | None = None

    def refuse(self, why: str, options: Sequence[str] = ("image", "label", "split", "root")) -> None:
        """Raise InputError where one of `options` was given; `why` follows its value."""
        for option in options:
            value = getattr(self, option)
            if value is not None:
                name = option if option == "root" else f"{option}-column"
                raise InputError(f"--data.{name} {value!r} {why}: leave it away")


# kind -> module and function, (what stands behind the colon, columns) -> Source; imported when called
READERS = {
    "folder": "folder:read_folder",
    "csv": "table:read_csv",
    "tsv": "table:read_tsv",
    "parquet": "table:read_parquet",
    "jsonl": "table:read_jsonl",
    "npz": "arrays:read_arrays",
    "hf": "hub:read_hub",
    "cifar10": "cifar:read_cifar10",
    "cifar100": "cifar:read_cifar100",
    "clothing1m": "clothing1m:read_clothing1m",
    "webvision": "webvision:read_webvision",
    "mini-webvision": "webvision:read_mini_webvision",
    "animal10n": "animal10n:read_animal10n",
    "food101n": "food101n:read_food101n",
    "demo": "clothing:read_clothing",
}
WITH_COLUMNS = {"folder", "csv", "tsv", "parquet", "jsonl", "npz", "hf"}


def read_source(
    source: str,
    *,
    columns: Columns | None = None,
    unlabeled: str | None = None,
    heldout: str | None = None,
    relabeled: bool = False,
) -> Dataset:
    """Names and labels of `photos/`, `csv:labels.csv`, `cifar10:DIR` … (see `READERS`); image files stay unread.

    Args:
        source: kind and path; a path alone is an image folder, or a file whose ending is a kind.
        columns: of tables.
        unlabeled, heldout, relabeled: see `build_dataset`.

    Raises:
        InputError: the source is unknown, missing or damaged.
    """
    kind, path = split_source(source)
    columns = columns or Columns()
    if kind not in WITH_COLUMNS:
        columns.refuse(f"does not go with {kind}, which has no table")
    module, function = READERS[kind].split(":")
    read = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    content: Source = read(path, columns)
    return build_dataset(content, unlabeled=unlabeled, heldout=heldout, relabeled=relabeled)


def split_source(source: str) -> tuple[str, str]:
    """`csv:a.txt` as ("csv", "a.txt"), and `a.csv` alone as ("csv", "a.csv").

    Raises:
        InputError: the kind is unknown.
    """
    kind, colon, path = source.partition(":")
    if colon and not Path(source).exists():
        if kind in READERS:
            return kind, path
        kinds = ", ".join(f"{kind}:" for kind in READERS)
        raise InputError(f"data {source!r}: kind {kind!r} is unknown; use a folder, or one of {kinds}")
    ending = Path(source).suffix.lower().removeprefix(".")
    if not Path(source).is_dir() and ending in ("csv", "tsv", "parquet", "jsonl", "npz"):
        return ending, source
    return "folder", source
