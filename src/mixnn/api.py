"""The Python door: a training by the command line's keywords, and a run directory as an object.

Must not know: torch, until something is trained or predicted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from mixnn.cli import find as find_words
from mixnn.cli.train import parse
from mixnn.config import IN_MEMORY
from mixnn.data.read import read
from mixnn.data.readers.arrays import arrays_in_memory
from mixnn.errors import InputError
from mixnn.label_quality.html import issues_html
from mixnn.label_quality.issues import LabelIssues
from mixnn.results.issues import noise_rate_words, stored_label_issues
from mixnn.results.report.page import write_report
from mixnn.results.report.pictures import read_pictures
from mixnn.runs.directory import RunDirectory

if TYPE_CHECKING:
    from mixnn.training.prediction import Model


def train(
    source: str | Path | tuple[ArrayLike, ArrayLike], /, *, out: str | Path, resume: bool = False, **settings: Any
) -> Run:
    """Train a classifier on partly wrong labels, and judge every label: `mixnn train` from Python.

    Args:
        source: what the command line takes as DATA, such as "photos/", "csv:labels.csv" or "hf:NAME"; or a pair of
            arrays: images uint8 (N, H, W, 3) or (N, 3, H, W), embeddings float (N, D), or N texts; and N labels.
        out: directory to write the run to.
        resume: go on where `out` stopped; start if it holds nothing yet.
        settings: the options of `mixnn train --help all`, with underscores: `method`, `network`, `epochs`, `noise`,
            `batch_size`, `lr`, `seed`, `device`, `preset`, `config` …; those with a dot as a dict,
            `data={"holdout": 0.2}` or `mixnn={"neighbors": 4}`, or as `**{"data.holdout": 0.2}`.

    Raises:
        InputError: something given is wrong; nothing was trained.
        ResultsError: it is trained, but some results could not be written.

    Example:
        >>> run = mixnn.train("photos/", out="runs/first", epochs=40)  # doctest: +SKIP
        >>> run.label_issues().to_frame().head()  # doctest: +SKIP
    """
    if "source" in settings:
        raise InputError(f"source is {settings['source']!r}: give it as the first argument, as train('photos/', …)")
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else IN_MEMORY
    words = [f"--source={name}", f"--out={os.fspath(out)}", *(["--resume"] if resume else []), *as_words(settings)]
    with told_in_keywords():
        config, _, _ = parse(words)
        dataset = read(arrays_in_memory(*pair(source)), config.options.data) if name == IN_MEMORY else None

        from mixnn.training.run import train as train_run

        return Run(train_run(config, out, resume=resume, dataset=dataset).path)


def find(source: str | Path | tuple[ArrayLike, ArrayLike], /, *, out: str | Path, **settings: Any) -> Run:
    """Find the wrong labels without training: `mixnn find` from Python.

    Args:
        source: see `train`.
        out: directory to write the run to.
        settings: the options of `mixnn find --help all`, with underscores, as for `train`.

    Raises:
        InputError: something given is wrong; nothing was written.
        ResultsError: the labels are judged, but some results could not be written.

    Example:
        >>> mixnn.find("photos/", out="runs/first").report()  # doctest: +SKIP
    """
    if "source" in settings:
        raise InputError(f"source is {settings['source']!r}: give it as the first argument, as find('photos/', …)")
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else IN_MEMORY
    with told_in_keywords():
        config, _, _ = find_words.parse([f"--source={name}", f"--out={os.fspath(out)}", *as_words(settings)])
        assert config is not None
        dataset = read(arrays_in_memory(*pair(source)), config.options.data) if name == IN_MEMORY else None

        from mixnn.training.find import find as find_run

        return Run(find_run(config, out, dataset=dataset).path)


def pair(data: Any) -> tuple[Any, Any]:
    """Raises InputError unless `data` is a pair."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        what = f"{len(data)} parts" if isinstance(data, tuple | list) else f"type {type(data).__name__}"
        raise InputError(f"data has {what}: give (images, labels), or the name of a folder or file")
    return data[0], data[1]


