#!/usr/bin/env bash
# Guess: what torch.export made of an encoder is an nn.Module, so that a network which holds it takes `eval()` and
# `train()` like any other, and fine-tuning loops need not know.
# Behavior: `eval()` and `train()` of the module raise NotImplementedError, and so do those of every module that holds
# it, from whatever depth; what comes before it in the tree is switched already by then. The encoder itself computes.
# Seen with torch 2.13.0: Sequential(Dropout, encoder, Linear).eval() raises, its Dropout is in eval mode, its Linear
# still in training mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import torch
from torch import nn

encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
images = torch.rand(2, 3, 16, 16)
exported = torch.export.export(encoder, (images,)).module()
assert isinstance(exported, nn.Module) and torch.allclose(exported(images), encoder(images), atol=1e-6)
network = nn.Sequential(nn.Dropout(), exported, nn.Linear(8, 2))
print("torch", torch.__version__)
for mode in ("eval", "train"):
    try:
        getattr(network, mode)()
        raise SystemExit(f"{mode}() of a network with an exported encoder works now")
    except NotImplementedError as error:
        print(f"{mode}() raises NotImplementedError: {error}")
    if mode == "eval":
        print("dropout in training mode:", network[0].training, "; head in training mode:", network[2].training)
        assert not network[0].training and network[2].training
PY
