#!/usr/bin/env bash
# Guess: `safetensors.numpy.save_file` stores any array by its values, or refuses one that is not contiguous, as
# `safetensors.torch.save_file` does.
# Behavior: it writes the array's memory as it lies, under the array's shape. A transposed, column-major (as
# scikit-learn's PCA returns) or strided array comes back with other values, without an error.
# Seen with safetensors 0.8.0 (0.7.0 stores the values): [[0 1 2] [3 4 5]] in column-major order is read as
# [[0 3 1] [4 2 5]].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
cat >order.py <<'PY'
import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

rows = np.arange(6, dtype=np.float32).reshape(2, 3)
column_major = np.asfortranarray(rows)
save_file({"rows": rows, "column_major": column_major}, "arrays.safetensors")
read = load_file("arrays.safetensors")
print(safetensors.__version__, read["rows"].tolist(), read["column_major"].tolist())
assert np.array_equal(rows, column_major)
assert read["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
as_it_lies = [[0, 3, 1], [4, 2, 5]]
assert read["column_major"].tolist() == (as_it_lies if safetensors.__version__ == "0.8.0" else rows.tolist())
PY
for version in 0.7.0 0.8.0; do
    "$folder/venv/bin/pip" install --quiet "safetensors==$version" numpy==2.4.6
    "$folder/venv/bin/python" order.py
done
