"""Networks: shapes, what they compute by hand, and the sizes everyone else reports."""

import pytest
import torch
from torch import nn

from mixnn.errors import InputError
from mixnn.models.backbones import BasicBlock, PreActBlock, Residual
from mixnn.models.classifier import NETWORKS, Classifier, build_network, fused
from mixnn.utils.registry import resolve

MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 0.2])


def build(name: str, size: int, classes: int = 10, **options: bool) -> Classifier:
    torch.manual_seed(0)
    return build_network(name, size, classes, MEAN, STD, **options)


def images(n: int, size: int) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def stirred(module: nn.Module) -> nn.Module:
    """In eval mode, with batch-norm statistics and scales that make a difference."""
    for name, tensor in module.state_dict().items():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(len(name))) + 0.5)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("cnn", 8, 192),
        ("cnn", 32, 192),
        ("cnn", 100, 192),
        ("resnet18", 32, 512),
        ("resnet18", 64, 512),
        ("preactresnet18", 32, 512),
    ],
)
@pytest.mark.parametrize("bf16", [False, True])
def test_features_and_logits(name, size, width, bf16):
    network = build(name, size, classes=7, bf16=bf16).eval()
    x = images(2, size)
    with torch.no_grad():
        features, logits = network.features_and_logits(x)
        assert features.shape == (2, width)
        assert logits.shape == (2, 7)
        assert features.dtype == logits.dtype == torch.float32
        assert torch.equal(network(x), logits)
        assert not torch.equal(logits[0], logits[1])
        rounding = 2**-7 if bf16 else 1e-5
        torch.testing.assert_close(logits, network.head(features), rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_173_962),
        ("resnet34", 21_282_122),
        # kuangliu's 11 171 146, and the last normalization of He et al., which that code leaves out
        ("preactresnet18", 11_171_146 + 2 * 512),
    ],
)
def test_cifar_networks_have_the_published_size(name, parameters):
    with torch.device("meta"):
        body, width = NETWORKS[name](32)
        network = Classifier(body, width, 10, torch.zeros(3), torch.ones(3))
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_inputs_are_normalized_by_the_network_itself():
    network = Classifier(nn.Flatten(), 12, 4, MEAN, STD)
    x = images(5, 2)
    expected = (x - MEAN[:, None, None]) / STD[:, None, None]
    torch.testing.assert_close(network.features_and_logits(x)[0], expected.flatten(1))
    assert {"mean", "std"} <= set(network.state_dict())


def test_embeddings_are_normalized_too():
    x, mean, std = torch.randn(6, 5), torch.randn(5), torch.rand(5) + 0.5
    network = Classifier(nn.Identity(), 5, 3, mean, std)
    features, logits = network.features_and_logits(x)
    torch.testing.assert_close(features, (x - mean) / std)
    assert logits.shape == (6, 3)


def test_mlp():
    network = build_network("mlp", 20, 4, torch.zeros(20), torch.ones(20)).eval()
    features, logits = network.features_and_logits(torch.randn(3, 20))
    assert features.shape == (3, 256)
    assert logits.shape == (3, 4)


def test_bfloat16_is_near_float32():
    x = images(4, 32)
    with torch.no_grad():
        exact, rough = build("cnn", 32).eval()(x), build("cnn", 32, bf16=True).eval()(x)
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_images_of_64_pixels_cost_what_32_do(name):
    def last_map(size: int) -> torch.Size:
        body, _ = NETWORKS[name](size)
        with torch.no_grad():
            return body[:-2](images(1, size)).shape  # before pooling and flattening

    assert last_map(64) == last_map(32)


