#!/usr/bin/env bash
# Guess: `load_dataset("imagefolder")` of class folders takes the top folder as the class, as torchvision's ImageFolder
# does, whatever lies below it; a picture outside of the class folders has no label.
# Behavior: the innermost folder is the class (breeds in place of animals). Where files lie at different depths, no
# label is left at all, of any picture, and nothing is said.
# Seen with datasets 5.2.0:
#     cat/siamese/1.png dog/pug/2.png             -> classes ['pug', 'siamese']
#     cat/1.png dog/2.png dog/more/3.png          -> no label column, 3 rows
#     cat/1.png dog/2.png cover.png               -> no label column, 3 rows
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0
cd "$folder"
HF_HOME="$folder/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/venv/bin/python" - <<'PY'
from pathlib import Path

import datasets
from PIL import Image


def classes(name: str, *files: str) -> tuple[int, list[str] | None]:
    for file in files:
        path = Path(name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    rows = datasets.load_dataset("imagefolder", data_dir=name, split="train")
    label = rows.features.get("label")
    return len(rows), None if label is None else label.names


seen = {
    "even": classes("even", "cat/1.png", "dog/2.png"),
    "breeds": classes("breeds", "cat/siamese/1.png", "dog/pug/2.png"),
    "uneven": classes("uneven", "cat/1.png", "dog/2.png", "dog/more/3.png"),
    "beside": classes("beside", "cat/1.png", "dog/2.png", "cover.png"),
}
print(datasets.__version__, seen)
assert seen == {
    "even": (2, ["cat", "dog"]),
    "breeds": (2, ["pug", "siamese"]),
    "uneven": (3, None),
    "beside": (3, None),
}
PY
