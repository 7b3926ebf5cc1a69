"""--compile: the same run but for rounding, and one line where there is no compiler."""

import shutil

import pytest
import torch
from contract.cases import CLASSES, make_data
from contract.command import ENVIRONMENT, SMALL, start, write_folder

from mixnn import fit
from mixnn.config import RunConfig, TrainOptions
from mixnn.training.build import build_method, build_optimizer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # torch's compiler is its own user
]
CPU = torch.device("cpu")

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without a C++ compiler")


def started(compiled, data, **options):
    given = TrainOptions(method="ce", network="mini", epochs=2, precision="float32", compile=compiled, **options)
    method = build_method(RunConfig("", given).for_method(), data, CLASSES, CPU)
    return method, *build_optimizer(method, given.for_optimizer())


@needs_compiler
def test_a_compiled_network_learns_the_same():
    ends = []
    for compiled in (False, True):
        data = make_data()  # batches of 16 and 15
        method, *steps = started(compiled, data)
        fit(method, data, *steps, epochs=2)
        assert (method.network.features._compiled_call_impl is not None) == compiled
        ends.append(method.state_dict())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-3, atol=1e-4)


def test_without_a_compiler_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "CXX", "no-such-compiler")
    monkeypatch.setitem(ENVIRONMENT, "TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    process = start("train", write_folder(tmp_path / "photos"), "--out", tmp_path / "run", *SMALL, "--compile", "true")
    _, err = process.communicate()
    assert process.returncode == 2
    assert "--compile: network 'cnn' cannot be compiled here (" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("): leave it away")
