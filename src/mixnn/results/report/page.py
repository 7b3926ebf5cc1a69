"""One HTML file that shows a run and takes decisions on its suspects. Must not know: torch, training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import stored_label_issues
from mixnn.results.report.columns import name_html, script_json
from mixnn.results.report.content import collect
from mixnn.results.report.sentences import (
    apply_words,
    class_rows,
    command_html,
    facts,
    is_low_noise,
    next_steps,
    percent,
    sentences,
)
from mixnn.results.report.umap_2d import umap_2d
from mixnn.runs.directory import Evidence, RunDirectory
from mixnn.utils.files import atomic_write, read_yaml

TEMPLATE = resources.files("mixnn.results.report") / "template"
STYLES = ("style.css", "cards.css", "print.css")
PROJECTIONS = {"pca": "principal components", "umap": "UMAP, from the nearest neighbors of each"}
SCRIPTS = ("base.js", "review.js", "matrix.js", "gallery.js", "keys.js", "map.js")
TRAINING = ("training.html", "charts.js")  # of a run with learning curves and losses
TRAINING_LINK = '<a href="#training">Training</a>'


def write_report(run: RunDirectory, path: Path, projection: str = "pca") -> None:
    """Write the page to `path`, from the files of the run directory; it needs no other file, and no network.

    Args:
        projection: how the map is made, one of `PROJECTIONS`.

    Raises:
        InputError: the run is not finished, its files are damaged, or `path` cannot be written.
    """
    with run.reading():
        page = build_page(run, projection)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def build_page(run: RunDirectory, projection: str = "pca") -> str:
    """The page as text."""
    evidence, classes, config = run.read_evidence(), run.read_classes(), read_yaml(run.config)
    if projection == "umap":
        evidence = replace(evidence, coordinates=umap_2d(evidence))
    issues, metrics = stored_label_issues(evidence), run.read_metrics() if run.trained else []
    low_noise = is_low_noise(issues, int((evidence.given >= 0).sum()))
    return Template(read("page.html")).substitute(
        title=name_html(str(config["source"])).removeprefix("<bdi>").removesuffix("</bdi>"),
        source=name_html(str(config["source"])),
        about=name_html(about_run(config)),
        style="\n".join(map(read, STYLES)),
        facts="\n".join(fact_html(*fact) for fact in facts(evidence, issues, metrics)),
        summary="\n".join(f"<p>{sentence}</p>" for sentence in sentences(evidence, issues, classes, metrics)),
        next_steps="\n".join(step_html(text, command) for text, command in next_steps(run, config, low_noise)),
        class_rows=class_table(evidence, issues, classes),
        projection=PROJECTIONS[projection],
        training=read(TRAINING[0]) if run.trained else "",
        training_link=TRAINING_LINK if run.trained else "",
        apply=command_html(apply_words(run)),
        data=script_json(collect(run, evidence, issues)),
        script="\n".join(map(read, (*SCRIPTS, *TRAINING[1:]) if run.trained else SCRIPTS)),
    )


def about_run(config: Mapping[str, Any]) -> str:
    """How the run was made, in one line."""
    added = f", noise {config['noise']} added" if config.get("noise") else ""
    if config.get("command") == "find":
        return f"found without training, seed {config['seed']}{added}"
    return f"{config['method']}, {config['epochs']} epochs, seed {config['seed']}{added}"


def read(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def fact_html(figure: str, what: str) -> str:
    return f"<div><dt>{what}</dt><dd>{figure}</dd></div>"


def step_html(text: str, command: list[str]) -> str:
    return f"<li>{text}{command_html(command) if command else ''}</li>"


def class_table(evidence: Evidence, issues: LabelIssues, classes: list[str]) -> str:
    """The rows of the table of classes."""
    return "\n".join(
        f'<tr><th scope="row">{name}</th><td>{count:,}</td><td>{wrong:,}</td>'
        f'<td class="bar" style="--share:{wrong / max(1, count):.4f}">{percent(wrong / max(1, count))}</td>'
        f"<td>{largest}</td><td>{right}</td></tr>"
        for name, count, wrong, largest, right in class_rows(evidence, issues, classes)
    )
