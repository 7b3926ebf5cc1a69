"""The command line: which command, and how errors look. Must not know: what commands do, torch."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from mixnn.distributed.shutdown import saying_when_stopped
from mixnn.errors import InputError, LocalError, LostError, ResultsError, ToldError, short_of_memory
from mixnn.utils.console import say, show, write_on_any_terminal
from mixnn.utils.memory import address_space_limit, loading_takes

# name -> what it does; the code is mixnn.cli.<name>.run, imported when called
COMMANDS = {
    "find": "list the wrong labels of a data set, without training",
    "embed": "features of images by a pretrained network, as a file for find --features",
    "embed-shards": "features of very many images, made by the workers of a Ray cluster",
    "train": "train on images with wrong labels; write the model, the label issues and a picture",
    "consensus": "one label out of those of several annotators, and how good each of them is",
    "report": "one HTML file to look through a run, and to decide on its label issues",
    "evaluate": "accuracy of a trained run on other data",
    "predict": "labels for images, as CSV",
    "check": "what is wrong with the data itself: unreadable, double or nearly so, in two parts at once",
    "corrupt": "write wrong labels for experiments, and which they are",
    "apply": "reviewed labels back into the data, as a copy",
    "export": "what a run found out, for cleanlab, Label Studio, FiftyOne, Hugging Face or NumPy",
    "methods": "the methods, their options and presets",
    "demo": "see it work: 40 % wrong labels on photos that come with the package",
}
WITH_TORCH = ("find", "embed", "embed-shards", "train", "consensus", "evaluate", "predict", "check", "demo")
LONG = 200  # characters of a path in a message

SAVES_MEMORY = (
    "lower --batch-size, --data.image-size or --data.workers, or take --data.store nowhere; "
    "what was trained goes on with --resume"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code, see docs/run-directory.md: 0; 2 for bad input; 1 for a run whose last step failed, or which lost
        one of its processes, and where `check` found something wrong; 130 when interrupted, 143 when told to stop.
    """
    write_on_any_terminal()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        show(*overview().splitlines())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        show(f"mixnn {version('mixnn')}")
        return 0
    command = words[0]
    try:
        if command not in COMMANDS:
            raise InputError(f"{command!r} is no command: use one of {', '.join(COMMANDS)}")
        require_address_space(command in WITH_TORCH)
        code: int = importlib.import_module(f"mixnn.cli.{command.replace('-', '_')}").run(words[1:])
        return code
    except ResultsError as error:
        say(f"mixnn: {error}")
        return 1
    except (ToldError, LostError) as error:
        return 2 if isinstance(error, InputError) else 1
    except InputError as error:
        # One line a machine, however many processes.
        if os.environ.get("LOCAL_RANK", "0") == "0" or isinstance(error, LocalError):
            say(f"mixnn: {error}")
        return 2
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        if short_of_memory(error):
            say(f"mixnn: memory is short ({type(error).__name__}): {SAVES_MEMORY}")
            return 2
        if not isinstance(error, OSError):
            raise
        # Of a path that nothing can be done with: too long, a loop, on a disk that is gone.
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
        what = name if len(name) <= LONG else f"{name[:LONG]}…"
        say(f"mixnn: {what} cannot be used ({error.strerror or error}): give another")
        return 2
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # all of a machine's processes are interrupted together
            say("", f"mixnn: interrupted; {kept_words(words)}")
        return 130


def require_address_space(torch: bool) -> None:
    """Raises InputError where a limit leaves no room to load the libraries, which then abort without a word."""
    limit, needed = address_space_limit(), loading_takes(torch)
    if limit < needed:
        raise InputError(
            f"memory is limited to {limit / 2**20:.0f} MB of addresses (ulimit -v), and the libraries alone take up to "
            f"{needed >> 20}: raise the limit"
        )


def entry() -> NoReturn:
    """Run a command and end the process."""
    os.environ["PYTHONSAFEPATH"] = "1"  # for processes that start from here: no code out of the current folder
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    try:
        with nullcontext() if several else saying_when_stopped(say_stopped):  # several of them speak for each other
            code = main()
    except SystemExit as end:  # --help
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        if not several:
            raise
        sys.excepthook(*sys.exc_info())  # which is for whoever wrote the code; then end now, since the others wait
        code = 1
    if several:
        # Threads that gloo leaves behind abort, now and then, a process that ends the usual way (torch 2.13).
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def say_stopped() -> None:
    """The last line of a process that is told to end, as by a scheduler."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # the cursor, which a bar has hidden
    say("", f"mixnn: told to stop (SIGTERM); {kept_words(sys.argv[1:])}")


def kept_words(words: Sequence[str]) -> str:
    """What a command that was stopped leaves, and how to go on."""
    if words[:1] == ["embed"]:
        return "features that were made are kept: repeat the command to go on"
    if words[:1] != ["train"]:
        return "repeat the command"
    kept: str = importlib.import_module("mixnn.cli.train").kept(words)
    return f"{kept}repeat the command with --resume to go on"


def overview() -> str:
    lines = ["usage: mixnn COMMAND …", "", "Train on wrong labels without being fooled by them.", "", "commands:"]
    lines += [f"  {name:<9} {what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "`mixnn COMMAND --help` tells the options of a command."])
