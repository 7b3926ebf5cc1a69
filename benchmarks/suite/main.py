"""`python -m benchmarks.suite`, in a checkout: is it really better? Run, count, and show the cells of a suite."""

from __future__ import annotations

import importlib.util
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.suite.cells import Suite, chosen
from benchmarks.suite.queue import MIN_SECONDS, run_cells, status_lines
from benchmarks.suite.results import counts, read_results
from benchmarks.suite.suites import SUITES
from benchmarks.suite.table import put_into, render
from mixnn.cli.parsing import Parser, readable_output
from mixnn.errors import InputError

ACTIONS = {
    "run": "run the next missing cells of a suite, one after the other",
    "status": "what is done and what is left",
    "table": "the results as Markdown and as a picture",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take an action on a suite.

    Returns:
        The exit code: 0; 1 where a cell failed; 2 for bad input; 130 when interrupted.
    """
    try:
        return act(list(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        print(f"benchmarks.suite: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbenchmarks.suite: interrupted; repeat the command to go on", file=sys.stderr)
        return 130


def act(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    action, rest = words[0], words[1:]
    if action not in ACTIONS:
        raise InputError(f"{action!r} is no action: use one of {', '.join(ACTIONS)}")
    return {"run": run_suite, "status": show_status, "table": show_table}[action](rest)


def overview() -> str:
    lines = ["usage: python -m benchmarks.suite ACTION SUITE --results DIR …", "", "actions:"]
    lines += [f"  {name:<12} {what}" for name, what in ACTIONS.items()]
    lines += ["", "suites:"]
    for suite in SUITES.values():
        lines.append(f"  {suite.name:<12} {sum(1 for _ in suite.cells())} cells. {suite.about}")
    return "\n".join([*lines, "", "`python -m benchmarks.suite ACTION --help` tells the options."])


def run_suite(words: Sequence[str]) -> int:
    parser = suite_parser("run", ACTIONS["run"])
    parser.add_argument("--budget", help="stop in time, to go on at the next call: 540s, 10m, 2h")
    only = "rows, columns, noises or seeds, with commas between: ce,elr; each time it is given has to fit"
    parser.add_argument("--only", action="append", default=[], help=only)
    data = "where data is, as often as needed: cifar10:DIR, cifar10n:FILE (CIFAR-10N's labels), clothing1m:DIR …"
    parser.add_argument("--data", action="append", default=[], help=data)
    parser.add_argument("--allow_dirty", action="store_true", help="try out uncommitted code; results do not count")
    given = parser.parse_words(words)
    suite = pick_suite(given.suite)
    require_sklearn()
    cells = chosen(suite, given.only)
    budget = None if given.budget is None else seconds_of(given.budget)
    with interrupted_by_sigterm():
        tally = run_cells(
            cells, Path(given.results), places(given.data), budget=budget, allow_dirty=given.allow_dirty, say=say
        )
    say(f"{tally.done} done, {tally.failed} failed, {tally.left} left of those asked for")
    return 1 if tally.failed else 0


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM is as Ctrl-C, so that it stops the run that is under way too.

    Afterwards it is what it was: processes forked from this one would inherit it, and one that sleeps on a lock may
    never get to run a handler.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def show_status(words: Sequence[str]) -> int:
    parser = suite_parser("status", ACTIONS["status"])
    parser.add_argument("--data", action="append", default=[], help="as for run")
    given = parser.parse_words(words)
    cells = chosen(pick_suite(given.suite), [])
    with readable_output():
        print("\n".join(status_lines(cells, Path(given.results), places(given.data))))
    return 0


def show_table(words: Sequence[str]) -> int:
    parser = suite_parser("table", ACTIONS["table"])
    parser.add_argument("--picture", help="PNG to draw")
    parser.add_argument(
        "--into", help="Markdown file with <!-- bench SUITE --> and <!-- end -->; screen where not given"
    )
    given = parser.parse_words(words)
    suite = pick_suite(given.suite)
    if not Path(given.results).is_dir():
        raise InputError(f"--results {given.results} is no folder: give the one that `run` wrote to")
    results = read_results(Path(given.results), suite)
    if (given.into or given.picture) and not any(map(counts, results.values())):
        raise InputError(f"--results {given.results} has no result of {suite.name} that counts: run some cells first")
    if given.picture is not None and not Path(given.picture).parent.is_dir():
        raise InputError(f"--picture {given.picture}: there is no such folder: make it first")
    text = render(suite, results)
    if given.into is None:
        with readable_output():
            print(text, end="")
    else:
        put_into(Path(given.into), suite, text)
    if given.picture is not None:
        from benchmarks.suite.picture import draw

        draw(suite, results, Path(given.picture))
    return 0


def suite_parser(action: str, description: str) -> Parser:
    parser = Parser(
        prog=f"python -m benchmarks.suite {action}", description=f"{description[0].upper()}{description[1:]}."
    )
    parser.add_argument("suite", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--results", required=True, help="folder of the result files, one for each cell")
    return parser


def pick_suite(name: str) -> Suite:
    if name not in SUITES:
        raise InputError(f"suite {name!r} is unknown: use one of {', '.join(SUITES)}")
    return SUITES[name]


def require_sklearn() -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("the queue needs scikit-learn: pip install -e '.[bench]'")


def seconds_of(text: str) -> float:
    """A time such as 540s, 10m or 2h, in seconds; a plain number is seconds.

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise InputError(f"--budget is {text!r}: write it as 540s, 10m or 2h")
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    if seconds < MIN_SECONDS:
        raise InputError(f"--budget is {text}: give at least {MIN_SECONDS:g}s")
    return seconds


def places(words: Sequence[str]) -> dict[str, str]:
    """["cifar10:DIR"] as {"cifar10": "DIR"}.

    Raises:
        InputError: one is written otherwise, or nothing is there.
    """
    known = {scheme for suite in SUITES.values() for column in suite.columns for scheme in column.needs}
    found = {}
    for word in words:
        scheme, colon, path = word.partition(":")
        if not (colon and path):
            raise InputError(f"--data {word!r}: write it as SCHEME:PATH, such as cifar10:DIR")
        if not Path(path).exists():
            raise InputError(f"--data {word}: {path} does not exist")
        if scheme not in known:
            raise InputError(f"--data {word}: {scheme!r} is needed by no suite: use one of {', '.join(sorted(known))}")
        found[scheme] = str(Path(path).resolve())
    return found


def say(text: str) -> None:
    print(text, flush=True)
