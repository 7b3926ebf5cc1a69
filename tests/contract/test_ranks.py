"""Two processes agree with each other, and with one process where batch norm does not tell them apart."""

import os
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from contract.cases import CASES, EPOCHS, STOP, Case, assert_same, build, make_data, tables
from torch import multiprocessing

from mixnn import TrainData, fit
from mixnn.training.checkpoint import Checkpoint
from mixnn.training.metrics import accuracy

pytestmark = pytest.mark.slow

RANKS = 3  # with two, a sum has one order only, and much goes unseen
State = Mapping[str, Any]
# Batch norm sees a part of a batch on each rank, and dropout draws another mask: this network has neither.
PLAIN: dict[str, Any] = {"norm": False, "dropout": 0.0}


def even_data(case: Case) -> TrainData:
    """Batches that all ranks share without a rest."""
    return case.data(48, batch_size=12, augment="none")


def trained(case: Case, data: TrainData, **network: Any) -> State:
    method, optimizer, scheduler = build(case, data, **network)
    before = tables(method)
    fit(method, data, optimizer, scheduler, epochs=EPOCHS)
    for name, rows in tables(method).items():  # tables that nobody writes would agree as well
        assert not torch.equal(rows, before[name]), f"{case.name}: {name} is unchanged"
    return method.state_dict()


def resumed(case: Case, data: TrainData, path: Path) -> State:
    """Stopped after some epochs, and gone on with by fresh objects that began with other weights."""
    for stage, epochs in enumerate((STOP, EPOCHS)):
        method, optimizer, scheduler = build(case, data, seed=stage)
        checkpoint = Checkpoint(path, method, optimizer, scheduler, "these data", {})
        fit(method, data, optimizer, scheduler, epochs=epochs, start=checkpoint.load(), observers=[checkpoint])
        dist.barrier()  # one rank writes, all read
    return method.state_dict()


def judged(case: Case) -> State:
    """By fewer held-out samples than there are ranks."""
    method, *_ = build(case, case.data())
    return {"accuracy": torch.tensor(accuracy(method, make_data(RANKS - 1)))}


def attempt(train: Callable[[], State]) -> State | str:
    """What it ends with, or how it failed: the other cases are to be told about all the same."""
    try:
        return train()
    except Exception:
        return traceback.format_exc()


def work(rank: int, folder: str) -> None:
    """All cases on one rank; processes of their own would cost more than the training."""
    torch.set_num_threads(1)
    meeting, patience = Path(folder, "meeting").as_uri(), timedelta(minutes=1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS, timeout=patience)
    result = {}
    for case in CASES:
        path = Path(folder, f"{case.name}.pt")
        result[case.name, "uneven"] = attempt(partial(trained, case, case.data()))
        result[case.name, "resumed"] = attempt(partial(resumed, case, case.data(), path))
        result[case.name, "judged"] = attempt(partial(judged, case))
        result[case.name, "even"] = attempt(partial(trained, case, even_data(case), **PLAIN))
    torch.save(result, Path(folder, f"rank{rank}.pt"))
    dist.barrier()
    os._exit(0)  # as `mixnn.cli.main.entry` does: gloo's threads can abort a process that ends the usual way


Ended = Callable[[Case, str, int], State]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What a case ended with, on a rank."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, (str(folder),), nprocs=RANKS)
    results = [torch.load(folder / f"rank{rank}.pt") for rank in range(RANKS)]

    def look(case: Case, what: str, rank: int) -> State:
        result: State | str = results[rank][case.name, what]
        return pytest.fail(result) if isinstance(result, str) else result

    return look


@pytest.mark.parametrize("what", ["uneven", "resumed", "even"])
def test_ranks_end_with_the_same_state(what: str, case: Case, ended: Ended) -> None:
    for rank in range(1, RANKS):
        assert_same(ended(case, what, 0), ended(case, what, rank))


def test_ranks_that_were_stopped_end_as_if_they_had_not_been(case: Case, ended: Ended) -> None:
    assert_same(ended(case, "resumed", 0), ended(case, "uneven", 0))


@pytest.mark.parametrize("case", [case for case in CASES if not case.local], ids=lambda case: case.name)
def test_two_processes_compute_what_one_does(case: Case, ended: Ended) -> None:
    one, two = trained(case, even_data(case), **PLAIN), ended(case, "even", 0)
    assert one.keys() == two.keys()
    for name, value in one.items():
        # A target is the exponential of summed log-likelihoods: 15 of these in float32 are off by 1e-6 each.
        near = 1e-4 if name == "targets" else 1e-5
        torch.testing.assert_close({name: two[name]}, {name: value}, rtol=near, atol=near, equal_nan=True)


def test_a_rank_may_have_no_held_out_sample(case: Case, ended: Ended) -> None:
    for rank in range(RANKS):
        # Ranks add up in another order: a sum of floats may differ in its last bit.
        torch.testing.assert_close(ended(case, "judged", rank), judged(case), rtol=1e-6, atol=0, equal_nan=True)
