"""A CSV list of images with their labels."""

from __future__ import annotations

import csv
from pathlib import Path

from mixnn.data.dataset import Part, Source
from mixnn.data.files import ImageFiles
from mixnn.data.readers import Columns
from mixnn.errors import InputError


def read_table(path: str, columns: Columns) -> Source:
    """Columns `file_name` (relative to the list) and `label`; classes are the labels, sorted.

    Raises:
        InputError: the list is missing, empty or lacks a column, or a row is incomplete.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"file_name", "label"} - set(reader.fieldnames or [])
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise InputError(f"list {path} cannot be read ({error.strerror}): give csv:FILE of an existing file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"list {path} is not a CSV file in UTF-8 ({error}): save it as one") from error
    if missing:
        raise InputError(f"list {path} has no column {' or '.join(sorted(missing))}: add it to the first line")
    if not rows:
        raise InputError(f"list {path} has no rows: add a line file_name,label for each image")
    for line, row in rows:
        if not row["file_name"] or not row["label"]:
            raise InputError(f"list {path}, line {line}: file_name or label is empty: fill it in, or remove the row")
    names = [row["file_name"] for _, row in rows]
    return Source({"train": Part(ImageFiles(Path(path).parent, names), [row["label"] for _, row in rows], names)})
