"""Where memory is short: one line that names what to lower, no traceback, and no picture is called damaged."""

import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mixnn.cli.main import COMMANDS, WITH_TORCH, main
from mixnn.data.images import decoder
from mixnn.data.images.decoder import BadImage, decode
from mixnn.errors import LocalError, short_of_memory
from mixnn.utils.memory import loading_takes

TOO_LOW = (
    "mixnn: memory is limited to {} MB of addresses (ulimit -v), and the libraries alone take up to {}: "
    "raise the limit\n"
)
FIX = "lower --batch-size, --data.image-size or --data.workers, or take --data.store nowhere; what was trained goes on"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried 9"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch.so: failed to map segment from shared object"),
    ],
)
def test_every_command_says_it_in_a_line(monkeypatch, capsys, error):
    def run(words: list[str]) -> int:
        raise error

    assert short_of_memory(error)
    for command in COMMANDS:
        module = f"mixnn.cli.{command.replace('-', '_')}"
        monkeypatch.setitem(sys.modules, module, type(sys)(command))
        monkeypatch.setattr(sys.modules[module], "run", run, raising=False)
        assert main([command]) == 2
        assert capsys.readouterr().err == f"mixnn: memory is short ({type(error).__name__}): {FIX} with --resume\n"


def test_other_errors_stay_what_they_are(monkeypatch):
    def run(words: list[str]) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setitem(sys.modules, "mixnn.cli.check", type(sys)("check"))
    monkeypatch.setattr(sys.modules["mixnn.cli.check"], "run", run, raising=False)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check"])


def test_a_good_picture_is_not_called_damaged_for_want_of_memory(tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")

    def short(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decoder, "to_square", short)
    with pytest.raises(BadImage, match=r"^needs more memory than there is$"):  # there is enough: the header is wrong
        decode(str(tmp_path / "a.png"), 8)
    monkeypatch.setattr(decoder, "ROOM", 2**62)
    with pytest.raises(
        LocalError, match=r"^memory is short for reading images: use fewer --data\.workers, 0 for none$"
    ):
        decode(str(tmp_path / "a.png"), 8)


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [150, 250, 300, 600, 900, 1200, 1500, 2000, 3000])
@pytest.mark.parametrize("command", ["check", "train"])
def test_limits(tmp_path, megabytes, command):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            pixels = np.random.default_rng(i).integers(0, 256, (400, 500, 3), dtype=np.uint8)
            Image.fromarray(pixels + np.uint8(name == "dog")).save(tmp_path / f"photos/{name}/{i}.png")
    more = {"train": ["--out", str(tmp_path / "run"), "--epochs", "1", "--network", "cnn", "--data.workers", "0"]}
    done = subprocess.run(
        [sys.executable, "-m", "mixnn", command, str(tmp_path / "photos"), *more.get(command, [])],
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20,) * 2),
    )
    needed = loading_takes(command in WITH_TORCH) >> 20
    if megabytes < needed:
        assert done.returncode == 2
        assert done.stderr == TOO_LOW.format(megabytes, needed)
        return
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
    assert "cannot be read" not in done.stderr
    if done.returncode:
        assert "memory" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["report", "train"])
def test_a_limit_below_what_the_libraries_take_is_told(monkeypatch, capsys, command):
    # With less, numpy and torch abort in C: "cannot allocate memory for thread-local data: ABORT", now and then.
    needed = loading_takes(command in WITH_TORCH)
    monkeypatch.setattr("mixnn.cli.main.address_space_limit", lambda: needed - 2**20)
    assert main([command, "photos"]) == 2
    assert capsys.readouterr().err == TOO_LOW.format((needed >> 20) - 1, needed >> 20)
    monkeypatch.setattr("mixnn.cli.main.address_space_limit", lambda: needed)
    assert main([command, "no-such-folder", *(["--out", "run"] if command == "train" else [])]) == 2
    assert "ulimit" not in capsys.readouterr().err
