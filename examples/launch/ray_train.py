"""`mixnn train` on the workers of a Ray cluster: `python examples/launch/ray_train.py WORKERS DATA --out OUT …`.

What follows WORKERS is what follows `mixnn train`. On a machine of its own it starts Ray there. On a cluster, DATA, OUT
and MIXNN_RAY_STORAGE, where Ray keeps its notes, lie on a file system that every machine sees.
"""

import os
import sys
from typing import Any

import ray  # type: ignore[import-not-found,unused-ignore]
from ray.train import (  # type: ignore[import-not-found,unused-ignore]
    FailureConfig,
    RunConfig,
    ScalingConfig,
)
from ray.train.torch import TorchConfig, TorchTrainer  # type: ignore[import-not-found,unused-ignore]

from mixnn.cli.main import main
from mixnn.distributed.ranks import PATIENCE

RETRIES = 3  # times that Ray starts all workers again after one was lost


def work(given: dict[str, Any]) -> None:
    """One process: Ray has joined it with the others, and mixnn finds that so."""
    os.chdir(given["folder"])  # where the paths in the words begin
    code = main(["train", *given["words"]])
    if code != 0:
        raise RuntimeError(f"mixnn train ended with code {code}; it says above why")


if __name__ == "__main__":
    workers, *words = sys.argv[1:]
    ray.init()
    trainer = TorchTrainer(
        work,
        # --resume starts a run that is not there yet, so that a further try goes on where the last one ended.
        train_loop_config={"words": [*words, "--resume"], "folder": os.getcwd()},
        scaling_config=ScalingConfig(num_workers=int(workers), use_gpu="GPU" in ray.cluster_resources()),
        # Ray's own half an hour would end a run where one process works alone for longer.
        torch_config=TorchConfig(timeout_s=int(PATIENCE.total_seconds())),
        run_config=RunConfig(
            storage_path=os.environ.get("MIXNN_RAY_STORAGE"), failure_config=FailureConfig(max_failures=RETRIES)
        ),
    )
    trainer.fit()
