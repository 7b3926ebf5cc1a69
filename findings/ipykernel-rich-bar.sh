#!/usr/bin/env bash
# Guess: a command that a notebook runs by "!" has a pipe for its output, as under CI; a progress bar of rich is then
# quiet, or leaves one line.
# Behavior: ipykernel gives the command a terminal, so that rich draws, and the notebook keeps every state of the bar
# with its control codes: what grows is the file, by the length of the work.
# Seen with ipykernel 7.4.0, nbclient 0.11.0, rich 15.0.0: isatty() is True in the command. A bar of two seconds leaves
# 2,353 characters with 215 control codes in the notebook, and 92 characters without any in a pipe. JPY_PARENT_PID in
# its environment tells such a command where it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1 rich==15.0.0
cd "$folder"
cat >bar.py <<'PY'
import os
import sys
import time

from rich.progress import track

for _ in track(range(40)):
    time.sleep(0.05)
print(f"terminal {sys.stdout.isatty()}, told {'JPY_PARENT_PID' in os.environ}")
PY
"$folder/venv/bin/python" -m ipykernel install --prefix "$folder/venv" --name here >/dev/null 2>&1
PATH="$folder/venv/bin:$PATH" "$folder/venv/bin/python" - <<'PY'
import subprocess
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"!{sys.executable} bar.py")])
NotebookClient(notebook, kernel_name="here", timeout=60).execute()
kept = "".join(output["text"] for output in notebook.cells[0].outputs if output.output_type == "stream")
piped = subprocess.run([sys.executable, "bar.py"], capture_output=True, text=True, check=True).stdout
print(f"in the notebook: {len(kept):,} characters, {kept.count(chr(27)):,} control codes")
print(f"in a pipe: {len(piped):,} characters, {piped.count(chr(27))} control codes")
assert "terminal True, told True" in kept and "terminal False, told False" in piped
assert len(kept) > 10 * len(piped) and kept.count("\x1b") > 100 and piped.count("\x1b") == 0
PY
