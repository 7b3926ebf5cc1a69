"""What counts as an image: by content, not by ending; what is none is listed, counted and told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from mixnn.cli.main import main
from mixnn.data.images import formats
from mixnn.data.images.decoder import BadImage, decode
from mixnn.data.images.formats import why_no_image
from mixnn.data.readers import Columns
from mixnn.data.readers.folder import read_folder
from mixnn.errors import InputError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
KINDS = {
    "jfif": "JPEG",
    "avif": "AVIF",
    "xyz": "PNG",
    "": "JPEG",
    "tga": "TGA",
    "ico": "ICO",
    "JPE": "JPEG",
    "db2": "GIF",
}


def write(path: Path, kind: str, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, kind)


@pytest.fixture
def photos(tmp_path):
    """Two classes, each with all kinds of images, and what lies among images."""
    top = tmp_path / "photos"
    for place, name in enumerate(("cat", "dog")):
        for number, (ending, kind) in enumerate(KINDS.items()):
            if kind != "AVIF" or features.check("avif"):
                write(
                    top / name / (f"{kind}{number}.{ending}" if ending else f"{kind}{number}"),
                    kind,
                    100 * place + number,
                )
        write(top / name / "png-in-truth.jpg", "PNG", 100 * place + 50)
    for name in ("cat/Thumbs.db", "cat/notes.txt", "dog/more.txt", "dog/.DS_Store", "dog/README", "dog/labels.csv"):
        (top / name).write_text("Rex")
    (top / "dog/letter.odd").write_text("Rex")
    (top / "dog/nothing").touch()
    (top / "dog/phone.heic").write_bytes(HEIC)
    return top


def test_images_are_known_by_content(photos, capsys):
    part = read_folder(str(photos), Columns()).parts["train"]
    images = 2 * (len(KINDS) + 1 - (not features.check("avif")))
    assert len(part.names) == images + 1  # the .heic, by its ending
    assert list(part.unreadable) == [("dog/letter.odd", "is no image"), ("dog/nothing", "is empty")]
    told = "6 other files passed over: 2 .txt, 1 .csv, 1 .db, 1 README, 1 hidden"
    assert capsys.readouterr().err == f"mixnn: {photos}/: {told}\n"
    good = [row for row, name in enumerate(part.names) if not name.endswith("heic")]
    assert all(decode(part.images.source(row), 16).shape == (16, 16, 3) for row in good)


def test_a_file_with_a_usual_name_is_not_opened_to_be_listed(photos, monkeypatch):
    opened = []
    monkeypatch.setattr(formats, "why_no_image", lambda path: opened.append(Path(path).suffix))
    read_folder(str(photos), Columns())
    assert set(opened) == {".xyz", "", ".tga", ".ico", ".db2", ".odd"}


def test_heic_says_what_it_needs(tmp_path):
    if "HEIF" in Image.OPEN:
        pytest.skip("pillow-heif is here")
    (tmp_path / "a").write_bytes(HEIC)
    needs = "is HEIC: pip install 'mixnn[heif]'"
    assert why_no_image(str(tmp_path / "a")) == needs
    with pytest.raises(BadImage) as caught:
        decode(HEIC, 16)
    assert str(caught.value) == needs


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    write(tmp_path / "a", "HEIF")
    assert why_no_image(str(tmp_path / "a")) is None
    assert decode(str(tmp_path / "a"), 16).shape == (16, 16, 3)


def test_no_program_is_started_for_an_eps(tmp_path):
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(BadImage, match=r"^is EPS, no picture of pixels: save it as PNG$"):
        decode(str(tmp_path / "a.eps"), 16)


def test_check_train_and_predict_read_the_same_files(photos, tmp_path, capsys):
    """`find` reads by what `train` does."""
    assert main(["check", str(photos), "--out", str(tmp_path / "f.csv")]) == 1
    said = capsys.readouterr().out
    bad = 2 if "HEIF" in Image.OPEN else 3
    assert f"can be read, {bad + ('HEIF' in Image.OPEN)} cannot" in said
    assert "dog/letter.odd (is no image)" in said
    words = ["--epochs", "1", "--method", "ce", "--network", "mini", "--data.image-size", "16", "--data.holdout", "0"]
    assert main(["train", str(photos), "--out", str(tmp_path / "run"), "--batch-size", "4", *words]) == 0
    assert "cannot be read and are set aside; the first: dog/" in capsys.readouterr().err
    rows = (tmp_path / "run/unreadable.csv").read_text().splitlines()
    assert {"dog/letter.odd,train,is no image", "dog/nothing,train,is empty"} < set(rows)
    read = [str(path) for path in sorted((photos / "cat").iterdir()) if path.suffix not in (".db", ".txt")]
    assert main(["predict", str(tmp_path / "run"), *read]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(read)


def test_fail_stops_at_what_is_no_image(photos, tmp_path, capsys):
    (photos / "dog/phone.heic").unlink()
    assert main(["train", str(photos), "--out", str(tmp_path / "run"), "--data.on-bad-image", "fail"]) == 2
    assert "image dog/letter.odd (is no image) cannot be read, and 1 more" in capsys.readouterr().err


def test_a_class_without_any_image_says_why(photos):
    for path in (photos / "cat").iterdir():
        path.unlink()
    (photos / "cat/x.odd").write_text("Rex")
    with pytest.raises(InputError, match=r"cat has no images \(.*x\.odd is no image\): put some there, or move it out"):
        read_folder(str(photos), Columns())
