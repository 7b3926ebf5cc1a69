"""Runs the missing cells of a suite, one process after the other. Must not know: suites' contents, tables, torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import yaml
from filelock import FileLock, Timeout

from benchmarks.suite.cells import Cell
from benchmarks.suite.results import Result, collect, counts, read_results, write_result
from mixnn.errors import InputError
from mixnn.runs.directory import RunDirectory
from mixnn.runs.environment import environment
from mixnn.utils.files import read_yaml

MIN_SECONDS = 15.0  # seconds: with less left, starting a process is not worth it
POLL = 0.5  # seconds between looks at a lock
PATIENCE = 20.0  # seconds a run has to end when it is told to


@dataclass
class Tally:
    """What one call of the queue did: cells that are done, that failed, and that are left of those asked for."""

    done: int = 0
    failed: int = 0
    left: int = 0


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    given: Mapping[str, str],
    *,
    budget: float | None = None,
    allow_dirty: bool = False,
    say: Callable[[str], None] = print,
) -> Tally:
    """Run those of `cells` that have no result yet, in order; a run that was stopped goes on from its checkpoint.

    Args:
        folder: of results; half-done runs stay in its `runs`.
        given: see `Cell.settings`; cells whose data is not in it are skipped.
        budget: seconds; a run that is under way then is stopped, and goes on at the next call.
        allow_dirty: go on without a committed revision; such results do not count, and are made again without it.
        say: where to tell what is going on.

    Raises:
        InputError: the revision is not committed, another queue is at work in `folder`, or no cell has its data.
    """
    if cells and all(cell.missing(given) for cell in cells):
        lacking = dict.fromkeys(f"--data {scheme}:PATH" for cell in cells for scheme in cell.missing(given))
        raise InputError(f"none of the {len(cells)} cells has its data: give {' '.join(lacking)}")
    started = time.monotonic()
    tally = Tally(left=len(cells))
    limit = float("inf") if budget is None else budget
    with one_queue(folder), one_run(folder, limit, say) as lock:
        todo = missing(cells, folder, allow_dirty=allow_dirty)
        tally.left = len(todo)
        for place, cell in enumerate(todo := with_data(todo, given, say)):
            left = limit - (time.monotonic() - started)
            if left < MIN_SECONDS:
                break
            if not allow_dirty:
                require_revision()  # each time: somebody may be working on the code
            say(f"[{place + 1}/{len(todo)}] {cell.name}: {cost_text(cell, read_results(folder, cell.suite))}")
            code, seconds = run_one(cell, folder, given, left, lock)
            if code is None:
                on = "the next call goes on with it"
                off = "before its first epoch was done: give a larger --budget"
                say(f"  stopped in time, {on if run_directory(folder, cell).checkpoint.exists() else off}")
                break
            if code != 0:
                run = run_directory(folder, cell)
                say(f"  failed with exit code {code}, see {beside(run, 'log')}; to start it anew, remove {run.path}")
                tally.failed += 1
                continue
            accuracy = finish(cell, folder, seconds)["accuracy"]
            tally.done, tally.left = tally.done + 1, tally.left - 1
            say(f"  last epoch {accuracy['last']:.2%}, best epoch {accuracy['best']:.2%}, {seconds:.0f} s")
    return tally


def require_revision() -> None:
    """Raise InputError unless the code that will run is committed."""
    now = environment(0, "", "")
    if not (now["git_revision"] and now["git_clean"]):
        raise InputError(
            "a result counts only with a committed git revision: commit your changes and run from the checkout, "
            "name it by MIXNN_REVISION where there is no .git, or try out with --allow-dirty"
        )


@contextmanager
def one_queue(folder: Path) -> Iterator[None]:
    """Two queues beside each other would measure each other's noise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".queue.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"another queue is at work in {folder}: wait for it, or stop it") from None
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"--results {folder} cannot be written ({error.strerror}): name a folder of yours") from error


@contextmanager
def one_run(folder: Path, limit: float, say: Callable[[str], None]) -> Iterator[int | None]:
    """The lock that a run under way inherits, by its number: where its queue was killed, wait for its end.

    Raises:
        InputError: it has not ended after `limit` seconds.
    """
    if sys.platform == "win32":  # knows neither such locks nor how to hand one on
        yield None
        return
    import fcntl

    with open(folder / ".run.lock", "ab") as file:
        until, told = time.monotonic() + limit, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InputError(
                        f"a run in {folder} whose queue was killed is still at work: wait for it"
                    ) from None
                if not told:
                    say(f"waiting for a run in {folder} whose queue was killed")
                told = True
                time.sleep(POLL)
        yield file.fileno()


def missing(cells: Sequence[Cell], folder: Path, *, allow_dirty: bool = False) -> list[Cell]:
    """Those without a result that counts; with `allow_dirty`, without any."""
    if not cells:
        return []
    done = {name for name, one in read_results(folder, cells[0].suite).items() if allow_dirty or counts(one)}
    return [cell for cell in cells if cell.name not in done]


def with_data(cells: Sequence[Cell], given: Mapping[str, str], say: Callable[[str], None]) -> list[Cell]:
    """Those whose data the user has named; what is left out is said once for each scheme."""
    lacking = Counter(scheme for cell in cells for scheme in cell.missing(given)[:1])
    for scheme, count in lacking.items():
        say(f"skipped: {count} cells that need {scheme}; give --data {scheme}:PATH")
    return [cell for cell in cells if not cell.missing(given)]


