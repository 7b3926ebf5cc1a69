"""Folders in a zip or tar: the same data, unpacked once; and archives that mean harm."""

import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from contract.command import SMALL, call, read_csv, succeed, write_folder
from contract.refusal import assert_refused
from review_cases import labels_of, make_run, write_corrections

from mixnn.data.readers import archives, read_source
from mixnn.errors import InputError

FORMATS = {"zip": "zip", "tar": "tar", "tar.gz": "gztar", "tar.bz2": "bztar", "tar.xz": "xztar"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/mixnn/archives"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", per_class=4)


def pack(photos: Path, kind: str = "zip", inside: str = "photos") -> Path:
    return Path(shutil.make_archive(str(photos.with_name("packed")), FORMATS[kind], photos.parent, inside))


def held(cache: Path) -> list[str]:
    """What is in the cache, but for locks."""
    return [name for name in os.listdir(cache) if not name.endswith(".lock")] if cache.exists() else []


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_data(photos: Path, cache: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    packed = pack(photos, kind)
    dataset, loose = read_source(str(packed)), read_source(str(photos))
    [folder] = held(cache)
    assert f"mixnn: {packed} is an archive, unpacked in {cache / folder}\n" in capsys.readouterr().err
    assert dataset.train.names == [f"photos/{name}" for name in loose.train.names]
    assert dataset.train.labels.tolist() == loose.train.labels.tolist()
    assert [Path(dataset.train.images.source(i)).read_bytes() for i in range(12)] == [
        Path(loose.train.images.source(i)).read_bytes() for i in range(12)
    ]


def test_it_is_unpacked_once_for_each_content(photos: Path, cache: Path) -> None:
    packed = pack(photos)
    read_source(str(packed))
    [folder] = held(cache)
    (cache / folder / "mark").touch()
    read_source(str(packed.rename(packed.with_name("other name"))))  # known by its content, not by its ending
    assert (cache / folder / "mark").exists()
    (photos / "red/00.png").unlink()
    assert len(read_source(str(pack(photos))).train) == 11
    assert len(held(cache)) == 2


def test_every_command_takes_it(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos)
    few = [*SMALL, "--network", "mini", "--method", "ce", "--epochs", "1", "--data.holdout", "0"]
    succeed("check", packed, "--workers", "0")
    succeed("corrupt", packed, "--noise", "symmetric:0.3", "--out", tmp_path / "noise.csv")
    succeed("train", packed, *few, "--out", tmp_path / "run")
    succeed("evaluate", tmp_path / "run", packed, "--data.workers", "0")
    succeed("export", tmp_path / "run", "--to", "hf", "--out", tmp_path / "hf")
    assert len(read_csv(tmp_path / "hf/metadata.csv")) == 12


def test_apply_writes_a_folder(photos: Path, tmp_path: Path) -> None:
    packed = pack(photos)
    run = make_run(tmp_path / "run", packed)
    decided = write_corrections(tmp_path / "c.csv", ("photos/red/00.png", "blue", "other"))
    before = packed.read_bytes()
    result = succeed("apply", run.path, decided, "--out", tmp_path / "clean")
    assert f"to go on: mixnn train {tmp_path / 'clean'}" in result.out
    assert labels_of(tmp_path / "clean")["photos/blue/00-red.png"] == "blue"
    assert len(labels_of(tmp_path / "clean")) == 12
    assert_refused(call("apply", run.path, decided, "--in-place"), f"{packed} is an archive: give --out")
    refused = call("apply", run.path, decided, "--out", tmp_path / "b", "--mode", "symlink")
    assert_refused(refused, f"--mode symlink: {packed} is an archive, so that links would lead nowhere: use copy")
    assert packed.read_bytes() == before


def test_the_cache_may_be_elsewhere(photos: Path, tmp_path: Path, cache: Path) -> None:
    read_source(str(pack(photos)), cache_dir=str(tmp_path / "here"))
    assert len(held(tmp_path / "here/archives")) == 1
    assert held(cache) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--data.cache-dir .*file cannot be written .*: give another"):
        read_source(str(pack(photos)), cache_dir=str(tmp_path / "file"))


def write_zip(path: Path, *names: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"x")
    return path


def write_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * max(0, member.size)))
    return path


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    return info


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "..\\out.png", "C:/out.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_leaves_the_folder(tmp_path: Path, cache: Path, kind: str, name: str) -> None:
    good = ("cat/1.png", "dog/1.png")
    path = tmp_path / f"bad.{kind}"
    write_zip(path, *good, name) if kind == "zip" else write_tar(path, *map(member, (*good, name)))
    with pytest.raises(InputError, match="which leads out of it: unpack it yourself, if you trust it"):
        read_source(str(path))
    assert held(cache) == []
    assert sorted(os.listdir(tmp_path)) == [path.name, "cache"]


