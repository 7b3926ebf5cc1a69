"""What a run found out, as files that other tools read. Must not know: torch, the tools themselves."""

from __future__ import annotations

import importlib
from pathlib import Path

from mixnn.errors import InputError
from mixnn.results.export.findings import read_findings
from mixnn.runs.directory import RunDirectory
from mixnn.utils.files import atomic_write
from mixnn.utils.output_paths import check_place

TOOLS = {  # name -> module with write(findings, folder, prefix), imported when asked for
    "cleanlab": "cleanlab",
    "label-studio": "label_studio",
    "fiftyone": "fiftyone",
    "hf": "hugging_face",
    "numpy": "arrays",
}
PREFIXED = ("label-studio", "fiftyone")  # these open the images themselves


def export(run: RunDirectory, tool: str, out: Path, prefix: str | None = None, source: str | None = None) -> list[str]:
    """Fill the new folder `out`; the names of its files.

    Args:
        tool: one of `TOOLS`.
        prefix: what stands before the file names, for tools that open the images.
        source: where the data is now, if it was moved.

    Raises:
        InputError: the run is not complete, `out` holds something already or cannot be written, or `prefix` does not
            go with `tool`, or the data is needed and cannot be read.
    """
    if prefix is not None and tool not in PREFIXED:
        raise InputError(f"--prefix goes with --to {' and '.join(PREFIXED)}, not with {tool}: leave it away")
    check_place(out, "")
    write = importlib.import_module(f"{__name__}.{TOOLS[tool]}").write
    findings = read_findings(run, source=source, with_others=tool == "hf")
    with run.reading(), atomic_write(out) as folder:
        folder.mkdir()
        write(findings, folder, prefix or "")
        names = sorted(file.name for file in folder.iterdir())
    return names
