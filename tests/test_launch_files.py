"""The files in examples/launch start a run: here with two machines that are one, and the CPU in place of GPUs."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from contract.command import ENVIRONMENT, SMALL, read_csv, write_folder

LAUNCH = Path(__file__).resolve().parents[1] / "examples/launch"
SHORT = [*SMALL, "--method", "ce", "--epochs", "1"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")]

# As Slurm's own: a copy of the command on each of two machines.
SRUN = """#!/usr/bin/env bash
set -e
shift  # --kill-on-bad-exit
"$@" & first=$!
"$@"
wait $first
"""
SCONTROL = "#!/usr/bin/env bash\necho localhost\necho localhost\n"
TORCHRUN = f'#!/usr/bin/env bash\nexec {sys.executable} -m torch.distributed.run "$@"\n'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With programs of these names, for whom torchrun is this Python's, and mixnn the one that is tested."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "torchrun": TORCHRUN}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**ENVIRONMENT, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}


def assert_two_processes(run: Path, done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stderr
    assert len(read_csv(run / "labels.csv")) == 54
    assert '"processes": 2' in (run / "environment.json").read_text()


def test_slurm(environment: dict[str, str], tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "two", "SLURM_NNODES": "2", "PROCESSES": "1"}
    job |= {"DATA": str(write_folder(tmp_path / "photos")), "OUT": str(tmp_path / "run")}
    command = ["bash", LAUNCH / "slurm.sh", *SHORT]
    done = subprocess.run(command, env=environment | job, capture_output=True, text=True, timeout=300)
    assert_two_processes(tmp_path / "run", done)


def test_kubernetes(environment: dict[str, str], tmp_path: Path) -> None:
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"], job["spec"]["completionMode"]) == ("Service", "Job", "Indexed")
    pod, name = job["spec"]["template"]["spec"], job["metadata"]["name"]
    [container] = pod["containers"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    words = " ".join(container["command"])
    assert f"--nnodes={job['spec']['completions']} " in words
    assert f"--nproc-per-node={pod['containers'][0]['resources']['limits']['nvidia.com/gpu']} " in words
    assert f"--rdzv-endpoint={name}-0.{pod['subdomain']}:" in words
    here = {
        r"nnodes=\d+": "nnodes=1",
        r"nproc-per-node=\d+": "nproc-per-node=2",
        r"endpoint=\S+": f"endpoint=localhost:{free_port()}",
        r"/data/photos": str(write_folder(tmp_path / "photos")),
        r"/runs/first": str(tmp_path / "run"),
    }
    for pattern, put in here.items():
        words, times = re.subn(pattern, put, words)
        assert times == 1, pattern
    done = subprocess.run([*words.split(), *SHORT], env=environment, capture_output=True, text=True, timeout=300)
    assert_two_processes(tmp_path / "run", done)


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("localhost", 0))
        return int(place.getsockname()[1])