def test_links_are_passed_over_and_counted(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = zipfile.ZipInfo("cat/2.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    write_zip(tmp_path / "a.zip", "cat/1.png", "dog/1.png", link)
    links = [
        member("cat/2.png", 0, tarfile.SYMTYPE, "/etc/passwd"),
        member("dog/2.png", 0, tarfile.LNKTYPE, "../../x"),
        member("dog/3.png", 0, tarfile.FIFOTYPE),
        member("owl", 0, tarfile.SYMTYPE, "/tmp"),
        member("owl/1.png"),  # would be written through it
    ]
    write_tar(tmp_path / "b.tar", member("cat/1.png"), member("dog/1.png"), *links)
    assert read_source(str(tmp_path / "a.zip")).train.names == ["cat/1.png", "dog/1.png"]
    assert "a.zip holds 1 links or devices, which are passed over" in capsys.readouterr().err
    assert read_source(str(tmp_path / "b.tar")).train.names == ["cat/1.png", "dog/1.png", "owl/1.png"]
    assert "b.tar holds 4 links or devices, which are passed over" in capsys.readouterr().err
    assert not any(file.is_symlink() for file in cache.rglob("*"))
    assert not Path("/tmp/1.png").exists()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(archives, "SMALL", 10_000)
    path = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("cat/1.png", bytes(2_000_000))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(member("cat/1.png", 2_000_000), io.BytesIO(bytes(2_000_000)))
    with pytest.raises(InputError, match=r"holds more than [\d,]+ bytes, too much: unpack it yourself"):
        read_source(str(path))
    assert held(cache) == []


def damaged(photos: Path, kind: str) -> Path:
    """Cut off, flipped, encrypted, of negative size, or something else altogether."""
    if kind == "cut.tar":
        whole = pack(photos, "tar").read_bytes()
    elif kind == "cut.tar.gz":
        whole = pack(photos, "tar.gz").read_bytes()
    else:
        whole = pack(photos).read_bytes()
    path = photos.with_name(kind)
    if kind.startswith("cut"):
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped.zip":
        place = whole.index(b"PNG") + 60
        path.write_bytes(whole[:place] + bytes(byte ^ 255 for byte in whole[place : place + 9]) + whole[place + 9 :])
    elif kind == "encrypted.zip":
        # The flag of each entry, in its own header and in the list at the end.
        changed = bytearray(whole)
        for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = -1
            while (at := whole.find(mark, at + 1)) >= 0:
                changed[at + offset] |= 1
        path.write_bytes(changed)
    elif kind == "negative.tar":
        write_tar(path, member("cat/1.png"), member("cat/2.png", 0))
        content = bytearray(path.read_bytes())
        content[1024 + 124 : 1024 + 136] = b"\xff" * 10 + b"\xf0\x00"
        content[1024 + 148 : 1024 + 156] = b" " * 8
        content[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(content[1024:1536])
        path.write_bytes(content)
    elif kind == "photos.rar":
        path.write_bytes(b"Rar!\x1a\x07\x00")
    elif kind == "between.tar":
        path.write_bytes(write_tar(path, member("cat/1.png"), member("dog/1.png")).read_bytes()[:2048])
    else:
        path.write_bytes(b"hello")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut.zip", "archive .*cut.zip is damaged or not whole: get it again"),
        ("cut.tar", "archive .*cut.tar cannot be unpacked .empty header.: get it again"),
        ("between.tar", "archive .*between.tar cannot be unpacked .its end is missing.: get it again"),
        ("cut.tar.gz", "archive .*cut.tar.gz (cannot be unpacked|is damaged)"),
        ("flipped.zip", "archive .*flipped.zip cannot be unpacked"),
        ("encrypted.zip", "archive .*encrypted.zip cannot be unpacked .*(encrypted|password)"),
        ("negative.tar", "archive .*negative.tar cannot be unpacked"),
        ("photos.rar", "archive .*photos.rar is neither zip nor tar: unpack it, and give the folder"),
        ("hello.zip", "archive .*hello.zip is damaged or not whole: get it again"),
        ("hello.jpg", "hello.jpg is a file: give a folder of images"),
    ],
)
def test_damaged_archives(photos: Path, cache: Path, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_source(str(damaged(photos, kind)))
    assert held(cache) == []


@pytest.mark.parametrize("source", ["https://x.org/photos.zip", "s3://bucket/photos", "csv:http://x.org/labels.csv"])
def test_addresses(source: str) -> None:
    with pytest.raises(InputError, match="is an address: download it first, and give the file or the folder"):
        read_source(source)
