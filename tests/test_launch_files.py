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


# As Ray's own, where the first copy is on the first machine: it runs the command, the others wait for its end.
RAY = """#!/usr/bin/env bash
mkdir "$0.head" 2> /dev/null || exit 0
echo "$@" > "$0.words"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
MIXNN = f'#!/usr/bin/env bash\nexec {sys.executable} -m mixnn "$@"\n'
TINY = ["--data.image-size", "32", "--device", "cpu"]


@pytest.fixture
def with_ray(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("ray.data")
    pytest.importorskip("efficientnet_lite_pytorch")
    for name, text in {"ray": RAY, "mixnn": MIXNN}.items():
        (tmp_path / "programs" / name).write_text(text)
        (tmp_path / "programs" / name).chmod(0o755)
    return environment | {"RAY_raylet_start_wait_time_s": "300"}


def assert_found(run: Path, done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stderr
    assert "60 samples in 1 shard, with names and labels" in done.stdout
    assert len(read_csv(run / "labels.csv")) == 60


def test_ray_on_slurm(with_ray: dict[str, str], tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": "12345", "SLURM_JOB_NODELIST": "two", "SLURM_NNODES": "2", "WORKERS": "1"}
    job |= {"DATA": str(write_folder(tmp_path / "photos")), "FEATURES": str(tmp_path / "features")}
    command = ["bash", LAUNCH / "ray_slurm.sh", *TINY]
    where = job | {"OUT": str(tmp_path / "run"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, env=with_ray | where, capture_output=True, text=True, timeout=600)
    assert_found(tmp_path / "run", done)
    words = (tmp_path / "programs/ray.words").read_text()
    assert words.startswith("symmetric-run --address localhost:22345 --min-nodes 2 -- bash -c")


def test_ray_on_kubernetes(with_ray: dict[str, str], tmp_path: Path) -> None:
    job = yaml.safe_load((LAUNCH / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    [workers] = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], workers)]
    for pod in pods:
        [container] = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    [cpus] = {pod["containers"][0]["resources"]["limits"]["cpu"] for pod in pods[1:]}
    assert f"--ray {workers['replicas'] * int(cpus)} " in job["spec"]["entrypoint"]
    words = job["spec"]["entrypoint"].replace("--ray 64 --out", f"--ray 1 {' '.join(TINY)} --out").replace("64", "1")
    words = words.replace("/data/photos", str(write_folder(tmp_path / "photos"))).replace("/runs", str(tmp_path))
    done = subprocess.run(words, shell=True, env=with_ray, capture_output=True, text=True, timeout=600)
    assert_found(tmp_path / "first", done)
