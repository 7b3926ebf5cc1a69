"""A file of features that is written batch after batch, and goes on after a kill. Must not know: networks, torch."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixnn.data.feature_files import MADE_BY, read_made_by
from mixnn.errors import InputError
from mixnn.utils.files import atomic_write, write_error_words

HEAD = struct.Struct("<II")  # of a batch: its rows, and CRC-32 of their bytes, which follow


class FeatureWriter:
    """Features on their way into `out`, an .npz: a killed process loses the batch that it was at.

    Until all are there they lie in a folder beside `out`. Its file begins with a line that says what made them; every
    batch has a checksum, and what follows a damaged one is made anew.

    Args:
        out: the .npz.
        made_by: all that decides what the features are: they go on only where this is the same.
        samples: N, in all.
        width: D.
        dtype: of each value.

    Attributes:
        done: rows that are there.
        finished: whether `out` holds exactly these features.

    Raises:
        InputError: `out`, or what lies beside it, holds something else.
    """

    def __init__(self, out: Path, made_by: Mapping[str, Any], samples: int, width: int, dtype: type) -> None:
        self.out, self.folder = out, partial_folder(out)
        self.file, self.made_by = self.folder / "rows", dict(made_by)
        self.samples, self.width, self.dtype = samples, width, np.dtype(dtype)
        self.finished = out.exists()
        if self.finished:
            check_same(read_made_by(out), self.made_by, f"--out {out} holds", "choose another place, or remove it")
        self.done = samples if self.finished else sum(len(rows) for rows in self._batches())

    def add(self, rows: NDArray[Any]) -> None:
        """The next rows (n, D)."""
        data = np.ascontiguousarray(rows, self.dtype).tobytes()
        with self._writing(), open(self.file, "ab") as file:
            if file.tell() == 0:
                file.write(json.dumps(self.made_by).encode() + b"\n")
            file.write(HEAD.pack(len(rows), zlib.crc32(data)) + data)
        self.done += len(rows)

    def finish(self, **members: NDArray[Any]) -> None:
        """Put all rows (N, D) and other arrays into `out`, as a whole, and remove what led there."""
        features, place = np.empty((self.samples, self.width), self.dtype), 0
        for rows in self._batches():
            features[place : place + len(rows)] = rows
            place += len(rows)
        assert place == self.samples
        arrays = {"features": features, **members, MADE_BY: np.array(json.dumps(self.made_by))}
        fix = "make room, and repeat the command: what is made is kept"
        with atomic_write(self.out, fix) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batches(self) -> Iterator[NDArray[Any]]:
        """The rows that are there, (n, D) each; the file is cut before the first that are damaged."""
        if not self.file.exists():
            return
        with self._writing(), open(self.file, "rb+") as file:
            line = file.readline()
            whole, place = file.tell(), 0
            if not line.endswith(b"\n"):  # killed while it was written
                file.truncate(0)
                return
            try:
                made_by = json.loads(line)
            except ValueError:
                made_by = {}
            fix = "remove this folder, or choose another --out"
            check_same(made_by, self.made_by, f"--out {self.out}: {self.folder} has a part of", fix)
            while len(head := file.read(HEAD.size)) == HEAD.size:
                count, checksum = HEAD.unpack(head)
                data = file.read(min(count, self.samples - place) * self.width * self.dtype.itemsize)
                if zlib.crc32(data) != checksum or len(data) != count * self.width * self.dtype.itemsize:
                    break
                place, whole = place + count, file.tell()
                yield np.frombuffer(data, self.dtype).reshape(count, self.width)
            file.truncate(whole)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Errors of the disk in the user's words."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.file} cannot be written ({write_error_words(error, self.file)}): make room, and repeat the "
                "command to go on"
            ) from error


def partial_folder(out: Path) -> Path:
    """Where the features of `out` are until all are there."""
    return out.with_name(f"{out.name}.partial")


def check_same(found: Mapping[str, Any], wanted: Mapping[str, Any], what: str, fix: str) -> None:
    """Raise InputError where features were made by something else than is wanted."""
    different = {name for name in {*found, *wanted} if found.get(name) != wanted.get(name)}
    if not found:
        raise InputError(f"{what} something that is not by `mixnn embed`: {fix}")
    if different:
        words = ", ".join(words_of(name, found.get(name), wanted.get(name)) for name in sorted(different))
        raise InputError(f"{what} other features ({words}): {fix}")


def words_of(name: str, found: object, wanted: object) -> str:
    """How two settings differ; of checksums only that they do."""
    if name in ("weights", "images"):
        return f"of other {name}"
    return f"{name.replace('_', ' ')} {found}, not {wanted}"
