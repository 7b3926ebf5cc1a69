"""What mkdocs needs to know: pages that lie outside of docs/, links between them, and the API reference."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import mixnn

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {  # file of the repository -> its place in the site
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "results.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/real_errors/README.md": "real-errors.md",
    "benchmarks/speed/README.md": "speed.md",
    "benchmarks/real_errors.png": "real_errors.png",
}
API = "api.md"
FIRST = ("find_label_issues", "LabelIssues", "NoisyLabelClassifier", "find", "train", "Run")
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put the cards of the methods into the menu, after the page that lists them."""
    for section in config.nav:
        for title, pages in section.items():
            for part in pages if title == "Train" else []:
                if "Methods" in part:
                    part["Methods"] += [{name: f"methods/{name}.md"} for name in mixnn.METHODS]
    return config


def on_files(files: Files, config: Any) -> Files:
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, API, content=reference()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the repository has them, turned into links of the site; those to other files become plain words."""
    uri = page.file.src_uri
    real = next((path for path, place in OUTSIDE.items() if place == uri), f"docs/{uri}")

    def linked(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        place = in_site(os.path.normpath(os.path.join(os.path.dirname(real), target)))
        if place is None:
            return words
        return f"[{words}]({os.path.relpath(place, os.path.dirname(uri) or '.')}{anchor})"

    return LINK.sub(linked, markdown)


def in_site(path: str) -> str | None:
    """The place of a file of the repository in the site; None where it is not part of it."""
    if path == "README.md":
        return "index.md"
    inside = path.removeprefix("docs/")
    return inside if inside == API or (inside != path and (ROOT / path).is_file()) else OUTSIDE.get(path)


def reference() -> str:
    """A page with the docstrings of all public names."""
    names = [name for name in FIRST if name in mixnn.__all__]
    names += sorted(set(mixnn.__all__) - set(names))
    return "# API reference\n\n" + "\n\n".join(f"::: mixnn.{name}" for name in names) + "\n"
