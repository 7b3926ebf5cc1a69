"""One HTML file that shows a run and takes decisions on its label issues. Must not know: torch, training."""

from __future__ import annotations

import shlex
from dataclasses import replace
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from mixnn.results.issues import percent, stored_label_issues
from mixnn.results.report.columns import name_html, script_json
from mixnn.results.report.content import collect
from mixnn.results.report.summary import summary
from mixnn.results.report.umap_2d import umap_2d
from mixnn.runs.directory import RunDirectory
from mixnn.runs.sample_lists import read_records
from mixnn.utils.files import atomic_write, read_yaml

TEMPLATE = resources.files("mixnn.results.report") / "template"
STYLES = ("style.css", "cards.css", "print.css")
PROJECTIONS = {"pca": "principal components", "umap": "UMAP, from the nearest neighbors of each"}
SCRIPTS = ("base.js", "review.js", "matrix.js", "gallery.js", "keys.js", "map.js")
TRAINING = ("training.html", "charts.js")  # of a run with learning curves and losses


def write_report(run: RunDirectory, path: Path, projection: str = "pca") -> None:
    """Write the page to `path`, from the files of the run directory; it needs no other file, and no network.

    Args:
        projection: how the map is made, one of `PROJECTIONS`.

    Raises:
        InputError: the run is not finished, its files are damaged, or `path` cannot be written.
    """
    with run.reading():
        try:
            page = build_page(run, projection)
        except UndefinedError as error:  # a setting that the template names
            raise KeyError(str(error)) from error
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def build_page(run: RunDirectory, projection: str = "pca") -> str:
    """The page as text."""
    evidence, classes, config = run.read_evidence(), run.read_classes(), read_yaml(run.config)
    if projection == "umap":
        evidence = replace(evidence, coordinates=umap_2d(evidence))
    issues, trained = stored_label_issues(evidence), run.trained
    reviewed = ["--data.corrections", "corrections.csv", "--out", f"{run.path}-reviewed"]
    pages = Environment(
        loader=FunctionLoader(read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {"name": name_markup, "count": "{:,}".format, "percent": percent, "command": command_markup}
    return pages.get_template("page.html").render(
        summary(evidence, issues, classes, run.read_metrics() if trained else []),
        config=config,
        noun=read_records(run)[0],
        trained=trained,
        style="\n".join(map(read, STYLES)),
        apply=["mixnn", "apply", str(run.path), "corrections.csv", "--out", "CLEAN"],
        again=["mixnn", "train" if trained else "find", "--config", str(run.config), *reviewed],
        projection=PROJECTIONS[projection],
        data=script_json(collect(run, evidence, issues)),
        script="\n".join(map(read, (*SCRIPTS, *TRAINING[1:]) if trained else SCRIPTS)),
    )


def read(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def name_markup(name: object) -> Markup:
    """A name for the page, whatever it holds."""
    return Markup(name_html(str(name)))


def command_markup(words: list[str]) -> Markup:
    """A command to copy; no line ends within a word."""
    spans = " ".join(f"<span>{name_html(shlex.quote(word))}</span>" for word in words)
    return Markup(f"<pre><code>{spans}</code></pre>")
