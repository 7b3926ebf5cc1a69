"""Networks of the real timm: widths, sizes, weights from files and from the hub's folder; and what is said without it.

timm imports torchvision. Where only torchvision's compiled half is missing (a CUDA build beside a CPU torch), the two
operators that it stumbles over are declared here, which is enough to import it; no network calls them.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mixnn.errors import InputError
from mixnn.models.classifier import Classifier, build_network, network_factory
from mixnn.models.timm_backbones import import_timm

MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 0.2])


@pytest.fixture(scope="module")
def timm():
    for package in ("timm", "torchvision", "huggingface_hub"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: the extra `vision` has it")
    declared = None
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "timm")]:
            del sys.modules[name]
        declared = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield import_timm()
    del declared  # lived until here, as the operators do


def build(name: str, size: int, **options: object) -> Classifier:
    torch.manual_seed(0)
    return build_network(name, size, 4, MEAN, STD, **options).eval()


# The second one's `num_features` is not what it gives; the last ones are made for one size.
@pytest.mark.parametrize(
    ("model", "size", "width"),
    [
        ("resnet18", 28, 512),
        ("mobilenetv3_small_050", 96, 1024),
        ("resnet50", 64, 2048),
        ("inception_resnet_v2", 96, 1536),
        ("vit_tiny_patch16_224", 96, 192),
        ("swin_tiny_patch4_window7_224", 64, 768),
    ],
)
def test_features(timm, model, size, width):
    network = build(f"timm:{model}", size)
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = network.features_and_logits(x)
    assert features.shape == (2, width)
    assert logits.shape == (2, 4)
    config = timm.get_pretrained_cfg(model)
    assert network.mean.tolist() == pytest.approx(config.mean)
    assert network.std.tolist() == pytest.approx(config.std)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("resnet5", r"network 'timm:resnet5': timm [\d.]+ has no such model: did you mean .*timm:resnet50"),
        ("resnet50.no_such_weights", r"has no such model: did you mean .*timm:resnet50"),
        ("", r"network 'timm:': .*has no such model: see "),
    ],
)
def test_unknown_models(timm, model, message):
    with pytest.raises(InputError, match=message):
        network_factory(f"timm:{model}")


def test_a_size_that_a_model_cannot_have(timm):
    with pytest.raises(InputError, match=r"'timm:nest_tiny' cannot be built for 50 px \(.*divide.*\): use another"):
        build("timm:nest_tiny", 50)


def test_weights_from_a_file(timm, tmp_path):
    torch.manual_seed(1)
    original = timm.create_model("resnet18").eval()
    torch.save({"state_dict": original.state_dict()}, tmp_path / "resnet18.pth")
    network = build("timm:resnet18", 64, weights=tmp_path / "resnet18.pth")
    assert network.pretrained.left_out == ["fc.weight", "fc.bias"]
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = original.forward_head(original.forward_features(timm_input(x, timm, "resnet18")), pre_logits=True)
        torch.testing.assert_close(network.features_and_logits(x)[0], expected)


def timm_input(x: torch.Tensor, timm, model: str) -> torch.Tensor:
    config = timm.get_pretrained_cfg(model)
    return (x - torch.tensor(config.mean)[:, None, None]) / torch.tensor(config.std)[:, None, None]


def test_position_embeddings_for_another_size(timm, tmp_path):
    """Weights for 224 px, images of 96 px: timm's own resampling."""
    original = timm.create_model("vit_tiny_patch16_224")
    torch.save(original.state_dict(), tmp_path / "vit.pth")
    network = build("timm:vit_tiny_patch16_224", 96, weights=tmp_path / "vit.pth")
    expected = importlib.import_module("timm.layers").resample_abs_pos_embed(original.pos_embed, (6, 6))
    torch.testing.assert_close(network.features.pos_embed, expected)
    assert torch.equal(network.features.blocks[0].attn.qkv.weight, original.blocks[0].attn.qkv.weight)


def test_weights_of_another_model(timm, tmp_path):
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "a.pth")
    smaller = build(
        "timm:resnet18", 32, weights=tmp_path / "a.pth"
    )  # whose tensors it has all, and more, which is told
    assert "layer1.2.conv1.weight" in smaller.pretrained.left_out
    with pytest.raises(InputError, match=r"lack \d+ of the \d+ tensors of network 'timm:resnet50'"):
        build("timm:resnet50", 32, weights=tmp_path / "a.pth")


@pytest.fixture
def hub(timm, monkeypatch, tmp_path):
    """The hub's client with an empty folder of its own, and nobody at the other end of the line."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    move_hub(monkeypatch, "http://127.0.0.1:9")
    return tmp_path / "hub"


def move_hub(monkeypatch, address: str) -> None:
    """As the variable HF_ENDPOINT does, which is read when the client is imported."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_without_a_connection(hub, capfd):
    with pytest.raises(
        InputError, match=r"weights of 'timm:resnet18' cannot be fetched .*give --weights FILE"
    ) as error:
        build("timm:resnet18", 32, weights="hub")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_fetched_before(timm, hub):
    """Laid out as the hub's client keeps what it has fetched; no connection is needed then."""
    torch.manual_seed(1)
    original = timm.create_model("resnet18")
    repository = hub / "models--timm--resnet18.a1_in1k"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    save_file(original.state_dict(), snapshot / "model.safetensors")
    network = build("timm:resnet18", 32, weights="hub")
    assert torch.equal(network.features.layer4[1].conv2.weight, original.layer4[1].conv2.weight)
    assert set(network.pretrained.left_out) == {"fc.weight", "fc.bias"}


def test_fetched_now(timm, hub, monkeypatch, tmp_path):
    """The hub's own client, and a server in this process that answers it as the hub does."""
    torch.manual_seed(1)
    original = timm.create_model("resnet18")
    save_file(original.state_dict(), tmp_path / "a.safetensors")
    with serving("/timm/resnet18.a1_in1k/resolve/main/model.safetensors", tmp_path / "a.safetensors") as address:
        move_hub(monkeypatch, address)
        network = build("timm:resnet18", 32, weights="hub")
        with pytest.raises(InputError, match=r"timm/resnet34\S+ on the hub has no model.safetensors or pytorch_model"):
            build("timm:resnet34", 32, weights="hub")
    assert torch.equal(network.features.conv1.weight, original.conv1.weight)
    assert list(hub.glob("models--timm--resnet18.a1_in1k/snapshots/*/model.safetensors"))


@contextmanager
def serving(place: str, file: Path) -> Iterator[str]:
    """A server with this one file; its address."""
    content = file.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == place else 404)
            self.send_header("Content-Length", str(len(content) if self.path == place else 0))
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"networks timm:NAME need timm: pip install 'mixnn\[vision\]'"):
        network_factory("timm:resnet50")


def test_with_a_torchvision_for_another_torch(monkeypatch, tmp_path):
    """As torchvision itself answers then."""
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    forget_timm(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    message = rf"timm cannot be imported \(operator torchvision::nms .*made for torch {torch.__version__}".replace(
        "+", r"\+"
    )
    with pytest.raises(InputError, match=message):
        network_factory("timm:resnet50")


def test_without_torchvision(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("import torchvision\n")
    forget_timm(monkeypatch)
    monkeypatch.syspath_prepend(Path(tmp_path))
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(InputError, match=r"networks timm:NAME need torchvision: pip install 'mixnn\[vision\]'"):
        network_factory("timm:resnet50")


def forget_timm(monkeypatch) -> None:
    """Until the end of the test, as if nobody had imported it."""
    monkeypatch.delitem(sys.modules, "timm", raising=False)