def run_directory(folder: Path, cell: Cell) -> RunDirectory:
    return RunDirectory(folder / "runs" / cell.suite.name / cell.name)


def beside(run: RunDirectory, kind: str) -> Path:
    """The file "log" or "yaml" (the settings given to it) of a run."""
    return run.path.with_name(f"{run.path.name}.{kind}")


def run_one(
    cell: Cell, folder: Path, given: Mapping[str, str], limit: float, lock: int | None
) -> tuple[int | None, float]:
    """`mixnn train` in a process of its own: its exit code, None where it was stopped after `limit` s; and seconds.

    Args:
        lock: of `one_run`.
    """
    run = run_directory(folder, cell)
    if run.config.exists() and not cell.is_run_by(read_yaml(run.config)):
        shutil.rmtree(run.path)  # begun when the suite had other settings
    run.path.parent.mkdir(parents=True, exist_ok=True)
    beside(run, "yaml").write_text(yaml.safe_dump(cell.settings(given), allow_unicode=True), encoding="utf-8")
    words = ["train", "--config", str(beside(run, "yaml")), "--out", str(run.path), "--resume"]
    began = time.monotonic()
    with open(beside(run, "log"), "wb") as output:
        command, handed_on = [sys.executable, "-m", "mixnn", *words], () if lock is None else (lock,)
        process = subprocess.Popen(command, stdout=output, stderr=output, pass_fds=handed_on)
        try:
            process.wait(None if limit == float("inf") else limit)
        except subprocess.TimeoutExpired:
            stop(process)
            return None, limit
        except BaseException:
            stop(process)
            raise
    return process.returncode, time.monotonic() - began


def stop(process: subprocess.Popen[bytes]) -> None:
    """Gently, or else by force: a run survives both."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def finish(cell: Cell, folder: Path, seconds: float) -> Result:
    """Keep the result, and drop the run."""
    run = run_directory(folder, cell)
    resumed = "resumed" in run.read_json(run.environment)
    result = collect(cell, run, None if resumed else round(seconds, 1))
    write_result(folder, cell, result)
    shutil.rmtree(run.path)
    for kind in ("log", "yaml"):
        beside(run, kind).unlink(missing_ok=True)
    return result


def cost_text(cell: Cell, results: Mapping[str, Result]) -> str:
    """What a cell will take, in words."""
    minutes, measured = expected_minutes(cell, results)
    text = f"{60 * minutes:.0f} s" if minutes < 2 else f"{minutes:.0f} min"
    return f"about {text}{'' if measured else f' on {cell.suite.device}, a guess'}"


def expected_minutes(cell: Cell, results: Mapping[str, Result]) -> tuple[float, bool]:
    """From the cells of this row that are done, or else the suite's guess; and whether it was measured."""
    done = [result for result in results.values() if result["row"] == cell.row]
    known = [result["seconds"]["process"] for result in done if result["seconds"]["process"]]
    suite = cell.suite
    return (mean(known) / 60, True) if known else (suite.minutes * suite.costs.get(cell.row, 1.0), False)


def settings_text(settings: Mapping[str, object], section: str = "") -> str:
    """Settings in a line, as options: "epochs 20, ce.smoothing 0.1"."""
    texts = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            texts.append(settings_text(value, f"{section}{name}."))
        else:
            texts.append(f"{section}{name} {value}")
    return ", ".join(text for text in texts if text)


def status_lines(cells: Sequence[Cell], folder: Path, given: Mapping[str, str]) -> Iterator[str]:
    """Done, half-done and missing cells by row, and the time that is left."""
    suite = cells[0].suite
    results, todo = read_results(folder, suite), missing(cells, folder)
    yield f"all: {settings_text(suite.common)}"
    for row in suite.rows:
        own, ahead = ([cell for cell in some if cell.row == row] for some in (cells, todo))
        half = sum(run_directory(folder, cell).checkpoint.exists() for cell in ahead)
        uncounted = sum(cell.name in results for cell in ahead)
        notes = [f"{half} half done"] * bool(half) + [f"{uncounted} to be made again: uncommitted"] * bool(uncounted)
        if own:
            yield f"{row:<20} {len(own) - len(ahead):>3} of {len(own)}  {', '.join(notes)}".rstrip()
            yield f"{'':<6}{settings_text(suite.rows[row])}"
            for column, columns_own in {cell.column.name: cell.column.rows.get(row) for cell in own}.items():
                if columns_own:
                    yield f"{'':<6}in {column}: {settings_text(columns_own)}"
    columns = {cell.column.name: cell.column.noise or "labels as they are" for cell in cells}
    yield f"columns: {', '.join(f'{name} ({noise})' for name, noise in columns.items())}"
    lacking = sorted({scheme for cell in todo for scheme in cell.missing(given)})
    if lacking:
        yield f"for what is left, give --data {' --data '.join(f'{scheme}:PATH' for scheme in lacking)}"
    hours = sum(expected_minutes(cell, results)[0] for cell in todo) / 60
    yield f"left: {len(todo)} cells, about {hours:.1f} hours on {suite.device}"
