"""Features in several files, joined once into arrays that are mapped: nothing depends on how they were cut.

`features-00003-of-00010.npy` with `labels-…` and perhaps `names-…` beside it, or Parquet with such columns; in a folder
or, by fsspec, in an object store. Must not know: torch, what features mean.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixnn.data.numpy_files import DAMAGED, rows_not_finite
from mixnn.errors import InputError, printable
from mixnn.utils.console import counter, note
from mixnn.utils.files import default_cache_dir, make_once

NUMBERED = re.compile(r"(features|labels|names)-(\d+)-of-(\d+)\.npy")
COLUMNS = {
    "features": ("features", "embedding", "embeddings"),
    "labels": ("label", "labels"),
    "names": ("name", "names", "file_name"),
}
VALUES = 2**22  # that are read at a time


class Chunk(NamedTuple):
    """Some rows of a shard: features (n, D), labels (n,), names (n,) or None."""

    features: NDArray[Any]
    labels: NDArray[Any]
    names: NDArray[Any] | None


class Folder:
    """Where shards lie.

    Args:
        path: a folder, or what fsspec takes for one, such as s3://bucket/features.

    Raises:
        InputError: it cannot be listed, or no shards are in it, or some are missing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            fsspec: Any = importlib.import_module("fsspec")
            self.files, root = fsspec.core.url_to_fs(path)
            found = self.files.find(root) if self.files.isdir(root) else [root]
            self.states = {name: f"{self.files.size(name)} {self.files.ukey(name)}" for name in sorted(found)}
        except (OSError, ValueError, ImportError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"shards {path} cannot be read ({why}): give a folder, or an address for fsspec"
            ) from error
        self.tables = [name for name in self.states if name.endswith(".parquet")]
        self.arrays: dict[str, dict[int, str]] = {}
        counts = set()
        for name in self.states:
            if match := NUMBERED.fullmatch(name.rpartition("/")[2]):
                self.arrays.setdefault(match[1], {})[int(match[2])] = name
                counts.add(int(match[3]))
        if bool(self.tables) == bool(self.arrays) or len(counts) > 1:
            raise InputError(
                f"shards {path}: give a folder of features-00000-of-00010.npy … with labels-… beside them, or of "
                f".parquet files, of one kind and one number (it has {len(self.states):,} files)"
            )
        for kind in ("features", "labels", *(["names"] if "names" in self.arrays else [])) if self.arrays else ():
            missing = set(range(max(counts))) - set(self.arrays.get(kind, {}))
            if missing:
                raise InputError(
                    f"shards {path}: {kind}-{min(missing):05d}-of-{max(counts):05d}.npy is missing, and "
                    f"{len(missing) - 1} more: copy them, or make them anew"
                )

    @property
    def count(self) -> int:
        return len(self.tables) or len(self.arrays["features"])

    def digest(self) -> str:
        """Another one whenever names, sizes or times of files are others."""
        used = self.tables or [name for kind in self.arrays.values() for name in kind.values()]
        states = sorted(f"{name} {self.states[name]}" for name in used)
        return hashlib.blake2b(
            "\0".join([self.path, *states]).encode("utf-8", "surrogateescape"), digest_size=16
        ).hexdigest()

    def shapes(self) -> list[tuple[int, int]]:
        """Rows and width of each shard."""
        return [self._table_shape(name) if self.tables else self._array_shape(name) for name in self._shards()]

    def chunks(self, shard: int) -> Iterator[Chunk]:
        """A shard, some rows at a time."""
        if self.tables:
            yield from self._table_chunks(self.tables[shard])
            return
        labels, names = (self._load(kind, shard) if kind in self.arrays else None for kind in ("labels", "names"))
        done = 0
        assert labels is not None
        for features in self._features(shard):
            rows = slice(done, done := done + len(features))
            yield Chunk(features, labels[rows], None if names is None else names[rows])
        for kind, array in {"labels": labels, "names": names}.items():
            if array is not None and array.shape != (done,):
                raise InputError(
                    f"{self.arrays[kind][shard]} has shape {array.shape}: save one for each of {done:,} rows"
                )

    def _shards(self) -> list[str]:
        return self.tables or [self.arrays["features"][i] for i in range(self.count)]

    def _load(self, kind: str, shard: int) -> NDArray[Any]:
        with self.files.open(self.arrays[kind][shard], "rb") as file:
            array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array

    def _header(self, file: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        read = (
            np.lib.format.read_array_header_1_0
            if np.lib.format.read_magic(file) == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, by_column, dtype = read(file)
        if len(shape) != 2 or by_column or dtype.kind not in "fiu" or shape[1] == 0:
            raise InputError(f"{name} has shape {shape} and dtype {dtype}: save numbers as (N, D), row by row")
        return shape, dtype

    def _array_shape(self, name: str) -> tuple[int, int]:
        with self.files.open(name, "rb") as file:
            (rows, width), _ = self._header(file, name)
        return rows, width

    def _features(self, shard: int) -> Iterator[NDArray[Any]]:
        name = self.arrays["features"][shard]
        with self.files.open(name, "rb") as file:
            (rows, width), dtype = self._header(file, name)
            step = max(1, VALUES // width)
            for start in range(0, rows, step):
                wanted = min(step, rows - start) * width
                content = file.read(wanted * dtype.itemsize)
                if len(content) < wanted * dtype.itemsize:
                    raise InputError(f"{name} ends before its {rows:,} rows: copy it whole")
                yield np.frombuffer(content, dtype).reshape(-1, width)

    def _table_shape(self, name: str) -> tuple[int, int]:
        parquet = arrow("parquet")
        with self.files.open(name, "rb") as file:
            table = parquet.ParquetFile(file)
            first = next(iter(table.iter_batches(1, columns=[self._column(table, "features", name)])), None)
            if first is None or first.column(0)[0].as_py() is None:
                raise InputError(f"table {name} has no rows, or none with features: leave it out")
            return table.metadata.num_rows, len(first.column(0)[0])

    def _table_chunks(self, name: str) -> Iterator[Chunk]:
        parquet, compute = arrow("parquet"), arrow("compute")
        with self.files.open(name, "rb") as file:
            table = parquet.ParquetFile(file)
            columns = [self._column(table, kind, name) for kind in ("features", "labels")]
            named = self._column(table, "names", name, needed=False)
            for batch in table.iter_batches(10_000, columns=[*columns, *([named] if named else [])]):
                features, labels = (batch.column(column) for column in columns)
                if features.null_count or features.flatten().null_count:
                    raise InputError(f"table {name}: {columns[0]!r} has empty cells: leave these rows out")
                values = features.flatten().to_numpy(zero_copy_only=False)
                if len(compute.list_value_length(features).unique()) > 1:
                    raise InputError(f"table {name}: {columns[0]!r} has rows of several lengths: make them one")
                words = np.array(["" if word is None else str(word) for word in labels.to_pylist()])
                names = np.array([str(word) for word in batch.column(named).to_pylist()]) if named else None
                yield Chunk(values.reshape(len(features), -1), words, names)

    def _column(self, table: Any, kind: str, name: str, *, needed: bool = True) -> str | None:
        there = table.schema_arrow.names
        found = next((column for column in COLUMNS[kind] if column in there), None)
        if found is None and needed:
            raise InputError(
                f"table {name} has no column {COLUMNS[kind][0]!r} (it has {', '.join(there)}): add or rename it"
            )
        return found


def arrow(module: str) -> Any:
    from mixnn.data.readers.parquet import import_arrow  # which imports this package

    return import_arrow(f"pyarrow.{module}")


def is_sharded(path: str) -> bool:
    """Whether `path` is a folder of numbered features."""
    folder = Path(path)
    return folder.is_dir() and any(NUMBERED.fullmatch(file.name) for file in folder.glob("features-*-of-*.npy"))


def joined(path: str, cache_dir: str | None = None) -> str:
    """The folder in the cache with the shards of `path` as `features.npy`, `labels.npy` and perhaps `names.npy`.

    Raises:
        InputError: shards are missing, damaged, or do not fit each other; or the cache cannot be written.
    """
    cache = default_cache_dir() if cache_dir is None else Path(cache_dir)
    shards = Folder(path)
    folder = cache / "shards" / shards.digest()
    try:
        make_once(folder, partial(_join, shards))
    except DAMAGED as error:
        if isinstance(error, InputError):
            raise
        if isinstance(error, OSError) and error.filename and str(error.filename).startswith(str(cache)):
            raise InputError(f"--data.cache-dir {cache} cannot be written ({error.strerror}): give another") from error
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"shards {path} cannot be read ({why}): make them anew") from error
    count = f"{shards.count:,} shard{'s' * (shards.count > 1)}"
    note(f"{printable(path)}: {count}, joined in {printable(str(folder))}")
    return str(folder)


def _join(shards: Folder, folder: Path) -> None:
    shapes = shards.shapes()
    total, width = sum(rows for rows, _ in shapes), shapes[0][1]
    for shard, (_, other) in enumerate(shapes):
        if other != width:
            raise InputError(
                f"shard {shard} of {shards.path} is {other:,} wide, the first {width:,}: make them by one network"
            )
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (total, width))
    labels: list[NDArray[Any]] = []
    names: list[NDArray[Any]] = []
    done, progress = 0, counter("joining shards")
    for shard in range(shards.count):
        for chunk in shards.chunks(shard):
            bad = rows_not_finite(chunk.features)
            if len(bad):
                raise InputError(
                    f"shard {shard} of {shards.path} has NaN or infinity: leave these rows out, or make it anew"
                )
            features[done : done + len(chunk.features)] = chunk.features
            labels.append(chunk.labels)
            names += [] if chunk.names is None else [chunk.names]
            progress(done := done + len(chunk.features), total)
    features.flush()
    np.save(folder / "labels.npy", _column_of(labels, "labels", shards.path))
    if names:
        if sum(map(len, names)) != total:
            raise InputError(f"some shards of {shards.path} have names, and some have none: give them to all")
        np.save(folder / "names.npy", _column_of(names, "names", shards.path))


def _column_of(parts: Sequence[NDArray[Any]], kind: str, path: str) -> NDArray[Any]:
    kinds = {"text" if part.dtype.kind in "US" else "numbers" for part in parts}
    if len(kinds) > 1:
        raise InputError(f"{kind} of {path} are text in some shards and numbers in others: make them one")
    return np.concatenate(parts)
