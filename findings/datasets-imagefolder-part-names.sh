#!/usr/bin/env bash
# Guess: `load_dataset("imagefolder")` takes folders called train and test for splits where they lie on top, and all
# other folders for classes.
# Behavior: a word such as "test" anywhere in a folder's or a file's name makes a split, and what has none is left out
# in silence where another part is found: one folder hides all the classes beside it.
# Seen with datasets 5.2.0:
#     cat/1.png dog/2.png test_set/3.png          -> {'test': 1 row}: cat and dog are gone
#     cat/train/1.png cat/test/2.png, dog likewise -> two splits, whose classes are called "train" and "test"
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


def splits(name: str, *files: str) -> dict[str, tuple[int, list[str] | None]]:
    for file in files:
        path = Path(name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    parts = datasets.load_dataset("imagefolder", data_dir=name)
    return {
        split: (len(rows), rows.features["label"].names if "label" in rows.features else None)
        for split, rows in parts.items()
    }


seen = {
    "beside": splits("beside", "cat/1.png", "dog/2.png", "test_set/3.png"),
    "below": splits("below", "cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png"),
}
print(datasets.__version__, seen)
assert seen["beside"] == {"test": (1, None)}
assert seen["below"] == {"train": (2, ["test", "train"]), "test": (2, ["test", "train"])}
PY
