"""What belongs in the package, seen in what is installed."""

import tomllib
from importlib import resources
from pathlib import Path

import yaml

from mixnn.presets import preset_names

ROOT = Path(__file__).resolve().parents[1]


def test_the_package_has_what_is_no_code():
    package = resources.files("mixnn")
    for name in ("py.typed", "results/report/template/page.html", "data/clothing/labels.csv"):
        assert (package / name).is_file(), name
    assert "paper" in preset_names()


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"]