def as_words(settings: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """Keywords as words of the command line: {"data": {"holdout": 0.2}} as --data.holdout=0.2."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from as_words(value, f"{section}{name}.")
        else:
            yield f"--{section}{name}={os.fspath(value) if isinstance(value, str | os.PathLike) else as_json(value)}"


def as_json(value: object) -> str:
    """NumPy's numbers are numbers too."""
    return json.dumps(value, default=lambda number: number.item() if hasattr(number, "item") else str(number))


@contextmanager
def told_in_keywords() -> Iterator[None]:
    """Errors name options as Python writes them."""
    try:
        yield
    except InputError as error:
        error.args = (as_keywords(str(error)),)
        raise


def as_keywords(message: str) -> str:
    """Options as Python writes them, but in quoted commands: --batch-size as batch_size."""
    found = re.compile(r"`[^`]*`|(?<![\w-])--([a-z][\w.-]*)")
    return found.sub(lambda m: m[0] if m[1] is None else m[1].replace("-", "_"), message)


class Run:
    """A run directory of `mixnn train` or `mixnn find`.

    Args:
        path: the directory.

    Attributes:
        path: the directory.

    Raises:
        InputError: it holds no run.

    Example:
        >>> run = mixnn.Run("runs/first")  # doctest: +SKIP
        >>> run.label_issues().noise_rate  # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self._files = RunDirectory.existing(path)
        self.path = self._files.path

    @property
    def classes(self) -> list[str]:
        """C names, in the order of the model's probabilities."""
        return self._files.read_classes()

    def label_issues(self) -> LabelIssues:
        """What is known of every label that was trained on, with file names; stored, not worked out anew.

        Raises:
            InputError: the run is not finished.
        """
        evidence = self._files.read_evidence()
        return replace(stored_label_issues(evidence), classes=self.classes, names=evidence.names)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.csv, one an epoch: loss, accuracy, seconds …; numbers as numbers, None where empty.

        Raises:
            InputError: nothing was trained.
        """
        self._files.check_trained()
        rows = self._files.read_metrics()
        return [{name: as_cell(name, text) for name, text in row.items()} for row in rows]

    def model(self, device: str = "auto", *, network: str | None = None) -> Model:
        """The trained model, ready to predict, see `mixnn.Model`.

        Args:
            device: cpu, cuda, cuda:1 …; auto takes a GPU where there is one.
            network: that of the run, where it is code of yours, `package.module:factory`: a file names none.

        Raises:
            InputError: the run is of `mixnn find`, which has no model, or is not finished, or its model names code.
        """
        self._files.check_trained()
        from mixnn.training.prediction import Model
        from mixnn.training.records import run_encoder
        from mixnn.utils.devices import pick_device

        with told_in_keywords():
            return Model(self._files.model, self.classes, pick_device(device), network, run_encoder(self._files))

    def report(self) -> Path:
        """The path of the HTML page, which is written where it is missing.

        Raises:
            InputError: the run is not finished.
        """
        if not self._files.report.is_file():
            write_report(self._files, self._files.report)
        return self._files.report

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}): {self._summary()}"

    def _repr_html_(self) -> str:
        """For notebooks: the share of wrong labels, the likeliest of them, the noise matrix, a link to the report."""
        lines = [f"<p><b>{escape(str(self.path))}</b>: {escape(self._summary())}</p>"]
        with suppress(InputError):  # not finished, which the first line says
            lines.append(issues_html(self.label_issues(), read_pictures(self._files)))
        if self._files.report.is_file():
            link = Path(os.path.relpath(self._files.report)).as_posix()
            lines.append(f'<p><a href="{escape(link)}" target="_blank">report</a></p>')
        return "\n".join(lines)

    def _summary(self) -> str:
        """One line; also of a run that is not finished."""
        try:
            issues = self.label_issues()
        except InputError:
            return "not finished"
        known, flagged = int((issues.given >= 0).sum()), int(issues.is_label_issue.sum())
        return (
            f"{flagged:,} label issues of {known:,} labels, {len(issues.classes):,} classes; {noise_rate_words(issues)}"
        )


def as_cell(column: str, text: str) -> int | float | str | None:
    """A cell of metrics.csv as what it is; None where it is empty."""
    try:
        return int(text) if column == "epoch" else float(text)
    except ValueError:
        return text or None
