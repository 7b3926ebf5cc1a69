"""NumPy files that declare more than they hold, or more than fits: one line, at once, and no memory for it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mixnn.cli.main import main
from mixnn.data.numpy_files import load_array
from mixnn.errors import InputError


def header(shape: tuple[int, ...], dtype: str = "<f4", rest: int = 1000) -> bytes:
    """An array file of 1 kB that says it is of this shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(rest)


def packed(path: Path, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", header((4,), "<i8", 32))
    return path


SHAPES = [((10**12,), "<f4"), ((10**6, 10**6), "<i8"), ((10**30,), "|u1"), ((10**12,), "<U0"), ((251,), "<f4")]


@pytest.mark.parametrize(("shape", "dtype"), SHAPES)
def test_a_header_that_declares_more_than_the_file_holds(tmp_path, shape, dtype):
    content = header(shape, dtype)
    (tmp_path / "a.npy").write_bytes(content)
    declared = " × ".join(map(str, shape))
    why = (
        f"is damaged: its header declares {declared} values of {np.dtype(dtype)}, the file holds {len(content):,} bytes"
    )
    with pytest.raises(InputError) as caught:
        load_array(tmp_path / "a.npy")
    assert str(caught.value) == f"{tmp_path}/a.npy {why}: save it again, or copy it whole"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        path = packed(tmp_path / "a.npz", content, compression)
        with pytest.raises(InputError) as caught:
            load_array(path, "x")
        assert str(caught.value) == f"'x' of {path} {why}: save it again, or copy it whole"


def test_a_zip_that_declares_more_than_its_bytes_can_unpack_to(tmp_path):
    path = packed(tmp_path / "a.npz", header((4,)))
    content, real = bytearray(path.read_bytes()), len(header((4,)))
    place = content.index(real.to_bytes(4, "little"), content.index(b"PK\x01\x02"))
    content[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"'x' of .*a\.npz is damaged: its zip declares 2,147,483,648 bytes, the file h"
    ):
        load_array(path, "x")


@pytest.mark.parametrize("dtype", ["u1", "<i4", "<U5", ">f8"])
@pytest.mark.parametrize("shape", [(7,), (2, 3), (0, 3), ()])
def test_whole_files_are_read(tmp_path, dtype, shape):
    array = np.zeros(shape, dtype)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array)
    np.savez_compressed(tmp_path / "b.npz", x=np.zeros(10**6), y=array)
    for read in (
        load_array(tmp_path / "a.npy"),
        load_array(tmp_path, "a"),
        load_array(tmp_path / "a.npz", "x"),
        load_array(tmp_path / "b.npz", "y"),
    ):
        assert (read.dtype, read.shape) == (array.dtype, shape)
    assert len(load_array(tmp_path / "b.npz", "x")) == 10**6


def test_what_does_not_fit_into_memory(tmp_path, monkeypatch):
    def short(*args: object, **options: object) -> None:
        raise MemoryError

    np.save(tmp_path / "a.npy", np.zeros(3))
    monkeypatch.setattr(np, "load", short)
    with pytest.raises(InputError, match=r"a\.npy does not fit into memory: save fewer samples, or smaller ones$"):
        load_array(tmp_path / "a.npy")


@pytest.mark.parametrize("command", ["check", "find", "train", "corrupt"])
def test_every_command_says_it_in_a_line(tmp_path, capsys, command):
    path = packed(tmp_path / "a.npz", header((10**12, 8, 8)))
    more = {"check": [], "corrupt": ["--noise", "symmetric:0.1", "--out", str(tmp_path / "b.csv")]}
    assert main([command, str(path), *more.get(command, ["--out", str(tmp_path / "run")])]) == 2
    assert "is damaged: its header declares 1000000000000 × 8 × 8 values of float32" in capsys.readouterr().err


def test_labels_and_features_beside_the_data(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(6, 3)), y=[0, 1] * 3)
    (tmp_path / "b.npy").write_bytes(header((10**12,), "<i8"))
    for option in ("--data.labels", "--features"):
        assert main(["find", str(tmp_path / "a.npz"), "--out", str(tmp_path / "run"), option, f"{tmp_path}/b.npy"]) == 2
        assert "b.npy is damaged: its header declares 1000000000000 values of int64" in capsys.readouterr().err
