"""What is wrong with a network, its weights or its size is said with the fix, and before images are read."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mixnn.cli.main import main
from mixnn.data.images import decoder
from mixnn.errors import InputError
from mixnn.models.classifier import network_factory


class Fixed(nn.Module):
    """Takes 32 px alone."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3 * 32 * 32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.line(x.flatten(1))


def fixed(size: int) -> tuple[nn.Module, int]:
    return Fixed(), 8


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Images that nobody may decode."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((32, 32, 3), 9 * i, np.uint8)).save(tmp_path / f"photos/{name}/{i}.png")
    read = []
    monkeypatch.setattr(decoder, "open_image", read.append)
    yield tmp_path / "photos"
    assert read == []


HAS = "timm has it: write timm:resnet50"
LIST = (
    "cnn, resnet18, resnet34, preactresnet18, mini, fast, fast-wide, fast-narrow, mlp, efficientnet-lite0, or "
    "package.module:factory"
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet50", f"network 'resnet50' is unknown: did you mean resnet34? There are {LIST}; {HAS}"),
        ("vit_b", f"network 'vit_b' is unknown: use one of {LIST}; timm has timm:vit_base"),
        ("xyzzy", f"network 'xyzzy' is unknown: use one of {LIST}; timm has none of that name either"),
    ],
)
def test_networks_of_timm(monkeypatch, name, words):
    known = SimpleNamespace(list_models=lambda: ["resnet50", "resnet50d", "vit_base", "efficientnet_b0"])
    monkeypatch.setitem(sys.modules, "timm", known)
    with pytest.raises(InputError) as caught:
        network_factory(name)
    assert str(caught.value) == words


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError) as caught:
        network_factory("resnet50")
    assert str(caught.value).endswith("; if it is a network of timm, write timm:resnet50 (pip install 'mixnn[vision]')")


COMMANDS = ("train", "find")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_size_that_the_network_does_not_take(photos, tmp_path, capsys, command):
    words = ["--network", f"{__name__}:fixed", "--out", str(tmp_path / "run"), "--data.workers", "0"]
    assert main([command, str(photos), *words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    size = 64 if command == "train" else 128
    assert said.startswith(
        f"mixnn: network '{__name__}:fixed' does not take inputs of shape (3, {size}, {size}) (mat1 "
    )
    assert said.endswith("): it takes images of 32 px: --data.image-size 32, or another --network")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (
            "hub",
            "--weights hub is for networks timm:NAME, the network is 'cnn': give a file, or --weights null for none",
        ),
        ("gone.pt", "weights gone.pt cannot be read (No such file or directory): give an existing file"),
        ("{other}", "tensors of network 'cnn'"),
    ],
)
def test_weights_that_cannot_be_had(photos, tmp_path, capsys, command, weights, words):
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "other.pt")
    given = ["--network", "cnn", "--weights", weights.format(other=tmp_path / "other.pt")]
    assert main([command, str(photos), *given, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run/config.yaml").exists()
