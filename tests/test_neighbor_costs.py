"""Which search "auto" takes, by what each costs."""

import pytest
import torch

from mixnn.evidence.neighbors import cost_model
from mixnn.evidence.neighbors.cost_model import COSTS, REPEATABLE, WORTH, Choice, Task, predict, quickest
from mixnn.evidence.neighbors.search import choose

CPU = torch.device("cpu")


def chosen(n: int, width: int = 128, k: int = 20, share: int = 1, *, device: str = "cpu", index: bool = True) -> str:
    return str(quickest(Task(n, width, k, n // share), device, bf16=False, index=index))


@pytest.mark.parametrize("width", [1, 64, 512, 2048])
@pytest.mark.parametrize("k", [1, 200])
def test_what_has_few_samples_compares_all_pairs(width: int, k: int) -> None:
    assert chosen(50_000, width, k) == chosen(REPEATABLE, width, k) == "exact"


def test_a_large_one_takes_an_index_on_a_cpu() -> None:
    assert chosen(1_000_000, 128) == "ivf"
    assert chosen(1_000_000, 512) == "ivf by 64 principal components"


def test_components_help_where_there_is_no_index() -> None:
    assert chosen(1_000_000, 512, index=False) == "exact by 64 principal components"
    assert chosen(1_000_000, 128, index=False) == "exact"


def test_a_device_that_was_not_measured_compares_all_pairs() -> None:
    assert "other" not in COSTS
    assert chosen(10_000_000, 512, device="other") == "exact"


def test_bfloat16_where_it_is_quicker() -> None:
    """What it saves are products; what it costs is to rank its candidates."""
    for n in (10_000, 50_000):
        assert str(quickest(Task(n, 256, 2000, n), "cpu, bfloat16", bf16=True, index=True)) == "exact"
        assert str(quickest(Task(n, 2048, 1, n), "cpu, bfloat16", bf16=True, index=True)) == "bfloat16"
    assert str(quickest(Task(1000, 8, 1, 1000), "other", bf16=True, index=True)) == "bfloat16"
    large = quickest(Task(1_000_000, 128, 10, 1_000_000), "cpu, bfloat16", bf16=True, index=True)
    assert str(large) == "ivf"


def test_of_many_ranks_each_asks_for_little_and_an_index_is_not_worth_building(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"exact": (1e-11, 0.0, 0.0), "ivf": (1e-11, 1e-11, 0.0), "ranking": (0.0,)}
    monkeypatch.setitem(COSTS, "cpu", own)
    assert chosen(1_000_000) == chosen(1_000_000, share=100) == "ivf"
    assert chosen(1_000_000, share=1000) == "exact"


@pytest.mark.parametrize("times", [0.9, 1.1])
def test_what_may_miss_must_be_worth_it(monkeypatch: pytest.MonkeyPatch, times: float) -> None:
    own = {"exact": (1.0, 0.0, 0.0), "ivf": (0.0, 100_000**0.5 / WORTH / times, 0.0), "ranking": (0.0,)}
    monkeypatch.setitem(COSTS, "cpu", own)
    assert chosen(100_000) == ("exact" if times < 1 else "ivf")


def test_a_prediction_is_the_sum_of_its_parts() -> None:
    n, width, k, rows = task = Task(90_000, 512, 10, 30_000)
    own = {"exact": (2e-12, 3e-11, 5e-10), "ivf": (7e-12, 1.1e-11, 1.3e-11), "ranking": (1.7e-10,)}
    exact = 2e-12 * rows * n * width + 3e-11 * rows * n + 5e-10 * rows * k
    assert predict(Choice("exact"), task, own) == pytest.approx(exact)
    ivf = 7e-12 * (n + rows) * 300 * 64 + 1.1e-11 * rows * 300 * 64 + 1.3e-11 * rows * 300 * k
    ranking = 1.7e-10 * rows * (k + k + 4) * width
    components = 2e-12 * n * width * (width + 64)
    assert predict(Choice("ivf", 64), task, own) == pytest.approx(ivf + ranking + components)


def test_what_was_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_model, "REPEATABLE", 0)
    assert choose("hnsw", CPU, 10, 4, 1, 10) == Choice("hnsw")
    assert [Choice("exact").misses, Choice("bfloat16").misses, Choice("exact", 3).misses] == [False, True, True]
