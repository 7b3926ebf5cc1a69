#!/usr/bin/env bash
# Guess: cleanvision, which looks for dark, light and blurry pictures, sees a 16-bit gray PNG as it sees the same picture
# with 8 bits; its scores lie between 0 and 1.
# Behavior: brightness is divided by 255 whatever the depth. A medium picture with 16 bits is "light" at a score far
# below 0, its score for "dark" is far above 1, so that no such picture can be found dark; the check for gray pictures
# passes over it.
# Seen with cleanvision 0.3.7: the same picture (gray values 60 to 200 of 255) is fine with 8 bits, and an issue
# ("light", score below 0) with 16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cleanvision==0.3.7 pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import contextlib
import io
import os
from importlib.metadata import version

import numpy as np
from cleanvision import Imagelab
from PIL import Image

os.mkdir("photos")
coarse = Image.fromarray(np.random.default_rng(0).integers(60, 200, (8, 8), dtype=np.uint8))
gray = np.asarray(coarse.resize((128, 128)))
Image.fromarray(gray).save("photos/8.png")
Image.fromarray(gray.astype(np.uint16) * 257).save("photos/16.png")
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    lab = Imagelab(data_path="photos")
    lab.find_issues(n_jobs=1)
issues = lab.issues.rename(index=os.path.basename)
print("cleanvision", version("cleanvision"))
print(issues[["is_light_issue", "light_score", "is_dark_issue", "dark_score", "is_grayscale_issue"]].to_string())
assert not issues.loc["8.png", "is_light_issue"] and 0 < issues.loc["8.png", "light_score"] < 1
assert issues.loc["16.png", "is_light_issue"] and issues.loc["16.png", "light_score"] < -1
assert issues.loc["16.png", "dark_score"] > 100
assert issues.loc["8.png", "is_grayscale_issue"] and not issues.loc["16.png", "is_grayscale_issue"]
PY
