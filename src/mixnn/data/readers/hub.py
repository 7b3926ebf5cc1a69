"""Hugging Face data sets, from disk or by name (extra `hf`). Images stay in their Arrow files until asked for.

Must not know: torch.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixnn.data.dataset import Part, Source
from mixnn.data.images.decoder import BadImage
from mixnn.data.images.encoded import EncodedImages, ImageBytes, ImageFiles, file_state
from mixnn.data.readers import Columns
from mixnn.data.readers.columns import whole_numbers
from mixnn.data.readers.parquet import word as word_of
from mixnn.data.readers.record_columns import record_notes, text_places, value_places, without_empty
from mixnn.data.readers.split_columns import unused_note
from mixnn.data.readers.splits import split_of
from mixnn.data.records.records import Records
from mixnn.data.words import number_words
from mixnn.errors import InputError

WORDS = ("int", "uint", "float", "string", "large_string", "bool")  # types of labels without a list of names
WAIT = 10  # seconds for the hub's first answer


def read_hub(path: str, columns: Columns) -> Source:
    """A folder that `save_to_disk` wrote, a folder that `load_dataset` takes, or a name on the hub.

    The label column is `columns.label`, or the only ClassLabel, or `label`. Classes that no sample has are left
    away.

    Args:
        path: folder or name, and `:CONFIG` where there are several.
        columns: `image` and `label`, where there are several that could be meant; `text` or `table` in place of images.

    Raises:
        InputError: the package `datasets` is missing, there is no such data set, the hub cannot be reached, or a
            column is missing or holds something else.
    """
    columns.refuse(f"goes with tables, not with hf:{path}", ("split", "root"))
    with _quiet():
        splits = _load(path)
        if "train" not in splits:
            raise InputError(f"hf:{path} has no split train (it has {', '.join(splits)}): rename one with save_to_disk")
        features = splits["train"].features
        fields = _fields(path, features, columns)
        image = None if fields else _choose(path, features, "image", columns.image)
        label = _choose(path, features, "label", columns.label)
        parts = {}
        for split, rows in splits.items():
            if any(rows.features.get(name) != features[name] for name in [*fields, image or label, label]):
                raise InputError(f"hf:{path} has other columns in split {split!r} than in train: make them the same")
            labels = _labels(rows, label)
            images = _records(rows, fields, columns) if image is None else _images(rows, image)
            parts[split] = without_empty(Part(images, labels, [f"{split}/{i:05d}" for i in range(len(labels))]))
    used = {*fields, image, label}
    notes = unused_note(f"hf:{path}", [name for name in features if name not in used], "save parts as splits")
    if isinstance(parts["train"].images, Records):
        notes += record_notes(parts["train"].images, f"hf:{path}", named=columns.text is not None)
    words = {word for part in parts.values() for word in part.labels}
    if hasattr(features[label], "names"):
        names = features[label].names
        return Source(parts, [name for name in names if name in words], notes=notes, numbers=names)
    return Source(parts, notes=notes, numbers=None if "string" in features[label].dtype else number_words(words))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own bars and notes: our messages say what matters."""
    datasets, hub = _library()
    logs = (datasets.logging, hub.logging)
    levels, bars = [log.get_verbosity() for log in logs], datasets.utils.is_progress_bar_enabled()
    try:
        for log in logs:
            log.set_verbosity(log.CRITICAL)
        datasets.utils.disable_progress_bars()
        hub.utils.disable_progress_bars()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.set_verbosity(level)
        if bars:
            datasets.utils.enable_progress_bars()
            hub.utils.enable_progress_bars()


def _load(path: str) -> dict[str, Any]:
    """Part -> `datasets.Dataset`."""
    datasets, _ = _library()
    name, colon, config = path.rpartition(":")
    if not colon or Path(path).exists():
        name, config = path, ""
    if not name:
        raise InputError("hf: needs a name: give hf:FOLDER, or hf:USER/NAME of a data set on the hub")
    folder = Path(name)
    saved = any((folder / file).is_file() for file in ("dataset_dict.json", "state.json"))
    if saved and config:
        raise InputError(f"hf:{path}: what save_to_disk wrote to {name} has no {config!r}: give hf:{name}")
    try:
        if saved:
            content = datasets.load_from_disk(name, keep_in_memory=False)
        else:
            with _offline(datasets, not folder.is_dir() and not _reachable(name)):
                content = datasets.load_dataset(name, config or None, keep_in_memory=False)
    except ConnectionError as error:
        fix = "check the connection, or copy what save_to_disk wrote elsewhere"
        raise InputError(f"hf:{path} is no folder, not in the cache, and the hub cannot be reached: {fix}") from error
    except Exception as error:  # whatever the library's readers raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"hf:{path} cannot be loaded ({reason}): correct the name or the files") from error
    if not isinstance(content, dict):
        return {"train": content}
    splits: dict[str, Any] = {}
    for split, rows in content.items():
        usual = split_of(str(split)) or str(split)
        splits[split if usual in content or usual in splits else usual] = rows
    return splits


