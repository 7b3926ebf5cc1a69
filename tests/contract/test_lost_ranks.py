"""One process of several is lost: the others end soon, with one line about it, and the run goes on with others."""

import os
import sys
from itertools import takewhile
from pathlib import Path

import pytest
from contract.command import ENVIRONMENT, SMALL, read_csv, start, succeed, write_folder
from contract.refusal import UNDER_WAY
from contract.test_resume import interrupt

pytestmark = pytest.mark.slow

SOON = 60  # seconds
EPOCHS = 5
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("lost") / "photos")


@pytest.fixture
def words(photos: Path, tmp_path: Path) -> list[object]:
    return ["train", photos, "--out", tmp_path / "run", *SMALL, "--epochs", EPOCHS]


def harmed(how: str, ranks: int, words: list[object], monkeypatch: pytest.MonkeyPatch, *launch: str) -> tuple[int, str]:
    """These words on so many ranks, the last of which comes to harm as `how` says: exit code and standard error."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), *launch)
    with monkeypatch.context() as patch:
        patch.setitem(ENVIRONMENT, "MIXNN_HARM", how)
        patch.setitem(ENVIRONMENT, "PYTHONPATH", os.pathsep.join([str(TESTS), *sys.path]))
        process = start(*words, module="contract.harmed", launcher=launcher)
    before = f"epoch {how.partition(':')[2]}/"
    assert process.stderr is not None
    first = list(takewhile(lambda line: not line.startswith(before), process.stderr))  # from then on the time counts
    _, err = process.communicate(timeout=SOON)
    return process.returncode, "".join(first) + err


def failed(how: str, ranks: int, words: list[object], monkeypatch: pytest.MonkeyPatch) -> str:
    code, err = harmed(how, ranks, words, monkeypatch)
    assert code != 0, err
    return err


def our_lines(err: str) -> list[str]:
    """What is said by name, but for what is under way."""
    return [line for line in err.splitlines() if line.startswith("mixnn: ") and not UNDER_WAY.match(line)]


def assert_whole(run: Path) -> None:
    """Every epoch once and in order, and a row for each image that is trained on."""
    assert [row["epoch"] for row in read_csv(run / "metrics.csv")] == [str(epoch + 1) for epoch in range(EPOCHS)]
    assert len({row["file_name"] for row in read_csv(run / "labels.csv")}) == len(read_csv(run / "labels.csv")) == 54


def test_a_run_goes_on_with_other_numbers_of_ranks(
    words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, 1, *words)  # on one, in this process
    words.append("--resume")
    for how, ranks, told in [("kill:2", 3, "another process of this run has ended"), ("hang:3", 2, "SIGTERM")]:
        err = failed(how, ranks, words, monkeypatch)
        line, *more = our_lines(err)
        assert told in line
        assert "--resume" in line
        assert more == []
        assert "in entry" not in err
        epoch = how.partition(":")[2]
        assert len(read_csv(tmp_path / "run/metrics.csv")) == int(epoch)
    assert succeed(*words).err.count("epoch ") == EPOCHS - 3
    assert_whole(tmp_path / "run")


def test_a_rank_alone_with_what_is_wrong_is_heard(words: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    err = failed("refuse:1", 2, words, monkeypatch)
    assert our_lines(err) == ["mixnn: no paper: buy some"]
    assert "in entry" not in err


def test_a_mistake_on_one_rank_shows_where_it_is(words: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    err = failed("mistake:1", 2, words, monkeypatch)
    assert err.count("ArithmeticError: no ink") == 1
    assert err.count("in entry") == 1
    assert len(our_lines(err)) == 1
    assert "--resume" in our_lines(err)[0]


def test_a_launcher_that_starts_again_brings_the_run_to_its_end(
    words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err = harmed("kill:1", 2, [*words, "--resume"], monkeypatch, "--max-restarts", "1")
    assert code == 0, err
    assert len(our_lines(err)) == 1
    assert_whole(tmp_path / "run")
