"""The photos inside the package, and the demo on a few of them."""

from importlib import resources
from pathlib import Path

import pytest
from PIL import Image

from mixnn.cli.main import main
from mixnn.data.readers import read_source
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory


def test_the_photos():
    photos = read_source("demo:")
    assert len(photos.classes) == 10
    assert photos.train.images.shape == (4514, 64, 64, 3)
    assert photos.train.images.std(axis=(1, 2, 3)).min() > 0  # no empty square of a sheet among them
    assert len(set(photos.train.names)) == 4514


def test_it_takes_no_path():
    with pytest.raises(InputError, match=r"'demo:photos'.*: write demo: alone, or folder:photos"):
        read_source("demo:photos")


def test_size_and_license():
    folder = resources.files("mixnn.data") / "clothing"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 7_000_000
    assert "CC0" in (folder / "LICENSE.txt").read_text()


@pytest.mark.slow
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["demo", "--out", str(tmp_path), "--limit", "120", "--epochs", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    rows = RunDirectory(tmp_path).read_table(tmp_path / "comparison.csv")
    assert [row["method"] for row in rows] == ["cross-entropy", "posterior"]
    assert list(rows[0]) == ["method", "last_accuracy", "best_accuracy", "precision", "recall"]
    assert f"{float(rows[1]['last_accuracy']):.1%}" in out
    assert all(str(tmp_path / name) in out for name in ("ce", "posterior", "comparison.png"))
    with Image.open(tmp_path / "comparison.png") as picture:
        assert picture.width > 1000
    noise = [RunDirectory(tmp_path / name).read_arrays(tmp_path / name / "noise.npz") for name in ("ce", "posterior")]
    assert (noise[0]["flipped"] == noise[1]["flipped"]).all()  # equal terms
    assert 0.2 < noise[0]["flipped"].mean() < 0.5

    before = (tmp_path / "posterior/metrics.csv").read_bytes()
    assert main(words) == 0  # shown again, not trained again
    assert (tmp_path / "posterior/metrics.csv").read_bytes() == before
    assert capsys.readouterr().out == out