def _reachable(name: str) -> bool:
    """One question, for one answer within WAIT: the library itself asks for a minute before it looks into its cache."""
    _, hub = _library()
    try:
        hub.HfApi().dataset_info(name, timeout=WAIT)
    except (hub.utils.HfHubHTTPError, ValueError):
        return True  # it answered, or the name cannot be one: the library says why
    except Exception:  # of the HTTP library, which changes with versions
        return False
    return True


@contextmanager
def _offline(datasets: Any, offline: bool) -> Iterator[None]:
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _library() -> tuple[Any, Any]:
    try:
        return importlib.import_module("datasets"), importlib.import_module("huggingface_hub")
    except ImportError:
        raise InputError("hf: needs the package datasets: pip install 'mixnn[hf]'") from None


def _choose(path: str, features: dict[str, Any], what: str, name: str | None) -> str:
    """The column called `name`; or else the only one of its kind, or the one with the usual name."""
    kinds = {column: _kind(feature) for column, feature in features.items()}
    certain = [column for column, feature in features.items() if type(feature).__name__ in ("Image", "ClassLabel")]
    certain = [column for column in certain if kinds[column] == what]
    chosen = name or (certain[0] if len(certain) == 1 else what)
    if kinds.get(chosen) != what:
        found = ", ".join(f"{column}: {kind}" for column, kind in kinds.items())
        fix = f"give --data.{what}-column, or cast it in the data set"
        raise InputError(f"hf:{path} has no column {chosen!r} that holds {what}s (it has {found}): {fix}")
    return chosen


def _kind(feature: Any) -> str:
    """`image`, `label`, or what a column is where it can be neither."""
    kind, dtype = type(feature).__name__, str(getattr(feature, "dtype", ""))
    if kind == "Image":
        return "image"
    if kind == "ClassLabel" or (kind == "Value" and dtype.startswith(WORDS)):
        return "label"
    return f"{kind} {dtype}".strip()


def _fields(path: str, features: dict[str, Any], columns: Columns) -> list[str]:
    """The columns with texts, or with values; none where there are images."""
    header, where = list(features), f"hf:{path}"
    image = next((place for place, name in enumerate(header) if _kind(features[name]) == "image"), None)
    places = text_places(header, columns, image, where)
    if columns.table is not None:
        label = _choose(path, features, "label", columns.label)
        places = value_places(header, columns.table, [header.index(label), image], where)
    return [header[place] for place in places]


def _records(rows: Any, fields: list[str], columns: Columns) -> Records:
    """Values as words, "" where there is none; classes by their names."""
    cells = []
    for name in fields:
        if _kind(rows.features[name]) != "label":
            what = f"column {name!r} holds {_kind(rows.features[name])}"
            raise InputError(f"{what}, which is neither text nor a value: name another")
        named = hasattr(rows.features[name], "names")
        cells.append(_labels(rows, name) if named else [word_of(value) for value in _values(rows, name)])
    return Records("text" if columns.table is None else "row", fields, list(zip(*cells, strict=True)))


def _values(rows: Any, column: str) -> list[Any]:
    values: list[Any] = rows.select_columns([column]).with_format("arrow")[:].column(0).to_pylist()
    return values


def _labels(rows: Any, column: str) -> list[str]:
    """N words, "" where there is no label (null, or -1 instead of a class)."""
    content = _values(rows, column)
    names = getattr(rows.features[column], "names", None)
    if names is not None:
        word = {None: "", -1: ""} | dict(enumerate(names))
        return [word.get(label, str(label)) for label in content]
    broken = [value for value in content if isinstance(value, float) and value % 1 and value == value]
    if broken:
        raise InputError(f"column {column!r} holds {broken[0]}, which is no whole number: name another")
    return whole_numbers([word_of(label) for label in content])


def _images(rows: Any, column: str) -> EncodedImages:
    datasets, _ = _library()
    encoded = rows.cast_column(column, datasets.Image(decode=False)).select_columns([column])
    chunks = encoded.with_format("arrow")[:].column(0).chunks  # mapped, not read
    if all(chunk.field("bytes").null_count == len(chunk) for chunk in chunks):
        paths = [path or "" for chunk in chunks for path in chunk.field("path").to_pylist()]
        return ImageFiles(os.sep, [os.path.abspath(path) if path else "" for path in paths], keep_inside=False)
    identity = [f"{file['filename']} {file_state(file['filename'])}" for file in rows.cache_files]
    return ImageBytes(Column(encoded, column), "\n".join([column, *identity]))


class Column(Sequence[bytes | None]):
    """Encoded images of a data set, each read when asked for; travels to other processes as a path.

    Args:
        rows: a `datasets.Dataset` with undecoded images.
        name: the column.
    """

    def __init__(self, rows: Any, name: str) -> None:
        self.rows, self.name = rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        """The bytes of an image file, or None. Raises BadImage where it lies in a file that cannot be read."""
        cell = self.rows[row][self.name] or {"bytes": None, "path": None}
        if cell["bytes"] is not None or cell["path"] is None:
            return cell["bytes"]
        try:
            return Path(cell["path"]).read_bytes()
        except OSError as error:
            raise BadImage(error.strerror or str(error)) from error
