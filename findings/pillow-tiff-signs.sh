#!/usr/bin/env bash
# Guess: Pillow reads what tifffile has written, or says that it cannot.
# Behavior: whether samples have a sign is passed over for two types. int8 comes as unsigned, uint32 as signed; negative
# and large values wrap around without a word. float16 and float64 are no image at all.
# Seen with Pillow 13.0.0 and tifffile 2026.3.3: int8 -5 is read as 251 (mode L), uint32 3000000000 as -1294967296
# (mode I); int16 -5 and int32 -5 are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import PIL
import tifffile
from PIL import Image, UnidentifiedImageError


def read(kind: str, value: float) -> tuple[str, float] | None:
    tifffile.imwrite("gray.tif", np.full((4, 4), value, kind), photometric="minisblack")
    try:
        image = Image.open("gray.tif")
    except UnidentifiedImageError:
        return None
    return image.mode, np.asarray(image)[0, 0].item()


samples = {"int8": -5, "int16": -5, "int32": -5, "uint32": 3_000_000_000, "float16": 0.5, "float64": 0.5}
seen = {kind: read(kind, value) for kind, value in samples.items()}
print(PIL.__version__, tifffile.__version__, seen)
assert seen == {
    "int8": ("L", 251),
    "int16": ("I", -5),
    "int32": ("I", -5),
    "uint32": ("I", -1_294_967_296),
    "float16": None,
    "float64": None,
}
PY