@pytest.mark.parametrize("name", ["cnn", "resnet18", "resnet34", "preactresnet18", "mini"])
@pytest.mark.parametrize("size", [28, 32, 64, 96, 224])
def test_sizes_that_data_sets_have(name, size):
    network = build(name, size, classes=3)
    network(images(2, size)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_residual():
    body = nn.Linear(3, 3)
    x = torch.randn(2, 3)
    torch.testing.assert_close(Residual(body)(x), x + body(x))


@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2), (4, 4, 2)])
def test_basic_block(c_in, c_out, stride):
    """ReLU(BN(conv(ReLU(BN(conv x)))) + shortcut), He et al. 2015."""
    block = stirred(BasicBlock(c_in, c_out, stride))
    x = torch.randn(2, c_in, 6, 6)
    (conv1, bn1), (conv2, bn2) = block.body[0], block.body[2]
    shortcut = x
    if c_in != c_out or stride != 1:
        conv, bn = block.shortcut
        assert conv.kernel_size == (1, 1)
        shortcut = bn(conv(x))
    expected = torch.relu(bn2(conv2(torch.relu(bn1(conv1(x))))) + shortcut)
    assert expected.shape == (2, c_out, 6 // stride, 6 // stride)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2)])
def test_preactivation_block(c_in, c_out, stride):
    """conv(ReLU(BN(conv(ReLU(BN x))))) + shortcut, He et al. 2016; a projection starts behind the first ReLU."""
    block = stirred(PreActBlock(c_in, c_out, stride))
    x = torch.randn(2, c_in, 6, 6)
    h = torch.relu(block.bn1(x))
    shortcut = x if c_in == c_out and stride == 1 else block.shortcut(h)
    expected = block.conv2(torch.relu(block.bn2(block.conv1(h)))) + shortcut
    assert expected.shape == (2, c_out, 6 // stride, 6 // stride)
    torch.testing.assert_close(block(x), expected)


def tiny(size: int) -> tuple[nn.Module, int]:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3


def test_a_network_of_your_own():
    network = build(f"{__name__}:tiny", 32)
    assert isinstance(network.features[0], nn.AdaptiveAvgPool2d)
    assert network(images(2, 32)).shape == (2, 10)


def made_for_other_pixels(size: int) -> tuple[nn.Module, int]:
    body, width = tiny(size)
    body.pixel_mean, body.pixel_std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
    return body, width


def without_spread(size: int) -> tuple[nn.Module, int]:
    body, width = tiny(size)
    body.pixel_std = (0.2, 0, 0.2)
    return body, width


def test_a_body_that_brings_its_pixel_statistics():
    network = build(f"{__name__}:made_for_other_pixels", 4)
    x = images(2, 4)
    expected = (x.mean((2, 3)) - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.25, 0.2, 0.1])
    torch.testing.assert_close(network.features_and_logits(x)[0], expected)
    assert torch.equal(build(f"{__name__}:tiny", 4).mean, MEAN)


def test_pixel_statistics_that_cannot_be():
    with pytest.raises(InputError, match=r"pixel_std is \(0\.2, 0, 0\.2\): give three numbers of 0\.001 to 1"):
        build(f"{__name__}:without_spread", 4)


# The head's first weight, which is drawn last: as it was before bodies moved to a module of their own.
@pytest.mark.parametrize(
    ("name", "drawn_last"),
    [
        ("cnn", -0.00571014313),
        ("resnet18", 0.00101480121),
        ("resnet34", -0.0402444638),
        ("preactresnet18", 0.0150218215),
    ],
)
def test_a_seed_draws_the_same_weights_as_ever(name, drawn_last):
    assert build(name, 32).head.weight[0, 0].item() == pytest.approx(drawn_last, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg", "network 'vgg' is unknown: use one of cnn, resnet18.*or package.module:factory"),
        ("no_such_package:net", "network 'no_such_package:net' cannot be imported"),
        ("mixnn.models.classifier:vgg", "has no attribute 'vgg'"),
        (":vgg", "cannot be imported"),
    ],
)
def test_unknown_networks(name, message):
    with pytest.raises(InputError, match=message):
        build(name, 32)


def test_look_up():
    assert resolve("cnn", NETWORKS, "thing", "name") is NETWORKS["cnn"]
    assert resolve("mixnn.models.classifier:NETWORKS", {}, "thing", "name") is NETWORKS
    with pytest.raises(
        InputError, match=r"thing 'mixnn\.models\.classifier' is unknown: use one of cnn, .*package\.module:name"
    ):
        resolve("mixnn.models.classifier", NETWORKS, "thing", "name")
    with pytest.raises(InputError, match=r"thing 'mixnn\.models\.classifier:NOTHING' cannot be imported"):
        resolve("mixnn.models.classifier:NOTHING", {}, "thing", "name")


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_a_fused_network_says_the_same(name):
    """With batch norms that have seen something, and without touching the network itself."""
    network = build(name, 32)
    x = torch.rand(8, 3, 32, 32)
    network.train()(x)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    looking = fused(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in looking.modules())
    with torch.no_grad():
        torch.testing.assert_close(looking(x), network.eval()(x), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())


def test_pixels_may_be_bytes():
    network = build_network("cnn", 32, 3, torch.rand(3), torch.rand(3) + 0.2).eval()
    pixels = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    before = pixels.clone()
    torch.testing.assert_close(network(pixels), network(pixels / 255), rtol=1e-4, atol=1e-5)
    assert torch.equal(pixels, before)
