"""Networks of a user's own as files: the same features as the network itself, or one line that says what is wrong."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.command import call, read_csv, succeed, write_folder
from torch import nn
from torch.export import Dim

from mixnn.errors import InputError
from mixnn.models.encoder_files import load_encoder

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters


class Net(nn.Module):
    """Two convolutions, and an end of one kind or another."""

    def __init__(self, end: str = "features") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, 2))
        self.body[1].running_mean.normal_()
        self.end = end

    def forward(self, x):
        x = self.body(x)
        tokens = x.flatten(2).transpose(1, 2)
        ends = {"features": x.mean((2, 3)), "pooled": x.mean((2, 3), keepdim=True), "map": x, "tokens": tokens}
        return (tokens, ends["features"]) if self.end == "both" else ends[self.end]


def export(path: Path, network: nn.Module, *inputs: torch.Tensor, dynamic: tuple | None = None) -> Path:
    if path.suffix == ".pt2":
        torch.export.save(torch.export.export(network, inputs, dynamic_shapes=dynamic), path)
    else:
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
        torch.onnx.export(network, inputs, path, dynamo=True, verbose=False, dynamic_shapes=dynamic)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one network files of each kind: for two images, with tokens before the features; and for any number."""
    root, x = tmp_path_factory.mktemp("exported"), torch.zeros(2, 3, 16, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for ending in ("onnx", "pt2"):
            export(root / f"static.{ending}", Net("both").eval(), x)
            export(root / f"dynamic.{ending}", Net().eval(), x, dynamic=({0: Dim.DYNAMIC},))
    return root


@torch.no_grad()
def expected(x: torch.Tensor, mean: object = (0.485, 0.456, 0.406), std: object = (0.229, 0.224, 0.225)):
    return Net().eval()((x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1))


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_features_are_those_of_the_network(exported: Path, name: str, ending: str) -> None:
    x = torch.rand(5, 3, 16, 16)
    encoder = load_encoder(str(exported / f"{name}.{ending}"), CPU, size=16)
    assert encoder.features.size == 16
    assert encoder.features.batch == (None if name == "dynamic" else 2)
    with torch.no_grad():
        torch.testing.assert_close(encoder.features_and_logits(x)[0], expected(x), atol=1e-4, rtol=0)
    other = load_encoder(str(exported / f"{name}.{ending}"), CPU, size=16, mean="0.5", std="0.5,0.25,0.5")
    with torch.no_grad():
        z = other.features_and_logits((255 * x).byte())[0]
    torch.testing.assert_close(z, expected((255 * x).byte() / 255, (0.5,), (0.5, 0.25, 0.5)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("end", ["pooled", "tokens"])
def test_pooled_features_and_tokens(tmp_path: Path, end: str) -> None:
    x = torch.rand(3, 3, 16, 16)
    file = export(tmp_path / "e.pt2", Net(end).eval(), torch.zeros(2, 3, 16, 16))
    with torch.no_grad():
        z = load_encoder(str(file), CPU).features_and_logits(x)[0]
    torch.testing.assert_close(z, expected(x), atol=1e-4, rtol=0)


def test_find_and_embed_by_an_encoder(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos are read at its size; the file of features is found by `find` as the encoder itself."""
    photos = write_folder(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    words = ["--encoder", exported / "static.onnx", "--device", "cpu", "--data.workers", "0"]
    result = succeed("embed", "photos", "--out", "f.npz", *words)
    assert f"encoder {exported / 'static.onnx'}: images of 16 px, 6 features: mean (as given)" in result.err
    succeed("find", photos, "--out", "a", *words)
    succeed("find", photos, "--out", "b", "--features", "f.npz")
    assert [row["label_quality"] for row in read_csv(tmp_path / "a/labels.csv")] == [
        row["label_quality"] for row in read_csv(tmp_path / "b/labels.csv")
    ]


class Beside(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a.mean((2, 3)) + b


class ChannelsLast(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2))


def refusal(path: Path, **how: object) -> str:
    with pytest.raises(InputError) as caught:
        load_encoder(str(path), CPU, **how)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_what_is_no_encoder(exported: Path, tmp_path: Path) -> None:
    x = torch.zeros(2, 3, 16, 16)
    assert refusal(export(tmp_path / "map.pt2", Net("map").eval(), x)) == (
        "--encoder map.pt2 gives output 0 (2, 6, 3, 3) for 2 images: it has to give features (N, D), (N, D, 1, 1) or "
        "tokens (N, T, D); export it without its last layers, or with a pooling at its end"
    )
    assert refusal(export(tmp_path / "train.pt2", Net().train(), x)).startswith(
        "--encoder train.pt2: the features of an image change with the images beside it: export it in eval mode"
    )
    assert "takes 2 inputs: export its part for images" in refusal(
        export(tmp_path / "two.pt2", Beside(), x, torch.zeros(2, 3))
    )
    assert refusal(export(tmp_path / "last.pt2", ChannelsLast(), x.permute(0, 2, 3, 1).contiguous())) == (
        "--encoder last.pt2 takes inputs of shape (2, 16, 16, 3): it has to take float images (N, 3, H, W), RGB with "
        "channels first: export it so"
    )
    for name in ("a.onnx", "a.pt2"):
        (tmp_path / name).write_bytes(b"no network")
        assert f"--encoder {name} cannot be read (" in refusal(tmp_path / name)
    assert refusal(tmp_path / "gone.onnx") == "--encoder gone.onnx is no file: give the one that you exported"
    assert "ends neither with .onnx nor with .pt2" in refusal(tmp_path / "a.pth")
    assert "--pixel-std is '0'" in refusal(exported / "static.pt2", std="0")
    assert "--pixel-mean is '1,2': give one number or three" in refusal(exported / "static.pt2", mean="1,2")


def test_weights_beside_it_are_missed(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "static.onnx").write_bytes((exported / "static.onnx").read_bytes())
    assert refusal(tmp_path / "static.onnx") == (
        "--encoder static.onnx has its weights in static.onnx.data, which is missing: copy both files, and keep "
        "their names"
    )


def test_without_onnxruntime_the_extra_is_named(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert "pip install 'mixnn[onnx]'" in refusal(exported / "static.onnx")


def test_a_program_of_torch_export_is_loaded_where_it_is_typed_alone(tmp_path: Path) -> None:
    """It may run code of whoever made it, as docs/security.md says."""
    (tmp_path / "c.yaml").write_text("encoder: evil.pt2\n")
    for command in ("find", "embed"):
        result = call(command, tmp_path, "--config", tmp_path / "c.yaml", "--out", tmp_path / "out.npz")
        assert (result.code, result.err) == (
            2,
            f"mixnn: {tmp_path / 'c.yaml'} names code, encoder evil.pt2: a file never runs code; where you trust it, "
            "add --encoder evil.pt2\n",
        )


def test_half_precision(tmp_path: Path) -> None:
    file = export(tmp_path / "half.pt2", Net().eval().half(), torch.zeros(2, 3, 16, 16, dtype=torch.float16))
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        z = load_encoder(str(file), CPU).features_and_logits(x)[0]
    assert z.dtype == torch.float32
    np.testing.assert_allclose(z, expected(x), atol=0.02)
